"""Servers as child processes, pinned to a core of their own."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


def page_server(before: str, path: str, handler: str) -> str:
    """The source of a home-made aiohttp + uvloop server: `handler` of (request) answers POSTs to `path`."""
    return f"""
import asyncio, uvloop
from aiohttp import web
{before}
async def answer(request):
    {handler}
async def main():
    app = web.Application(client_max_size=1 << 30)
    app.router.add_post({path!r}, answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print("http://127.0.0.1:%d" % runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()
uvloop.run(main())
"""


ECHO = page_server("", "/echo", 'return web.Response(body=await request.read(), content_type="application/octet-stream")')


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    port: int
    pid: int
    ready_s: float


@functools.cache
def cores() -> tuple[set[int], set[int]]:
    """(server's, client's) cores: one each where the machine has two.

    Asked of the machine once: a bench that has moved to the client's core must not start its servers there too.
    """
    have = sorted(os.sched_getaffinity(0))
    return ({have[0]}, {have[1]}) if len(have) > 1 else (set(have), set(have))


@contextlib.contextmanager
def on_client_core() -> Iterator[None]:
    """This process runs on the client's core meanwhile."""
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores()[1])
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)


@contextlib.contextmanager
def child(command: list[str], ready_path: str | None) -> Iterator[Running]:
    """Start a server on the server's core and wait until it is ready; it is stopped at the end."""
    begin = time.perf_counter()
    server_cores, _ = cores()
    environment = {k: v for k, v in os.environ.items() if k not in ("AISLE_TOKEN", "PYTHONPATH")}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment,
                               preexec_fn=lambda: os.sched_setaffinity(0, server_cores))
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"://127\.0\.0\.1:(\d+)", line)
        if not found:
            raise RuntimeError(f"{command[:4]} did not start; it said {line!r}")
        port = int(found[1])
        if ready_path:
            wait_ready(f"http://127.0.0.1:{port}{ready_path}")
        yield Running(port, process.pid, time.perf_counter() - begin)
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()


def wait_ready(url: str, limit_s: float = 60) -> None:
    """Ask until the answer is 200."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            urllib.request.urlopen(url, timeout=5).close()
            return
        time.sleep(0.005)
    raise RuntimeError(f"{url} was not ready within {limit_s:g} s")


def aisle(models: Path) -> contextlib.AbstractContextManager[Running]:
    """Our server over a folder of models."""
    return child([sys.executable, "-m", "aisle.runtime", "serve", "--models", str(models), "--port", "0",
                  "--log-level", "warning"], "/v2/health/ready")


def echo() -> contextlib.AbstractContextManager[Running]:
    """The peer: a bare aiohttp + uvloop server that sends the body back."""
    return child([sys.executable, "-c", ECHO], None)
