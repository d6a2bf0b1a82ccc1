"""Other serving runtimes, each in a throw-away environment that is made here and pinned to the server's core.

Every peer serves the same ONNX files through ONNX Runtime on one thread, with one worker, and takes the raw bytes of a
tensor (or a picture) at a path of its own: the least that it can be asked to do. Their sources lie in `servers/`.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..servers import Running, cores

ENVIRONMENTS = Path(__file__).parents[2] / ".bench-envs"
SERVERS = Path(__file__).parent / "servers"
COMMON = ("onnxruntime", "numpy", "opencv-python-headless")
INSTALL_S = 600
START_S = 60.0


@dataclass(frozen=True)
class Peer:
    """A runtime: what pip is asked for, and the command after its environment's python ({port} is put in)."""

    name: str
    packages: tuple[str, ...]
    command: tuple[str, ...]


PEERS = {
    "fastapi": Peer("FastAPI + uvicorn", ("fastapi", "uvicorn", "uvloop", "httptools"), (
        "-m", "uvicorn", "fastapi_server:app", "--port", "{port}", "--log-level", "error", "--no-access-log")),
    "mosec": Peer("mosec", ("mosec",), ("mosec_server.py", "--port", "{port}", "--log-level", "error")),
    "mlserver": Peer("MLServer", ("mlserver",), ("mlserver_server.py", "{port}")),
    "litserve": Peer("LitServe", ("litserve",), ("litserve_server.py", "{port}")),
    "bentoml": Peer("BentoML", ("bentoml",), ("-m", "bentoml", "serve", "bentoml_server:Peer", "--port", "{port}")),
}


def prepare(key: str, quick: bool) -> str:
    """"" once the peer's environment is there, else the reason why not. A quick run makes none."""
    folder, peer = ENVIRONMENTS / key, PEERS[key]
    if (folder / ".ready").is_file():
        return ""
    if quick:
        return "its environment is not made yet; a run without --quick makes it"
    python = folder / "bin" / "python"
    try:
        for command in ([sys.executable, "-m", "venv", "--clear", str(folder)],
                        [str(python), "-m", "pip", "install", "-q", *peer.packages, *COMMON]):
            subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_S)
    except (subprocess.SubprocessError, OSError) as error:
        return f"it could not be installed here ({type(error).__name__})"
    (folder / ".ready").touch()
    return ""


@contextlib.contextmanager
def running(key: str, models: Path) -> Iterator[Running]:
    """A prepared peer over `models`, which holds identity.onnx and net.onnx; RuntimeError where it does not start."""
    peer, port, begin = PEERS[key], free_port(), time.perf_counter()
    python = ENVIRONMENTS / key / "bin" / "python"
    environment = {**{k: v for k, v in os.environ.items() if k != "PYTHONPATH"}, "PEER_MODELS": str(models),
                   "BENTOML_DO_NOT_TRACK": "1", "OMP_NUM_THREADS": "1",
                   "BENTOML_CONFIG_OPTIONS": "api_server.logging.access.enabled=false"}
    with open(models / f"{key}.log", "w+") as log:
        process = subprocess.Popen([str(python), *(word.format(port=port) for word in peer.command)], cwd=SERVERS, stdout=log,
                                   stderr=log, env=environment, start_new_session=True,
                                   preexec_fn=lambda: os.sched_setaffinity(0, cores()[0]))
        try:
            if not answers(process, port):
                log.seek(0)
                raise RuntimeError(f"{peer.name} did not answer within {START_S:g} s; it said {log.read()[-300:]!r}")
            yield Running(port, process.pid, time.perf_counter() - begin)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 15)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)


def free_port() -> int:
    """A TCP port that nobody has at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


def answers(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the peer echoes a tensor through its model."""
    until, body = time.monotonic() + START_S, bytes(64)
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            request = urllib.request.Request(f"http://127.0.0.1:{port}/identity", body,
                                             {"Content-Type": "application/octet-stream"})
            with urllib.request.urlopen(request, timeout=5) as answer:
                if answer.read() == body:
                    return True
        time.sleep(0.1)
    return False
