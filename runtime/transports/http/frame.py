"""The HTTP server around the handlers: access, limits, and every error as JSON."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from ...errors import AisleError, Busy
from ...workloads import WORKLOADS, make_workload
from .access import Access
from .answer import Answer, answer_of, error_answer
from .body import HELD
from .connection import Connection, Head
from .context import Context
from .health import Health
from .jobs import Jobs
from .oip import Oip
from .pages import Pages
from .siblings import Siblings

log = logging.getLogger("aisle.http")

DRAINING = "the server is shutting down; send the request again in a few seconds"
WHILE_DRAINING = ("/v2/health", "/healthz", "/metrics")


def error_response(status: int, sentence: str, headers: dict[str, str] | None = None) -> web.Response:
    """`{"error": sentence}` with that status; the connection is kept."""
    return response_of(error_answer(status, sentence, tuple((headers or {}).items())))


def response_of(answer: Answer) -> web.Response:
    """An answer as aiohttp's response."""
    body = answer.pieces[0] if len(answer.pieces) == 1 else b"".join(answer.pieces)
    return web.Response(body=body, status=answer.status,
                        headers={"Content-Type": answer.content_type, **dict(answer.headers)})


class Frame:
    """Answers requests: inference the short way, everything else through the router."""

    def __init__(self, context: Context, siblings: Siblings | None = None) -> None:
        self.context = context
        self.siblings = siblings             # where several workers share the port
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
            if context.draining and not request.path.startswith(WHILE_DRAINING):
                raise Busy(DRAINING, 5)
            if self.siblings is not None:
                elsewhere = await self.siblings.route(request, remembers(context, request.path))
                if elsewhere is not None:
                    return elsewhere
            return await self._route(request)
        except AisleError as error:
            return response_of(answer_of(error))
        except web.HTTPException as error:
            return self._http_error(error)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            return error_response(500, "the server failed on this request; its log says where. Please report it")
        finally:
            context.in_flight -= 1
            context.bodies.held -= request.get(HELD, 0)

    async def infer(self, name: str, version: str | None, headers: dict[str, str], body: Any) -> Answer:
        """The short way of an inference request whose body is here; see connection.py."""
        started = time.perf_counter_ns()
        context = self.context
        context.requests += 1
        context.in_flight += 1
        try:
            self.access.check_headers(f"/v2/models/{name}/infer", headers)
            if context.draining:
                raise Busy(DRAINING, 5)
            if self.siblings is not None and not self.siblings.keeps and model_remembers(context, name):
                return await self.siblings.infer(name, version, headers, body)
            return await self.oip.answer(name, version, headers, body, started)
        except AisleError as error:
            return answer_of(error)
        except web.HTTPException as error:
            return error_answer(error.status, error.reason)
        except Exception:
            log.exception("inference with model %s failed", name)
            return error_answer(500, "the server failed on this request; its log says where. Please report it")
        finally:
            context.in_flight -= 1

    def infer_now(self, name: str, version: str | None, headers: dict[str, str], body: Any) -> bytes | None:
        """The shortest way: the whole HTTP answer before anything else happens on the loop, or None for `infer`."""
        started = time.perf_counter_ns()
        context = self.context
        if context.draining or "accept-encoding" in headers:
            return None
        try:
            self.access.check_headers(f"/v2/models/{name}/infer", headers)
            wire = self.oip.answer_now(name, version, headers, body, started)
        except AisleError as error:
            wire = answer_of(error).wire()
        except web.HTTPException as error:
            wire = error_answer(error.status, error.reason).wire()
        except Exception:
            log.exception("inference with model %s failed", name)
            wire = error_answer(500, "the server failed on this request; its log says where. Please report it").wire()
        context.requests += wire is not None
        return wire

    async def _route(self, request: web.BaseRequest) -> web.StreamResponse:
        # aiohttp offers no public way to hand a request to an application below an own server.
        return await self.app._handle(request)  # type: ignore[arg-type]

    @staticmethod
    def _http_error(error: web.HTTPException) -> web.StreamResponse:
        if error.status < 400:
            return web.Response(status=error.status, headers={"Location": error.headers.get("Location", "/")})
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        return error_response(error.status, error.reason, headers)


def remembers(context: Context, path: str) -> bool:
    """Whether a path belongs to a job that keeps something between requests: then one worker answers for all."""
    parts = path.strip("/").split("/")
    if parts[0] == "v1" and len(parts) > 1:
        return parts[1] not in WORKLOADS or hasattr(make_workload(parts[1]), "restore")
    return parts[:2] == ["v2", "models"] and len(parts) > 3 and parts[-1] == "infer" and model_remembers(context, parts[2])


def model_remembers(context: Context, name: str) -> bool:
    """The same for the model of that name, where it is a job's."""
    try:
        return hasattr(context.repository.get(name).workload, "restore")
    except AisleError:
        return False


class Server(web.Server):
    """aiohttp's low-level server with our connections; what those read of it is set here."""

    def __init__(self, context: Context, frame: Frame) -> None:
        settings = context.config.server
        self.max_connections = settings.max_connections
        self.idle_timeout_s = settings.idle_timeout_s
        self.body_timeout_s = settings.body_timeout_s
        self.max_body = settings.max_body_mb << 20
        self.infer = frame.infer
        self.infer_now = frame.infer_now
        self.bodies = context.bodies
        self.heads: dict[bytes, Head] = {}
        super().__init__(frame.dispatch, request_factory=self._web_request, handler_cancellation=True,
                         access_log=None, auto_decompress=False, keepalive_timeout=settings.idle_timeout_s,
                         max_line_size=16384, max_field_size=16384)

    def _web_request(self, message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
        return web.Request(message, payload, protocol, writer, task, self._loop, client_max_size=self.max_body)

    def __call__(self) -> RequestHandler:
        return Connection(self, loop=self._loop, **self._kwargs)
