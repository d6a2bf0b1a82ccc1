"""A taught station, a real server process in front of it, a real browser, and a server with a lane for local clients."""

from __future__ import annotations

import base64
import fcntl
import json
import mmap
import os
import shutil
import socket
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
from aisle.models.make import blocks_map, parts
from aisle.runtime import lane_wire as wire
from aisle.runtime.client.lane import Answer, read_answer
from aisle.runtime.pictures import encode_png
from aisle.runtime.teaching import teach_station

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps",
         "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"    # the key of a found element in WebDriver's replies
PATIENCE_S = 60
STATION = "flange"
SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW


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


class Browser:
    """A headless Chromium, driven over WebDriver's HTTP."""

    def __init__(self, port: int, profile: Path, language: str = "en-US") -> None:
        self.root = f"http://127.0.0.1:{port}"
        options = {"binary": CHROMIUM, "args": [*FLAGS, f"--user-data-dir={profile}", f"--lang={language}",
                                                "--window-size=1920,1080"],
                   "prefs": {"intl.accept_languages": language}}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options,
                  "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        made = self._send("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.root += f"/session/{made['sessionId']}"

    def _send(self, method: str, path: str, told: Any = None) -> Any:
        data = json.dumps(told or {}).encode() if method == "POST" else None
        request = urllib.request.Request(self.root + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as reply:
                return json.loads(reply.read())["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error.read().decode()[:600]}") from None

    def open(self, url: str) -> None:
        self._send("POST", "/url", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        """The value of a piece of JavaScript."""
        return self._send("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def find(self, css: str) -> str:
        return self._send("POST", "/element", {"using": "css selector", "value": css})[ELEMENT]

    def click(self, css: str) -> None:
        self._send("POST", f"/element/{self.find(css)}/click")

    def type(self, css: str, text: str) -> None:
        """Type text, or choose files (paths, one a line)."""
        self._send("POST", f"/element/{self.find(css)}/value", {"text": text})

    def text(self, css: str) -> str:
        return self.run("return document.querySelector(arguments[0]).innerText", css)

    def until(self, script: str, *arguments: Any) -> Any:
        """Wait until a piece of JavaScript is true."""
        for _ in range(PATIENCE_S * 20):
            value = self.run(script, *arguments)
            if value:
                return value
            time.sleep(0.05)
        raise AssertionError(f"never true: {script}\npage: {self.text('body')}")

    def size(self, width: int, height: int) -> None:
        self._send("POST", "/window/rect", {"width": width, "height": height})

    def picture(self, name: str) -> None:
        """Keep a screenshot where AISLE_SCREENSHOTS names a folder."""
        if folder := os.environ.get("AISLE_SCREENSHOTS"):
            Path(folder, f"{name}.png").write_bytes(base64.b64decode(self._send("GET", "/screenshot")))

    def complaints(self) -> list[str]:
        return [entry["message"] for entry in self._send("POST", "/se/log", {"type": "browser"})
                if entry["level"] in ("SEVERE", "WARNING")]

    def asked(self) -> set[str]:
        """Every URL that the page asked for."""
        messages = [json.loads(e["message"])["message"] for e in self._send("POST", "/se/log", {"type": "performance"})]
        return {m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"}

    def close(self) -> None:
        self._send("DELETE", "")


@pytest.fixture(scope="module")
def driver() -> Iterator[int]:
    """A running ChromeDriver; its port. Skips where no browser is installed."""
    if not (CHROMIUM and DRIVER):
        pytest.skip("chromium and chromedriver are not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([str(DRIVER), f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(200):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=5).close()
            break
        except urllib.error.URLError:
            time.sleep(0.05)
    yield port
    process.terminate()
    process.wait(20)


@pytest.fixture
def open_browser(driver: int, tmp_path: Path) -> Iterator[Callable[..., Browser]]:
    """Opens browsers, by language; all are closed at the end."""
    opened: list[Browser] = []

    def make(language: str = "en-US") -> Browser:
        opened.append(Browser(driver, tmp_path / f"profile-{len(opened)}", language))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


@pytest.fixture
def browser(open_browser: Callable[..., Browser]) -> Browser:
    return open_browser()


# ---- the lane

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
    """The tiny models, the station `flange` and the map `town`."""
    models = tmp_path_factory.mktemp("lane-models")
    for source in (server.models, taught):
        shutil.copytree(source, models, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".aisle"))
    blocks_map.make(models, "town", 4, 4)
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
