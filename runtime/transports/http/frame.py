"""The HTTP server around the handlers: access, limits, and every error as JSON."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import orjson
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from ...errors import AisleError, Busy, Failed, Invalid, Late, NotFound, TooLarge, Unsupported
from .access import Access
from .context import Context
from .health import Health
from .jobs import Jobs
from .oip import Oip
from .pages import Pages

log = logging.getLogger("aisle.http")

# Most specific first: TooLarge and Unsupported are kinds of Invalid.
STATUS = ((TooLarge, 413), (Unsupported, 501), (Invalid, 400), (NotFound, 404), (Busy, 503), (Late, 504), (Failed, 500))
WHILE_DRAINING = ("/v2/health", "/healthz", "/metrics")


def error_response(status: int, sentence: str, headers: dict[str, str] | None = None) -> web.Response:
    """`{"error": sentence}` with that status; the connection is kept."""
    return web.Response(body=orjson.dumps({"error": sentence}), status=status, headers=headers,
                        content_type="application/json")


def response_of(error: AisleError) -> web.Response:
    """An Aisle error as its HTTP answer."""
    status = next((code for kind, code in STATUS if isinstance(error, kind)), 500)
    headers = {"Retry-After": str(max(1, round(error.retry_after_s)))} if isinstance(error, Busy) else None
    if isinstance(error, Unsupported) and "Content-Encoding" in error.sentence:
        headers = {"Accept-Encoding": "gzip, deflate"}
    return error_response(status, error.sentence, headers)


class Frame:
    """Dispatches requests: inference straight to its handler, everything else through the router."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.access = Access(context.config.server, context.token)
        self.oip = Oip(context)
        self.app = web.Application()
        for part in (self.oip, Jobs(context), Health(context), Pages(context)):
            self.app.add_routes(part.routes())
        self.app.freeze()

    async def dispatch(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; nothing but a cancelled client leaves here as an exception."""
        context = self.context
        context.requests += 1
        context.in_flight += 1
        try:
            self.access.check(request)
            path = request.path
            if context.draining and not path.startswith(WHILE_DRAINING):
                raise Busy("the server is shutting down; send the request again in a few seconds", 5)
            if path.endswith("/infer") and request.method == "POST" and "Expect" not in request.headers:
                parts = path.split("/")
                if len(parts) == 5 and parts[1] == "v2" and parts[2] == "models":
                    return await self.oip.infer(request, parts[3], None)
            return await self._route(request)
        except AisleError as error:
            return response_of(error)
        except web.HTTPException as error:
            return self._http_error(error)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            return error_response(500, "the server failed on this request; its log says where. Please report it")
        finally:
            context.in_flight -= 1

    async def _route(self, request: web.BaseRequest) -> web.StreamResponse:
        # aiohttp offers no public way to hand a request to an application below an own server.
        return await self.app._handle(request)  # type: ignore[arg-type]

    @staticmethod
    def _http_error(error: web.HTTPException) -> web.StreamResponse:
        if error.status < 400:
            return web.Response(status=error.status, headers={"Location": error.headers.get("Location", "/")})
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        return error_response(error.status, error.reason, headers)


class Connection(RequestHandler):
    """aiohttp's connection, with JSON for malformed HTTP, a bound on connections and one on silent ones."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        manager = self._manager
        assert isinstance(manager, Server)
        limit = manager.max_connections
        if len(manager.connections) > limit and isinstance(transport, asyncio.Transport):
            body = orjson.dumps({"error": f"the server holds {limit} connections, its limit; try again shortly"})
            transport.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
                            b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            transport.close()
            return
        self._loop.call_later(manager.idle_timeout_s, self._close_if_silent)

    def _close_if_silent(self) -> None:
        """A connection whose first request never came whole is closed; later silence is aiohttp's keep-alive timer."""
        if self._request_count == 0 and self.transport is not None:
            self.transport.close()


    def handle_error(self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None,
                     message: str | None = None) -> web.StreamResponse:
        log.info("malformed request: %s", exc)
        if request.writer.output_size > 0:
            raise ConnectionError("part of the answer was already sent")
        text = (message or str(exc) or "the request is not valid HTTP").strip().splitlines()[0]
        response = error_response(status, f"malformed HTTP request: {text}" if status < 500 else
                                  "the server failed on this request; its log says where")
        response.force_close()
        return response


class Server(web.Server):
    """aiohttp's low-level server with our connections."""

    def __init__(self, context: Context, frame: Frame) -> None:
        settings = context.config.server
        self.max_connections = settings.max_connections
        self.idle_timeout_s = settings.idle_timeout_s
        self._max_body = settings.max_body_mb << 20
        super().__init__(frame.dispatch, request_factory=self._web_request, handler_cancellation=True,
                         access_log=None, auto_decompress=False, keepalive_timeout=settings.idle_timeout_s,
                         max_line_size=16384, max_field_size=16384)

    def _web_request(self, message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
        return web.Request(message, payload, protocol, writer, task, self._loop, client_max_size=self._max_body)

    def __call__(self) -> RequestHandler:
        return Connection(self, loop=self._loop, **self._kwargs)
