"""What nobody should send: each kind gets a JSON sentence, nothing is left half-written, and the server lives."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest


def told(server, path: str, body: bytes, status: int, headers: dict[str, str] | None = None) -> str:
    reply = server.ask(path, body, headers)
    assert reply.status == status, reply.body
    assert set(reply.json) == {"error"}
    return reply.json["error"]


def still_well(server, pictures) -> None:
    reply = server.ask("/v1/inspect/flange", pictures.good[0].read_bytes())
    assert reply.status == 200 and reply.json["verdict"] == "pass"


def huge_png(side: int) -> bytes:
    """A valid gray PNG of side x side zeros: small on the wire, large once decoded."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(1 + side)) for _ in range(side)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)) + chunk(
        b"IDAT", rows) + chunk(b"IEND", b"")


def huge_headers() -> list[bytes]:
    """The first bytes of pictures that say they are 10,000 x 10,000, in other formats."""
    jpeg = b"\xff\xd8\xff\xc0\x00\x11\x08" + struct.pack(">HH", 10_000, 10_000) + b"\x03" + bytes(9) + bytes(500)
    bmp = b"BM" + struct.pack("<IHHI", 300_000_054, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, 10_000, 10_000, 1, 24, 0, 0,
                                                                           0, 0, 0, 0) + bytes(500)
    return [jpeg, bmp, b"P5\n10000 10000\n255\n" + bytes(500)]


def resident_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def test_a_picture_of_ten_thousand_by_ten_thousand(station_server, pictures) -> None:
    body = huge_png(10_000)
    before = resident_mb(station_server.process.pid)
    sentence = told(station_server, "/v1/inspect/flange", body, 413)
    assert "10000 x 10000" in sentence and "50" in sentence
    assert resident_mb(station_server.process.pid) < before + 50, "it was refused by its header, not decoded"
    still_well(station_server, pictures)


@pytest.mark.parametrize("body", huge_headers(), ids=["jpeg", "bmp", "pgm"])
def test_other_formats_that_say_they_are_huge(station_server, pictures, body: bytes) -> None:
    assert "10000" in told(station_server, "/v1/inspect/flange", body, 413)
    still_well(station_server, pictures)


def test_a_huge_picture_among_those_to_teach_from(station_server, pictures, tmp_path) -> None:
    huge = tmp_path / "huge.png"
    huge.write_bytes(huge_png(10_000))
    reply = station_server.teach("huger", {"good": [*pictures.shown[:2], huge]})
    assert reply.status == 413 and "huge.png" in reply.json["error"], reply.body
    assert not (station_server.models / "huger").exists() and station_server.uploads() == []


def test_a_zip_bomb_as_a_picture(station_server, pictures) -> None:
    bomb = gzip.compress(bytes(65 << 20), 9)
    assert "decompressed" in told(station_server, "/v1/inspect/flange", bomb, 413, {"Content-Encoding": "gzip"})
    assert "'zstd'" in told(station_server, "/v1/inspect/flange", b"x", 501, {"Content-Encoding": "zstd"})
    still_well(station_server, pictures)


# ---- bodies that do not come

@pytest.fixture(scope="module")
def impatient(start_server):
    return start_server("[server]\nbody_timeout_s = 0.5\nmax_body_mb = 1\n")


def connect(server) -> socket.socket:
    where = urlsplit(server.address)
    return socket.create_connection((where.hostname, where.port), timeout=20)


def head(path: str, *lines: str) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


def read_all(sock: socket.socket) -> tuple[int, dict[str, str]]:
    data = b""
    while b"\r\n\r\n" not in data or not data.endswith(b"}"):
        more = sock.recv(65536)
        if not more:
            break
        data += more
    return int(data.split()[1]), json.loads(data.partition(b"\r\n\r\n")[2])


PATHS = ["/v1/inspect/flange", "/v2/models/flange/infer", "/v2/repository/index"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("kind", ["Content-Length: 100000", "Transfer-Encoding: chunked"])
def test_a_body_that_stalls(impatient, path: str, kind: str) -> None:
    with connect(impatient) as sock:
        sock.sendall(head(path, kind) + (b"5\r\nabcde\r\n" if "chunked" in kind else b"abcde"))
        status, document = read_all(sock)
        assert status == 408 and "had not arrived whole after 0.5 s" in document["error"]


@pytest.mark.parametrize("path", PATHS)
def test_a_body_without_end(impatient, path: str) -> None:
    with connect(impatient) as sock:
        sock.sendall(head(path, "Transfer-Encoding: chunked"))
        with contextlib.suppress(ConnectionError):
            for _ in range(64):
                sock.sendall(b"10000\r\n" + bytes(65536) + b"\r\n")
        status, document = read_all(sock)
        assert status == 413 and "1048576" in document["error"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("kind", ["Content-Length: 100000", "Transfer-Encoding: chunked"])
def test_a_client_that_stops_in_the_middle(impatient, pictures, path: str, kind: str) -> None:
    for end in (socket.SHUT_WR, socket.SHUT_RDWR):
        with connect(impatient) as sock:
            sock.sendall(head(path, kind) + (b"5\r\nabcde\r\n" if "chunked" in kind else b"abcde"))
            sock.shutdown(end)
    still_well(impatient, pictures)


def test_a_declared_body_over_the_limit(impatient) -> None:
    for path in PATHS:
        with connect(impatient) as sock:
            sock.sendall(head(path, "Content-Length: 99999999999"))
            status, document = read_all(sock)
            assert status == 413 and "at most" in document["error"]


# ---- a disk that is full

@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of its own with little room; needs the right to mount."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "none", folder], capture_output=True, check=False)
        if done.returncode:
            pytest.skip("mounting a small file system is not allowed here")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_under_an_upload(start_server, pictures, small_disk: Path) -> None:
    server = start_server(f'[repository]\nstate = "{small_disk}"\n')
    (small_disk / "filler").write_bytes(bytes(300 << 10))
    reply = server.teach("full", {"good": pictures.shown})
    assert reply.status == 507 and "no space left" in reply.json["error"], reply.body
    for _ in range(100):
        if [p.name for p in small_disk.iterdir()] == ["filler"]:
            break
    assert not (server.models / "full").exists()
    still_well(server, pictures)


def test_a_full_disk_under_a_bundle(pictures, small_disk: Path, tmp_path: Path) -> None:
    """As the server's child does it: the command says so in a sentence and leaves nothing."""
    (small_disk / "filler").write_bytes(bytes(380 << 10))
    for path in pictures.shown[:3]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    done = subprocess.run([sys.executable, "-m", "aisle.runtime", "teach", "full", "--good", str(tmp_path),
                           "--models", str(small_disk), "--json-progress"], capture_output=True, text=True, check=False)
    last = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode != 0 and "space" in last["error"] and "Traceback" not in done.stderr, done
    assert sorted(p.name for p in small_disk.rglob("*") if p.is_file()) == ["filler"]
