"""Teaching over HTTP: pictures to a folder, a child process that learns from them, progress as lines, then the switch."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from ...errors import AisleError, Busy, Failed, Invalid, TooLarge
from ...teaching import LEAST_GOOD, check_name
from .context import Context
from .upload import Upload, storage_error

log = logging.getLogger("aisle.teach")

NICE = 10               # below the serving threads
LINE = 1 << 20          # most bytes of one line of the child
NDJSON = "application/x-ndjson"
Tell = Callable[[dict[str, Any]], Awaitable[None]]


class Teaching:
    """One teaching at a time, in a process of its own, so that serving stays fast and a crash stays there."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._station: str | None = None    # being taught now
        self._tasks: set[asyncio.Task[None]] = set()

    async def teach(self, request: web.Request, name: str) -> web.StreamResponse:
        """Pictures in the multipart fields `good` and `bad`; JSON at the end, or NDJSON progress where accepted."""
        if not self.context.config.repository.control:
            raise web.HTTPForbidden(reason="teaching over the network is switched off (repository.control = false); "
                                           "use `aisle teach` on the machine itself")
        check_name(name)
        if self._station is not None:
            raise Busy(f"station {self._station!r} is being taught; the server teaches one station at a time", 10)
        self._station = name
        try:
            return await self._with_folder(request, name)
        finally:
            self._station = None

    async def _with_folder(self, request: web.Request, name: str) -> web.StreamResponse:
        try:
            folder = await self.context.pool.run(make_folder, self.context.state_dir)
        except OSError as error:
            raise storage_error(error, self.context.state_dir) from None
        try:
            await self._receive(request, folder)
            if request.query.get("stream") == "1" or NDJSON in request.headers.get("Accept", ""):
                return await self._streamed(request, name, folder)
            result = await self._learn(name, folder, nothing)
            return web.Response(body=orjson.dumps(result), content_type="application/json")
        finally:
            self._remove_later(folder)

    async def _receive(self, request: web.Request, folder: Path) -> None:
        bounds, server = self.context.config.pictures, self.context.config.server
        upload = Upload({"good": folder / "good", "bad": folder / "bad"}, self.context.pool, bounds.max_teach_pictures,
                        bounds.max_teach_mb << 20, server.body_timeout_s)
        await upload.receive(request)
        good = upload.seen.get("good", 0)
        if good < LEAST_GOOD:
            raise Invalid(f"teaching needs at least {LEAST_GOOD} pictures of good parts in the field 'good', got {good}; "
                          "20 make a useful start")

    async def _streamed(self, request: web.Request, name: str, folder: Path) -> web.StreamResponse:
        """Lines {"done", "of", "stage"}, then the result; an error that comes after the first line is a line too."""
        stream = web.StreamResponse(headers={"Content-Type": NDJSON, "Cache-Control": "no-store"})

        async def tell(line: dict[str, Any]) -> None:
            if not stream.prepared:
                await stream.prepare(request)
            await stream.write(orjson.dumps(line) + b"\n")

        try:
            await tell(await self._learn(name, folder, tell))
        except AisleError as error:
            if not stream.prepared:
                raise
            await tell({"error": error.sentence, "code": error.code})
        await stream.write_eof()
        return stream

    async def _learn(self, name: str, folder: Path, tell: Tell) -> dict[str, Any]:
        """Run the child to its end, then serve what it made. The old version serves until then."""
        result = await self._child(name, folder, tell)
        await tell({"done": 0, "of": 1, "stage": "load"})
        await self.context.repository.load(name)
        return result

    async def _child(self, name: str, folder: Path, tell: Tell) -> dict[str, Any]:
        bounds = self.context.config.pictures
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "aisle.runtime", "teach", name, "--good", str(folder / "good"),
            "--bad", str(folder / "bad"), "--models", str(self.context.repository.root), "--json-progress", "--every-file",
            "--nice", str(NICE), "--max-megapixels", f"{bounds.max_megapixels:g}",
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, limit=LINE)   # its log is ours
        watcher = asyncio.get_running_loop().create_task(self._kill_at_stop(process))
        last: dict[str, Any] = {}
        try:
            assert process.stdout is not None
            while line := await process.stdout.readline():
                last = orjson.loads(line)
                if "stage" in last:
                    await tell(last)
            code = await process.wait()
        finally:
            watcher.cancel()
            if process.returncode is None:
                process.kill()
                await process.wait()
        return self._outcome(name, code, last)

    def _outcome(self, name: str, code: int, last: dict[str, Any]) -> dict[str, Any]:
        """The child's last line: its result, or the error that it says."""
        if "result" in last:
            return {key: value for key, value in last["result"].items() if key != "path"}   # our folders are ours
        if "error" in last:
            kinds = {kind.code: kind for kind in (Invalid, TooLarge, Busy)}
            raise kinds.get(last.get("code", ""), Failed)(last["error"])
        if self.context.stopping.is_set():
            raise Busy("the server is shutting down and stopped teaching; nothing was changed. Teach again later", 5)
        log.error("teaching %s ended with code %d and no result", name, code)
        raise Failed(f"teaching stopped with exit code {code} before it was done (-9 usually means that the machine ran "
                     "out of memory); nothing was changed. Teach with fewer or smaller pictures")

    async def _kill_at_stop(self, process: asyncio.subprocess.Process) -> None:
        await self.context.stopping.wait()
        process.kill()

    def _remove_later(self, folder: Path) -> None:
        """Delete an upload on the pool; also for a caller that went away, hence a task of its own."""
        task = asyncio.get_running_loop().create_task(self._remove(folder))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _remove(self, folder: Path) -> None:
        while True:
            try:
                await self.context.pool.run(shutil.rmtree, folder, True)
                return
            except Busy:
                await asyncio.sleep(0.1)


async def nothing(line: dict[str, Any]) -> None:
    """Tells nobody."""


def make_folder(state: Path) -> Path:
    """A fresh folder for one upload; those of server processes that died are removed first."""
    state.mkdir(parents=True, exist_ok=True)
    for old in state.glob("teach-*-*"):
        pid = old.name.split("-")[1]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(old, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"teach-{os.getpid()}-", dir=state))
    for field in ("good", "bad"):
        (folder / field).mkdir()
    return folder
