"""A taught station and a real server process in front of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from aisle.models.make import parts
from aisle.runtime.pictures import encode_png
from aisle.runtime.teaching import teach_station

STATION = "flange"


def small(image: np.ndarray) -> np.ndarray:
    """A made part at half size, which teaches four times as fast."""
    return cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


@dataclass(frozen=True)
class Pictures:
    """PNG bytes and files of made parts: `shown` were taught, `good` and `bad` were not."""

    shown: list[Path]
    good: list[Path]
    bad: list[Path]


@dataclass(frozen=True)
class Reply:
    """What the server answered."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class StationServer:
    """A running server and its model folder."""

    process: subprocess.Popen[str]
    address: str
    models: Path
    headers: dict[str, str] = field(default_factory=dict)

    def ask(self, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Reply:
        """GET, or POST where there is a body."""
        kind = {"Content-Type": "application/octet-stream"} if body is not None else {}
        request = urllib.request.Request(self.address + path, data=body, headers={**kind, **self.headers, **(headers or {})})
        try:
            with urllib.request.urlopen(request, timeout=120) as reply:
                return Reply(reply.status, reply.headers, reply.read())
        except urllib.error.HTTPError as error:
            return Reply(error.code, error.headers, error.read())

    def teach(self, name: str, files: dict[str, list[Path]], query: str = "",
              headers: dict[str, str] | None = None) -> Reply:
        """POST pictures as multipart."""
        body, kind = multipart([(f, p.name, p.read_bytes()) for f, paths in files.items() for p in paths])
        return self.ask(f"/v1/inspect/{name}/teach{query}", body, {"Content-Type": kind, **(headers or {})})

    def uploads(self) -> list[Path]:
        """What uploads left on disk; waits a moment for what is being removed."""
        for _ in range(100):
            left = sorted((self.models / ".aisle").glob("*"))
            if not left:
                break
            time.sleep(0.05)
        return left


def multipart(items: list[tuple[str, str, bytes]], boundary: str = "aisle-test-boundary") -> tuple[bytes, str]:
    """(body, content type) of form data with files."""
    pieces = []
    for name, filename, content in items:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n\r\n'
        pieces.append(head.encode() + content + b"\r\n")
    return b"".join(pieces) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Pictures:
    """Eight good parts to show, three unseen good ones, one of each defect."""
    folder = tmp_path_factory.mktemp("pictures")

    def write(name: str, image: np.ndarray) -> Path:
        path = folder / f"{name}.png"
        path.write_bytes(encode_png(small(image)))
        return path

    return Pictures([write(f"shown-{i}", parts.good(i)) for i in range(8)],
                    [write(f"good-{i}", parts.good(500 + i)) for i in range(3)],
                    [write(f"bad-{kind}", parts.defective(600 + i, kind)[0]) for i, kind in enumerate(parts.DEFECTS)])


@pytest.fixture(scope="session")
def taught(tmp_path_factory: pytest.TempPathFactory, pictures: Pictures) -> Path:
    """A model folder with one taught station; copy it before changing it."""
    models = tmp_path_factory.mktemp("taught")
    teach_station(STATION, pictures.shown, [], models)
    return models


@pytest.fixture(scope="module")
def start_server(taught: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., StationServer]]:
    """Starts servers, each over its own copy of the taught folder; keywords are environment variables."""
    running: list[StationServer] = []

    def start(config: str = "", **environment: str) -> StationServer:
        folder = tmp_path_factory.mktemp("server")
        shutil.copytree(taught, folder / "models")
        (folder / "aisle.toml").write_text(config)
        process = subprocess.Popen(
            [sys.executable, "-m", "aisle.runtime", "serve", "--config", str(folder / "aisle.toml"), "--models",
             str(folder / "models"), "--port", "0"], stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})
        assert process.stdout is not None
        line = process.stdout.readline()
        address = next(word for word in line.split() if word.startswith("http"))
        running.append(StationServer(process, address, folder / "models"))
        wait_ready(running[-1])
        return running[-1]

    yield start
    for one in running:
        one.process.terminate()
        assert one.process.wait(30) == 0


def wait_ready(server: StationServer) -> None:
    """Until the station serves."""
    for _ in range(600):
        if server.ask("/healthz").status == 200:
            return
        time.sleep(0.05)
    raise AssertionError(server.ask("/healthz").body)


@pytest.fixture(scope="module")
def station_server(start_server: Callable[..., StationServer]) -> StationServer:
    """One server for a module's tests."""
    return start_server()
