"""The client for asyncio: many calls at once, one to a slot over the lane, one to a connection over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

import numpy as np

from ..errors import AisleError, Busy, Failed
from ..lane_wire import MAX_MESSAGE, Changed
from .http import Http
from .inspection import Inspection, question, verdict
from .lane import Answer, Link, Opened, read_answer
from .results import Results
from .sync import TIMEOUT_S
from .ways import Model


class AsyncClient:
    """As `Client`; use it with `async with`. Over HTTP calls run on threads, at most `slots` at once."""

    def __init__(self, address: str, *, slots: int = 4, slot_mb: float = 4.0, timeout_s: float = TIMEOUT_S,
                 token: str = "") -> None:
        over_http = address.startswith(("http://", "https://"))
        self._way: AsyncHttp | AsyncLane = (
            AsyncHttp([Http(address, timeout_s, token) for _ in range(slots)]) if over_http
            else AsyncLane(lambda: Link(address.removeprefix("unix:"), slots, slot_mb, timeout_s), slots, timeout_s))

    async def infer(self, model: str, inputs: Mapping[str, Any], outputs: Sequence[str] = (), *, deadline_ms: float = 0,
                    priority: int = 0, version: str = "") -> Results:
        """See `Client.infer`. A call that is cancelled keeps its slot until the server has answered."""
        return await self._way.infer(model, inputs, outputs, deadline_ms, priority, version)

    async def inspect(self, station: str, image: bytes | np.ndarray, *, deadline_ms: float = 0,
                      priority: int = 0) -> Inspection:
        """See `Client.inspect`."""
        return verdict(await self.infer(station, question(image), deadline_ms=deadline_ms, priority=priority))

    async def models(self) -> list[Model]:
        """Everything that serves now."""
        return await self._way.models()

    async def ready(self) -> bool:
        """True when every required model serves."""
        return not await self._way.blockers()

    async def __aenter__(self) -> AsyncClient:
        await self._way.connect()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        await self._way.close()


class AsyncHttp:
    """Connections, each used by one call at a time."""

    def __init__(self, ways: list[Http]) -> None:
        self._ways = ways
        self._free: asyncio.Queue[Http] = asyncio.Queue()

    async def connect(self) -> None:
        for way in self._ways:
            self._free.put_nowait(way)

    async def _run(self, call: Callable[..., Any], *arguments: Any) -> Any:
        way = await self._free.get()
        work = asyncio.ensure_future(asyncio.to_thread(call, way, *arguments))
        work.add_done_callback(lambda _: self._free.put_nowait(way))     # also after a cancelled caller
        return await asyncio.shield(work)

    async def infer(self, *arguments: Any) -> Results:
        found: Results = await self._run(Http.infer, *arguments)
        return found

    async def models(self) -> list[Model]:
        found: list[Model] = await self._run(Http.models)
        return found

    async def blockers(self) -> str:
        return str(await self._run(Http.blockers))

    async def close(self) -> None:
        for way in self._ways:
            way.close()


class AsyncLane:
    """One connection whose answers may come in any order."""

    def __init__(self, connect: Callable[[], Link], slots: int, timeout_s: float) -> None:
        self._connect = connect
        self._timeout_s = timeout_s
        self._free: asyncio.Queue[int] = asyncio.Queue()
        self._slots = slots
        self._waiting: dict[int, tuple[asyncio.Future[Answer], int | None]] = {}
        self._link: Link | None = None

    async def connect(self) -> None:
        """Connecting and mapping take a few milliseconds: not on the loop."""
        self._link = await asyncio.to_thread(self._connect)
        self._link.sock.setblocking(False)
        for slot in range(self._slots):
            self._free.put_nowait(slot)
        asyncio.get_running_loop().add_reader(self._link.sock, self._readable)

    @property
    def link(self) -> Link:
        """The connection, while it is open."""
        if self._link is None:
            raise Failed("this client is not connected; use it with `async with`")
        return self._link

    def _readable(self) -> None:
        try:
            answer = read_answer(self.link.sock.recv(MAX_MESSAGE + 1))
        except BlockingIOError:
            return
        except (OSError, AisleError) as error:
            self._fail(Failed(f"the server has closed the lane: {error}"))
            return
        future, slot = self._waiting.pop(answer.number, (None, None))
        if future is not None and not future.done():
            future.set_result(answer)
        elif slot is not None:               # its caller went away: only now may the slot be used again
            self._free.put_nowait(slot)

    def _fail(self, error: Failed) -> None:
        if self._link is not None:
            asyncio.get_running_loop().remove_reader(self._link.sock)
            self._link.close()
            self._link = None
        for future, _ in self._waiting.values():
            if not future.done():
                future.set_exception(error)
        self._waiting.clear()

    async def _ask(self, number: int, message: bytes, slot: int | None = None) -> Answer:
        link = self.link
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = (future, slot)
        while True:
            try:
                link.sock.send(message)
                break
            except BlockingIOError:          # the server reads slower than we write: it always gets there
                await asyncio.sleep(0.001)
            except OSError as error:
                self._fail(Failed(f"the server has closed the lane: {error.strerror}"))
                break
        try:
            return await asyncio.wait_for(future, self._timeout_s)
        except TimeoutError:
            raise Failed(f"the server did not answer within the client's timeout of {self._timeout_s:g} s") from None

    async def _opened(self, model: str, version: str) -> Opened:
        known = self.link.opened.get((model, version))
        return known or self.link.keep_opened(model, version, await self._ask(*self.link.ask_open(model, version)))

    async def infer(self, model: str, inputs: Mapping[str, Any], outputs: Sequence[str], deadline_ms: float, priority: int,
                    version: str) -> Results:
        """A model whose tensors have changed is opened again once."""
        try:
            return await self._infer(model, inputs, outputs, deadline_ms, priority, version)
        except Changed:
            self.link.opened.pop((model, version), None)
            return await self._infer(model, inputs, outputs, deadline_ms, priority, version)

    async def _infer(self, model: str, inputs: Mapping[str, Any], outputs: Sequence[str], deadline_ms: float, priority: int,
                     version: str) -> Results:
        opened = await self._opened(model, version)
        slot = await self._free.get()
        number = 0
        try:
            link = self.link
            tensors, end = link.put(slot, opened, inputs)
            number = link.next_number()
            message = link.call(number, opened, slot, tensors, end, outputs, int(deadline_ms * 1e3), priority)
            return link.results(slot, (await self._ask(number, message, slot)).check(), opened, copy=True)
        finally:
            if number not in self._waiting:      # else the answer is still to come, and `_readable` frees the slot
                self._free.put_nowait(slot)

    async def models(self) -> list[Model]:
        """Asks on until all are told."""
        found: list[Model] = []
        while True:
            answer = (await self._ask(*self.link.ask_models(len(found)))).check()
            found += [Model(*line.split("\t")) for line in answer.tail.decode().splitlines()]
            if len(found) >= answer.value or not answer.tensors:
                return found

    async def blockers(self) -> str:
        """Empty, or the server's reasons."""
        try:
            (await self._ask(*self.link.ask_ready())).check()
        except Busy as error:
            return error.sentence
        return ""

    async def close(self) -> None:
        """Calls that are under way fail."""
        self._fail(Failed("this client was closed"))
