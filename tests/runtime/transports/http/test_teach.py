"""Teaching over HTTP: a station appears or is renewed; what is wrong leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from urllib.parse import urlsplit

import pytest
from aisle.runtime.transports.http import upload


def versions(server, name: str) -> list[str]:
    folder = server.models / name
    return sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []


def refused(server, name: str, files: dict, status: int = 400) -> str:
    """The sentence of a refusal that left nothing behind."""
    before = versions(server, name)
    reply = server.teach(name, files)
    assert reply.status == status, reply.body
    assert versions(server, name) == before and server.uploads() == []
    return reply.json["error"]


def test_a_new_station_answers_right_after_teaching(station_server, pictures):
    reply = station_server.teach("fresh", {"good": pictures.shown[:4]})
    assert reply.status == 200, reply.body
    told = reply.json
    assert (told["station"], told["version"], told["good"]) == ("fresh", "1", 4)
    assert told["promise_average"] == pytest.approx(1 / 5) and told["promise_bound"] == pytest.approx(1 - 0.05 ** 0.25)
    assert told["more"][0] == {"parts": 55, "bound": 0.05}
    assert "path" not in told, "callers have no business with the server's folders"
    assert station_server.ask("/v1/inspect/fresh", pictures.good[0].read_bytes()).status == 200
    assert station_server.uploads() == []


def test_progress_comes_as_lines_and_the_result_last(station_server, pictures):
    reply = station_server.teach("lines", {"good": pictures.shown[:3], "bad": pictures.bad[:2]},
                                 headers={"Accept": "application/x-ndjson"})
    assert reply.headers["Content-Type"].startswith("application/x-ndjson")
    lines = [json.loads(line) for line in reply.body.splitlines()]
    assert len(lines) > 3 and all({"done", "of", "stage"} == set(line) for line in lines[:-1])
    assert all(0 <= line["done"] <= line["of"] for line in lines[:-1])
    assert lines[-1]["station"] == "lines" and lines[-1]["bad"] == 2


def test_an_error_after_the_first_line_is_the_last_line(station_server, pictures, tmp_path):
    broken = tmp_path / "torn.png"
    broken.write_bytes(pictures.shown[0].read_bytes()[:500])
    reply = station_server.teach("torn", {"good": [*pictures.shown[:3], broken]}, "?stream=1")
    last = json.loads(reply.body.splitlines()[-1])
    assert "torn.png" in last["error"] and last["code"] == "invalid"
    assert versions(station_server, "torn") == [] and station_server.uploads() == []


def test_the_old_version_answers_all_the_while(station_server, pictures):
    """Teaching again makes version 2; no request between fails or waits for it."""
    body, seen, stop = pictures.good[0].read_bytes(), [], threading.Event()

    def ask() -> None:
        while not stop.is_set():
            seen.append(station_server.ask("/v1/inspect/flange", body))

    asker = threading.Thread(target=ask)
    asker.start()
    reply = station_server.teach("flange", {"good": pictures.shown[:5]})
    stop.set()
    asker.join()
    assert reply.status == 200 and reply.json["version"] == "2"
    assert {one.status for one in seen} == {200} and seen[0].json["version"] == "1"
    assert station_server.ask("/v1/inspect/flange", body).json["version"] == "2"


def test_too_few_pictures(station_server, pictures):
    for count in (0, 1):
        files = {"good": pictures.shown[:count], "bad": pictures.bad[:1]}
        assert f"at least 2 pictures of good parts in the field 'good', got {count}" in refused(station_server, "few", files)


def test_pictures_of_mixed_sizes_are_named(station_server, pictures, tmp_path):
    import cv2
    other = tmp_path / "other.png"
    cv2.imwrite(str(other), cv2.imread(str(pictures.shown[0]))[:100, :90])
    sentence = refused(station_server, "mixed", {"good": [*pictures.shown[:2], other]})
    assert "other.png" in sentence and "90 x 100" in sentence and "320 x 240" in sentence


def test_a_broken_picture_is_named(station_server, pictures, tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("not a picture")
    assert "notes.txt" in refused(station_server, "broken", {"good": [*pictures.shown[:2], text]})


def test_unknown_fields_and_other_bodies_are_refused(station_server, pictures):
    assert "'best'" in refused(station_server, "field", {"best": pictures.shown[:2]})
    for kind in ("application/json", "image/png", "multipart/mixed; boundary=x", "multipart/form-data"):
        reply = station_server.ask("/v1/inspect/kind/teach", b"{}", {"Content-Type": kind})
        assert reply.status == 400 and len(reply.json["error"]) > 20
    assert versions(station_server, "kind") == []


@pytest.mark.parametrize("body", [
    b"", b"--x", b"--x\r\n", b"--y\r\n\r\n--y--\r\n", b"--x\r\nContent-Disposition: form-data; name=good\r\n\r\nabc",
    b"--x\r\nContent-Disposition: form-data; name=good; filename=a\r\n\r\nabc\r\n--x", b"\x00" * 5000,
    b"--x\r\nContent-Type: multipart/mixed; boundary=z\r\n\r\n--z\r\n\r\n--z--\r\n--x--\r\n",
])
def test_damaged_multipart_bodies_are_refused(station_server, body):
    reply = station_server.ask("/v1/inspect/damaged/teach", body, {"Content-Type": "multipart/form-data; boundary=x"})
    assert reply.status == 400 and "error" in reply.json
    assert station_server.uploads() == [] and versions(station_server, "damaged") == []


@pytest.mark.parametrize("name", [".hidden", "-flag", "a%20b", "%E5%B7%A5", "x" * 65, "a%2Fb", "..%2Fup"])
def test_names_that_are_no_station_names(station_server, pictures, name):
    sentence = refused(station_server, name, {"good": pictures.shown[:2]})
    assert "1 to 64" in sentence


def test_a_clients_file_names_cannot_leave_the_folder(tmp_path):
    names = ["../../etc/passwd", "..\\..\\x.png", "/abs.png", "", "...", "工件 1.png", "a" * 500 + ".png", "-rf", "a\0b"]
    for name in names:
        path = upload.free_path(tmp_path, name)
        assert path.parent == tmp_path
        path.touch(exist_ok=False)
    assert upload.free_path(tmp_path, "abs.png").name == "2-abs.png"


def test_a_second_teaching_at_once_is_told_to_wait(station_server, pictures):
    first = []
    thread = threading.Thread(target=lambda: first.append(station_server.teach("busy", {"good": pictures.shown})))
    thread.start()
    second = None
    while thread.is_alive():
        if any((station_server.models / ".aisle").glob("teach-*")):
            second = station_server.teach("busy", {"good": pictures.shown[:2]})
            break
    thread.join()
    assert first[0].status == 200
    assert second.status == 503 and int(second.headers["Retry-After"]) >= 1 and "busy" in second.json["error"]


def test_a_client_that_leaves_during_its_upload_leaves_nothing(station_server):
    where = urlsplit(station_server.address)
    with socket.create_connection((where.hostname, where.port)) as connection:
        connection.sendall(b"POST /v1/inspect/gone/teach HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n"
                           b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\nContent-Disposition: form-data; "
                           b'name="good"; filename="a.png"\r\n\r\n' + b"a" * 600_000)
        deadline = time.monotonic() + 20
        while not (arrived := list((station_server.models / ".aisle").glob("*/good/a.png"))) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert arrived
    assert station_server.uploads() == []
    assert versions(station_server, "gone") == []


def test_bounds_of_count_and_bytes(start_server, pictures):
    server = start_server("[pictures]\nmax_teach_pictures = 3\nmax_teach_mb = 1\n")
    assert "more than 3 pictures" in refused(server, "many", {"good": pictures.shown[:4]}, 413)
    body = b"--x\r\nContent-Disposition: form-data; name=good; filename=a\r\n\r\n" + bytes(3 << 20) + b"\r\n--x--\r\n"
    reply = server.ask("/v1/inspect/large/teach", body, {"Content-Type": "multipart/form-data; boundary=x"})
    assert reply.status == 413 and "1 MiB" in reply.json["error"]
    assert server.uploads() == []


def test_a_body_that_stalls_is_given_up(start_server):
    server = start_server("[server]\nbody_timeout_s = 0.5\n")
    where = urlsplit(server.address)
    with socket.create_connection((where.hostname, where.port)) as connection:
        connection.sendall(b"POST /v1/inspect/slow/teach HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n"
                           b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\nContent-Disposition: form-data; "
                           b'name="good"; filename="a.png"\r\n\r\nabc')
        connection.settimeout(30)
        assert b" 408 " in connection.recv(4096)
    assert server.uploads() == []


def test_teaching_can_be_switched_off(start_server, pictures):
    server = start_server("[repository]\ncontrol = false\n")
    assert "aisle teach" in refused(server, "off", {"good": pictures.shown[:2]}, 403)


def test_a_stop_during_teaching_ends_the_child_and_leaves_nothing_half_written(start_server, pictures):
    server = start_server()
    answers = []
    many = {"good": pictures.shown * 5}
    thread = threading.Thread(target=lambda: answers.append(server.teach("stopped", many, "?stream=1")))
    thread.start()
    children = f"/proc/{server.process.pid}/task/{server.process.pid}/children"
    child = ""
    while not child and thread.is_alive():
        with open(children) as file:
            child = file.read().split(" ")[0]
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(30) == 0
    thread.join()
    assert "shutting down" in answers[0].body.decode()
    with pytest.raises(ProcessLookupError):
        signal.pidfd_send_signal(os.pidfd_open(int(child)), 0)
    assert versions(server, "stopped") == []


async def test_a_full_disk_is_said_as_such(tmp_path):
    """The pool's write raises ENOSPC, as a full disk does."""
    import errno

    from aiohttp import web

    class Full:
        async def run(self, work, *arguments):
            if getattr(work, "__name__", "") == "write":
                raise OSError(errno.ENOSPC, "No space left on device")
            return work(*arguments)

    class Part:
        def at_eof(self):
            return False

        async def read_chunk(self, size):
            return b"abc"

    receiver = upload.Upload({"good": tmp_path}, Full(), 10, 1000, 5)
    with pytest.raises(web.HTTPInsufficientStorage, match="no space left"):
        await receiver._store(Part(), tmp_path / "a.png")
