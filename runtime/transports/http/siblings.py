"""How workers act as one server: what is asked of any of them, and concerns more than itself, goes where it belongs.

Most requests are answered where they arrive. Three kinds are not:
- what changes the server (load, unload, shared memory, trace and log settings) is done by every worker;
- what lives in one place (a job that remembers, teaching) is done by the keeper, worker 0;
- what counts (statistics, metrics, recent answers) is asked of every worker and put together.
Workers ask each other over Unix sockets in a folder that is the user's alone, with the caller's own headers, so that
whoever may not ask one may not ask another.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

from ...errors import Busy
from ...place import KEEPER, Place
from .answer import JSON, Answer
from .merge import merge_metrics, merge_recent, merge_stats
from .oip_control import OWNER_HEADER, is_local

log = logging.getLogger("aisle.workers")
MARK = "Aisle-Sibling"            # a request that a sibling sent: it is answered here
EVERYWHERE = re.compile(r"/v2/(repository/models/[^/]+/(load|unload)|(system|cuda)sharedmemory(/region/[^/]+)?/(un)?register"
                        r"|logging|trace/setting|models/[^/]+(/versions/[0-9]+)?/trace/setting)/?")
TEACHING = re.compile(r"/v1/[^/]+/[^/]+/teach/?")
MERGED = {re.compile(r"/metrics"): merge_metrics, re.compile(r"/v2/models/(.+/)?stats/?"): merge_stats,
          re.compile(r"/v1/[^/]+/[^/]+/recent/?"): merge_recent}
DROPPED = frozenset(("connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding", "date", "server"))
TIMEOUT = aiohttp.ClientTimeout(total=None, connect=5)


@dataclass(frozen=True)
class Told:
    """A sibling's whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Siblings:
    """The other workers, as one of them sees them."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._sessions: dict[int, aiohttp.ClientSession] = {}

    @property
    def keeps(self) -> bool:
        """Whether this worker is the keeper."""
        return self.place.number == KEEPER

    async def route(self, request: web.BaseRequest, stateful: bool) -> web.StreamResponse | None:
        """The answer where it is not this worker's alone to give, else None.

        `stateful` says that the path is of a job that remembers.
        """
        if asked_by_sibling(request):
            return None
        path = request.path
        if request.method == "POST" and EVERYWHERE.fullmatch(path):
            if "sharedmemory" in path and not is_local(request):
                return None                  # refused here: siblings cannot see where the caller is
            return await self._everywhere(request)
        if (stateful or TEACHING.fullmatch(path)) and not self.keeps:
            return await self._pass(request)
        if request.method == "GET":
            for pattern, merge in MERGED.items():
                if pattern.fullmatch(path):
                    return shown(merge(await self._all(request, b"")))
        return None

    async def _everywhere(self, request: web.BaseRequest) -> web.StreamResponse:
        """Every worker does it; the first that could not says why."""
        told = await self._all(request, await request.read())
        return shown(next((t for t in told if t.status >= 300), told[self.place.number]))

    async def _all(self, request: web.BaseRequest, body: bytes) -> list[Told]:
        """The request's answers from all workers, this one too, by number."""
        headers = passed(request.headers, self._owner(request))
        ask = (self.ask(n, request.method, request.path_qs, headers, body) for n in range(self.place.count))
        return list(await asyncio.gather(*ask))

    async def ask(self, number: int, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Told:
        """One worker's answer. Busy where it does not answer: it is being started again."""
        try:
            async with self._session(number).request(method, f"http://localhost{path}", headers=passed(headers), data=body,
                                                     skip_auto_headers=("User-Agent",)) as answer:
                return Told(answer.status, kept(answer.headers), await answer.read())
        except (aiohttp.ClientError, OSError) as error:
            log.warning("worker %d does not answer worker %d: %s", number, self.place.number, error)
            raise Busy(f"worker {number} of this server is being started; try again shortly") from None

    async def infer(self, name: str, version: str | None, headers: Mapping[str, str], body: Any) -> Answer:
        """The keeper's answer to an inference request that was read already."""
        path = f"/v2/models/{name}{f'/versions/{version}' if version else ''}/infer"
        told = await self.ask(KEEPER, "POST", path, headers, bytes(body))
        rest = tuple((key, value) for key, value in told.headers.items() if key.lower() != "content-type")
        return Answer(told.status, told.headers.get("Content-Type", JSON), (told.body,), rest)

    async def _pass(self, request: web.BaseRequest) -> web.StreamResponse:
        """The keeper's answer, piece by piece as it comes: teaching tells how far it is."""
        given = request.content if request.can_read_body else None
        try:
            async with self._session(KEEPER).request(request.method, f"http://localhost{request.path_qs}",
                                                     headers=passed(request.headers, self._owner(request)), data=given,
                                                     skip_auto_headers=("User-Agent",)) as answer:
                response = web.StreamResponse(status=answer.status, headers=kept(answer.headers))
                await response.prepare(request)
                async for piece in answer.content.iter_any():
                    await response.write(piece)
                await response.write_eof()
                return response
        except (aiohttp.ClientError, OSError) as error:
            log.warning("the keeper does not answer worker %d: %s", self.place.number, error)
            raise Busy("the worker of this server that holds this is being started; try again shortly") from None

    def _owner(self, request: web.BaseRequest) -> str:
        """What tells this caller from others, where it does not name itself: its connection."""
        return f"worker-{self.place.number}-{id(request.transport)}"

    def _session(self, number: int) -> aiohttp.ClientSession:
        session = self._sessions.get(number)
        if session is None:
            session = self._sessions[number] = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(str(self.place.socket(number)), limit=64), timeout=TIMEOUT,
                auto_decompress=False)
        return session

    async def close(self) -> None:
        """End the connections to the siblings."""
        for session in self._sessions.values():
            await session.close()


def asked_by_sibling(request: web.BaseRequest) -> bool:
    """Whether a sibling passed this on: only siblings reach a Unix socket, and only there the mark counts."""
    transport = request.transport
    return (MARK in request.headers and transport is not None
            and isinstance(transport.get_extra_info("sockname"), (str, bytes)))


def passed(headers: Mapping[str, str], owner: str = "") -> dict[str, str]:
    """The caller's headers for a sibling."""
    given = {name: value for name, value in headers.items() if name.lower() not in DROPPED - {"content-encoding"}}
    return ({OWNER_HEADER: owner} if owner else {}) | given | {MARK: "1"}


def kept(headers: Mapping[str, str]) -> dict[str, str]:
    """A sibling's headers for the caller."""
    return {name: value for name, value in headers.items() if name.lower() not in DROPPED}


def shown(told: Told) -> web.Response:
    """A whole answer."""
    return web.Response(status=told.status, headers=told.headers, body=told.body)
