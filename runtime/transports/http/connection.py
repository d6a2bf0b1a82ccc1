"""One connection: aiohttp's, with a short way for inference requests and JSON for malformed HTTP.

The short way reads `POST /v2/models/M[/versions/V]/infer` straight from the socket: no request object, no router,
the body lands once in its own memory. Whatever is not plainly such a request goes to aiohttp as it came, so there is
one parser for everything unusual. Measured with the overhead bench (see docs/serving.md).
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any, cast

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from .answer import Answer, error_answer
from .receive import Receiver

log = logging.getLogger("aisle.http")

INFER = re.compile(rb"POST /v2/models/([A-Za-z0-9_.-]+)(?:/versions/([0-9]+))?/infer HTTP/1\.1")
LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)?[ \t]*")
# These change how a message is framed or answered: aiohttp's business.
UNUSUAL = frozenset(("transfer-encoding", "expect", "content-encoding", "upgrade", "connection", "accept-encoding"))
USUAL_VALUES = {"connection": ("keep-alive", "Keep-Alive"), "accept-encoding": ("identity", "")}
MAX_HEAD = 16384
KEPT_HEADS, KEPT_HEAD = 64, 1024      # heads that are remembered with what they say, and the longest such in bytes
# Private names of aiohttp that tell when a connection is idle; without them the short way stays closed.
IDLE_MARKS = ("_waiter", "_messages", "_keepalive_handle", "_next_keepalive_close_time", "_keepalive_timeout",
              "_request_count")
SHORT_WAY = all(mark in RequestHandler.__slots__ for mark in IDLE_MARKS)

Infer = Callable[[str, str | None, dict[str, str], Any], Awaitable[Answer]]
Head = tuple[str, str | None, dict[str, str], int, int]


def read_head(data: bytes, known: dict[bytes, Head]) -> Head | None:
    """`parse_head`, remembered in `known`: a client's requests begin with the same bytes again and again."""
    end = data.find(b"\r\n\r\n", 0, KEPT_HEAD)
    if end < 0:
        return parse_head(data)
    text = data[:end]
    found = known.get(text)
    if found is None:
        found = parse_head(data)
        if found is not None:
            if len(known) >= KEPT_HEADS:
                known.clear()
            known[text] = found
    return found


def parse_head(data: bytes) -> Head | None:
    """(model, version, headers by lower-case name, start of the body, its length), or None for aiohttp."""
    end = data.find(b"\r\n\r\n", 0, MAX_HEAD)
    if end < 0:
        return None
    lines = data[:end].split(b"\r\n")
    found = INFER.fullmatch(lines[0])
    if found is None:
        return None
    headers: dict[str, str] = {}
    for line in lines[1:]:
        match = LINE.fullmatch(line)
        if match is None:
            return None
        name = match[1].decode("ascii").lower()
        value = (match[2] or b"").decode("ascii")
        if name in headers or (name in UNUSUAL and value not in USUAL_VALUES.get(name, ())):
            return None
        headers[name] = value
    length = headers.get("content-length", "")
    if not length.isdigit() or len(length) > 12 or "host" not in headers:
        return None
    version = found[2]
    return found[1].decode("ascii"), version.decode("ascii") if version else None, headers, end + 4, int(length)


def remaining(data: bytes) -> int:
    """Bytes still to come of the one message that starts with `data`; negative where that cannot be told."""
    end = data.find(b"\r\n\r\n", 0, MAX_HEAD)
    if end < 0:
        return -1
    head = data[:end].lower()
    if b"\r\ntransfer-encoding:" in head or b"\r\nupgrade:" in head:
        return -1
    lengths = re.findall(rb"\r\ncontent-length:[ \t]*([0-9]{1,12})[ \t]*(?=\r\n|$)", head)
    if len(lengths) != head.count(b"\r\ncontent-length:") or len(lengths) > 1:
        return -1
    return (int(lengths[0]) if lengths else 0) - (len(data) - end - 4)


class Connection(RequestHandler):
    """aiohttp's connection; `_slow` counts the bytes aiohttp is still to get of its message (negative: for ever)."""

    __slots__ = ("_held", "_parsed", "_receiver", "_slow", "_stash", "_task", "_timer")

    def __init__(self, manager: Any, **settings: Any) -> None:
        super().__init__(manager, **settings)
        self._slow = 0
        self._task: asyncio.Task[None] | None = None
        self._stash = b""
        self._receiver: Receiver | None = None       # from the first body that came in pieces on
        self._held: bytearray | None = None          # a body whose bytes are counted
        self._parsed: tuple[str, str | None, dict[str, str]] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        manager: Any = self._manager
        if len(manager.connections) > manager.max_connections:
            out = cast(asyncio.Transport, transport)   # uvloop's class is none of asyncio's
            refusal = error_answer(503, f"the server holds {manager.max_connections} connections, its limit; try again "
                                        "shortly", (("Retry-After", "1"), ("Connection", "close")))
            out.write(refusal.wire())
            out.close()
            return
        self._loop.call_later(manager.idle_timeout_s, self._close_if_silent)

    def _close_if_silent(self) -> None:
        """A connection whose first request never came whole is closed; later silence is aiohttp's keep-alive timer."""
        if self._request_count == 0 and self.transport is not None:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        if not data:                                 # aiohttp pokes itself so when it can go on parsing
            super().data_received(data)
        elif self._task is not None:
            self._stash += data                      # pipelined behind a request that is being answered
            if len(self._stash) > MAX_HEAD and self.transport is not None:
                self.transport.pause_reading()
        elif self._slow:
            self._slow = self._slow - len(data) if 0 < len(data) <= self._slow else -1
            super().data_received(data)
        elif not self._short(data):
            if self._receiver is not None:
                self._receiver.leave()
            self._slow = remaining(data)
            super().data_received(data)

    def _short(self, data: bytes) -> bool:
        """Take the request where it is plainly an inference request and this connection is idle."""
        if not data.startswith(b"POST /v2/models/") or not SHORT_WAY:
            return False
        waiter = self._waiter                        # None before aiohttp's own loop took its first step
        idle = self._request_count == 0 if waiter is None else not waiter.done()
        if not idle or self._messages:
            return False
        manager: Any = self._manager
        parsed = read_head(data, manager.heads)
        if parsed is None or parsed[4] > manager.max_body or not manager.bodies.room(parsed[4]):
            return False
        name, version, headers, start, length = parsed
        self._parsed = (name, version, headers)
        self._request_count += 1
        have = len(data) - start
        if have >= length:
            self._stash = data[start + length:]
            self._begin(data[start:start + length] if start + length < len(data) else data[start:])
            return True
        self._held = body = manager.bodies.take(length)
        body[:have] = data[start:]
        if self._receiver is None:
            self._receiver = Receiver(self, cast(asyncio.Transport, self.transport))
        self._receiver.begin(body, have)
        self._timer = self._loop.call_later(manager.body_timeout_s, self._too_slow)
        return True

    def body_done(self, body: bytearray) -> None:
        """The whole body is here."""
        if self._timer is not None:
            self._timer.cancel()
        self._begin(body)

    def _too_slow(self) -> None:
        receiver = self._receiver
        if receiver is not None and receiver.wanted and self.transport is not None:
            manager: Any = self._manager
            text = (f"the request body had not arrived whole after {manager.body_timeout_s:g} s; {receiver.filled} of "
                    f"{receiver.wanted} bytes came")
            self.transport.write(error_answer(408, text, (("Connection", "close"),)).wire())
            self.transport.close()

    def _begin(self, body: Any) -> None:
        assert self._parsed is not None
        manager: Any = self._manager
        wire = manager.infer_now(*self._parsed, body)
        if wire is None:
            self._task = self._loop.create_task(self._answer(*self._parsed, body))
        else:
            self._write(wire)

    async def _answer(self, name: str, version: str | None, headers: dict[str, str], body: Any) -> None:
        manager: Any = self._manager
        answer = await manager.infer(name, version, headers, body)
        self._task = None
        del body                                     # so that its memory can be used again
        # Do not join what is large.
        self._write(answer.wire() if answer.size < 65536 else (answer.head(), *answer.pieces))

    def _write(self, wire: bytes | tuple[bytes | memoryview, ...]) -> None:
        transport, self._parsed = self.transport, None
        self._release()
        if transport is None or transport.is_closing():
            return
        if isinstance(wire, bytes):
            transport.write(wire)
        else:
            transport.writelines(wire)
        if self._keepalive_handle is not None:       # aiohttp's idle timer runs: this connection is not idle
            self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if self._stash:
            stash, self._stash = self._stash, b""
            transport.resume_reading()
            self.data_received(stash)

    def _release(self) -> None:
        """The body's bytes count no more."""
        body, self._held = self._held, None
        if body is not None:
            manager: Any = self._manager
            manager.bodies.give(body)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._task is not None:
            self._task.cancel()
        if self._timer is not None:
            self._timer.cancel()
        if self._receiver is not None:
            self._receiver.drop()
            self._receiver = None
        self._release()
        super().connection_lost(exc)

    def handle_error(self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None,
                     message: str | None = None) -> web.StreamResponse:
        """Malformed HTTP gets JSON like every other error."""
        log.info("malformed request: %s", exc)
        if request.writer.output_size > 0:
            raise ConnectionError("part of the answer was already sent")
        text = (message or str(exc) or "the request is not valid HTTP").strip().splitlines()[0]
        made = error_answer(status, f"malformed HTTP request: {text}" if status < 500 else
                            "the server failed on this request; its log says where")
        response = web.Response(body=made.pieces[0], status=status, content_type=made.content_type)
        response.force_close()
        return response
