"""A server with a lane over every kind of model and one taught station, and clients that speak raw messages to it."""

from __future__ import annotations

import fcntl
import mmap
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aisle.runtime import lane_wire as wire
from aisle.runtime.client.lane import Answer, read_answer

SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW


def memory(size: int, seals: int = SEALS, flags: int = os.MFD_ALLOW_SEALING) -> int:
    """A memfd of that size with these seals."""
    descriptor = os.memfd_create("lane-test", flags | os.MFD_CLOEXEC)
    os.ftruncate(descriptor, size)
    if seals:
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    return descriptor


class Raw:
    """A client without manners: sends any bytes with any descriptors."""

    def __init__(self, path: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(20)
        self.sock.connect(path)
        self.memory: mmap.mmap | None = None

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def hello(self, descriptors: list[int], slot_bytes: int = 1 << 16, slots: int = 4, *, keep: bool = False) -> Answer:
        """Share memory; the descriptors are closed on this side unless `keep`."""
        message = wire.HELLO_BYTES.pack(wire.HELLO, wire.PROTOCOL, wire.MAGIC, slot_bytes, slots, 0)
        try:
            socket.send_fds(self.sock, [message], descriptors)
            return self.answer()
        finally:
            for descriptor in () if keep else descriptors:
                os.close(descriptor)

    def share(self, slot_bytes: int = 1 << 16, slots: int = 4) -> Raw:
        """Share good memory."""
        descriptor = memory(slot_bytes * slots)
        self.memory = mmap.mmap(descriptor, slot_bytes * slots)
        assert self.hello([descriptor], slot_bytes, slots).status == wire.OK
        return self

    def ask(self, message: bytes) -> Answer:
        self.sock.send(message)
        return self.answer()

    def answer(self) -> Answer:
        return read_answer(self.sock.recv(wire.MAX_MESSAGE + 1))

    def open(self, name: str) -> int:
        answer = self.ask(wire.HEAD.pack(wire.OPEN, 0, 9) + name.encode())
        assert answer.status == wire.OK, answer.tail
        return answer.value


@dataclass
class LaneServer:
    """A running server, its lane, and its other door."""

    served: Any
    path: str

    @property
    def http(self) -> str:
        return f"http://{self.served.address}"

    def raw(self) -> Raw:
        return Raw(self.path)

    def holds(self) -> tuple[int, int]:
        """(open descriptors, mappings of clients' memory) of the server's process."""
        proc = Path(f"/proc/{self.served.process.pid}")
        return len(os.listdir(proc / "fd")), (proc / "maps").read_text().count("/memfd:")

    def settles(self, wanted: tuple[int, int]) -> None:
        """It comes down to what it held before; connections end a moment after their client."""
        for _ in range(200):
            if all(now <= then for now, then in zip(self.holds(), wanted, strict=True)):
                return
            time.sleep(0.02)
        raise AssertionError(f"the server holds {self.holds()} (descriptors, mappings), before it was {wanted}")


@pytest.fixture(scope="session")
def lane_models(server: Any, taught: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny models and the station `flange`."""
    models = tmp_path_factory.mktemp("lane-models")
    for source in (server.models, taught):
        shutil.copytree(source, models, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".aisle"))
    return models


@pytest.fixture(scope="session")
def lane_server(launch: Callable[..., Any], lane_models: Path, tmp_path_factory: pytest.TempPathFactory
                ) -> Iterator[LaneServer]:
    """One server for the whole run."""
    folder = tmp_path_factory.mktemp("lane")
    path = folder / "lane.socket"
    (folder / "aisle.toml").write_text(f'[lane]\nsocket = "{path}"\nmax_connections = 24\nmax_client_mb = 32\n'
                                       "max_total_mb = 128\n")
    one = launch(lane_models, "--config", str(folder / "aisle.toml"), "--log-level", "warning")
    yield LaneServer(one, str(path))
    assert one.process.poll() is None


@pytest.fixture(scope="session")
def make_memory() -> Callable[..., int]:
    """See `memory`."""
    return memory


@pytest.fixture(scope="session")
def raw_client() -> type[Raw]:
    """See `Raw`."""
    return Raw
