"""Reading a request's body within bounds: size, time, decompressed size."""

from __future__ import annotations

import asyncio
import zlib

from aiohttp import web

from ...errors import Invalid, TooLarge, Unsupported
from .context import Context

HELD = web.RequestKey("held", int)     # bytes that a request's body holds; the frame gives them back when it is answered


def hold(request: web.BaseRequest, context: Context, size: int) -> None:
    """Count bytes of a body that came. Raises Busy where all bodies together would be too much."""
    context.bodies.hold(size)
    request[HELD] = request.get(HELD, 0) + size


async def read_body(request: web.BaseRequest, context: Context, limit: int | None = None) -> bytes:
    """The whole body, decompressed; at most `limit` bytes (default: the configuration's).

    Raises TooLarge, Invalid (damaged compression), Unsupported (unknown encoding), Busy, HTTPRequestTimeout.
    """
    server = context.config.server
    limit = limit or server.max_body_mb << 20
    declared = request.content_length
    if declared is not None and declared > limit:
        raise TooLarge(f"the request body has {declared} bytes and at most {limit} are accepted")
    content = request.content
    body = content.read_nowait() if content.is_eof() else b""   # the usual case: it came with the headers
    hold(request, context, len(body))
    if not content.at_eof():
        body += await read_rest(request, context, limit - len(body))
    encoding = request.headers.get("Content-Encoding")
    if encoding and encoding.lower() != "identity":
        bound = min(limit, server.max_json_mb << 20)
        if len(body) > 65536:
            return await context.pool.run(decompress, body, encoding, bound)
        return decompress(body, encoding, bound)
    return body


async def read_rest(request: web.BaseRequest, context: Context, limit: int) -> bytes:
    """What is still on its way."""
    pieces, size, timeout_s = [], 0, context.config.server.body_timeout_s
    try:
        async with asyncio.timeout(timeout_s):
            while chunk := await request.content.readany():
                size += len(chunk)
                if size > limit:
                    raise TooLarge(f"the request body is over {limit} bytes, the most that is accepted here")
                hold(request, context, len(chunk))
                pieces.append(chunk)
    except TimeoutError:
        raise web.HTTPRequestTimeout(reason=f"the request body had not arrived whole after {timeout_s:g} s; "
                                            f"{size} bytes came") from None
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """gzip or deflate (zlib wrapper or raw) within `limit` bytes of output."""
    if encoding.lower() not in ("gzip", "deflate"):
        raise Unsupported(f"unsupported Content-Encoding '{encoding}'; expected gzip or deflate")
    wbits = (31, 15) if body[:2] == b"\x1f\x8b" else (15, -15)
    for bits in wbits:
        inflate = zlib.decompressobj(bits)
        try:
            plain = inflate.decompress(body, limit + 1)
        except zlib.error as error:
            problem = str(error)
            continue
        if len(plain) > limit:
            raise TooLarge(f"the request body is over {limit} bytes once decompressed, the most that is accepted")
        if not inflate.eof:
            raise Invalid(f"the {encoding} body ends too early; send it whole")
        return plain
    raise Invalid(f"the request body is not valid {encoding}: {problem}")
