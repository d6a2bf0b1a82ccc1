"""The Open Inference Protocol v2 over HTTP, with Triton's extensions: inference, health, metadata, statistics."""

from __future__ import annotations

import time
from typing import Any
from weakref import WeakKeyDictionary

from aiohttp import web

from .... import __version__
from ...errors import Busy, NotFound
from ...served import Served
from .body import read_body
from .context import Context
from .oip_control import OipControl, reply
from .oip_describe import metadata, model_config
from .oip_request import LENGTH_HEADER, RAW, json_length, read_request
from .oip_response import compress, encode, weight
from .oip_wishes import Face

# Only what works here.
EXTENSIONS = ["classification", "sequence", "model_repository", "schedule_policy", "model_configuration",
              "system_shared_memory", "binary_tensor_data", "parameters", "statistics", "trace", "logging"]
INLINE_BYTES = 1 << 16       # JSON and strings beyond it are handled on the pool, to keep the event loop answering
BINARY, JSON = "application/octet-stream", "application/json"
VERSION = "/versions/{version:[0-9]+}"


class Oip:
    """Handlers of /v2; `infer` is also called directly by the frame."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.repository = context.repository
        self.control = OipControl(context)
        self.regions = self.control.regions
        self.trace = self.control.trace
        self.max_json = context.config.server.max_json_mb << 20
        self.compresses = context.config.server.compress == "explicit"
        self._faces: WeakKeyDictionary[Served, Face] = WeakKeyDictionary()

    def routes(self) -> list[web.RouteDef]:
        """Every route of the protocol."""
        model = "/v2/models/{name}"
        routes = [web.get(path, handler) for path, handler in (
            ("/v2", self.server), ("/v2/", self.server), ("/v2/models/stats", self.stats),
            ("/v2/health/live", self.live), ("/v2/health/live/", self.live),
            ("/v2/health/ready", self.ready), ("/v2/health/ready/", self.ready))]
        for path in (model, model + VERSION):
            routes += [web.get(path, self.model), web.get(path + "/ready", self.model_ready),
                       web.get(path + "/config", self.config), web.get(path + "/stats", self.stats),
                       web.post(path + "/infer", self.infer_routed)]
        return routes + self.control.routes()

    # ---- inference

    async def infer_routed(self, request: web.Request) -> web.StreamResponse:
        return await self.infer(request, request.match_info["name"], request.match_info.get("version"))

    async def infer(self, request: web.BaseRequest, name: str, version: str | None) -> web.StreamResponse:
        """POST /v2/models/M[/versions/V]/infer."""
        started = time.perf_counter_ns()
        served = self.repository.get(name, version)
        face = self._faces.get(served)
        if face is None:
            face = self._faces[served] = Face(served)
        body = await read_body(request, self.context)
        length = json_length(request.headers.get(LENGTH_HEADER), len(body), self.max_json)
        if length > INLINE_BYTES or (face.slow and len(body) > INLINE_BYTES and length != RAW):
            asked = await self.context.pool.run(read_request, body, length, face, self.regions)
        else:
            asked = read_request(body, length, face, self.regions)
        traced: dict[str, int] | None = {} if self.trace.active and self.trace.wants(name) else None
        results = await served.infer(
            asked.tensors, asked.names, timeout_us=asked.timeout_us, priority=asked.priority, sequence=asked.sequence,
            nbytes=len(body), trace=traced, started_ns=started)
        if weight(results, asked.wishes) > INLINE_BYTES:
            head, blocks = await self.context.pool.run(encode, results, asked, face)
        else:
            head, blocks = encode(results, asked, face)
        if traced is not None:
            self.trace.write(name, served.version, asked.ident, started, traced)
        return await self._respond(request, head, blocks)

    async def _respond(self, request: web.BaseRequest, head: bytes, blocks: list[Any]) -> web.Response:
        body = b"".join((head, *blocks)) if blocks else head
        headers = {"Content-Type": JSON}
        if len(body) > len(head):
            headers = {"Content-Type": BINARY, LENGTH_HEADER: str(len(head))}
        # Only an exact wish: some clients send a browser-like default with every request, and packing tensors is slow.
        accepted = request.headers.get("Accept-Encoding")
        if accepted in ("gzip", "deflate") and self.compresses:
            headers["Content-Encoding"] = accepted
            body = (compress(body, accepted) if len(body) <= INLINE_BYTES
                    else await self.context.pool.run(compress, body, accepted))
        return web.Response(body=body, headers=headers)

    # ---- health and metadata

    async def live(self, request: web.Request) -> web.Response:
        """200 while the server works, 503 while it shuts down."""
        if self.context.draining:
            raise Busy("the server is shutting down", 5)
        return reply({"live": True})

    async def ready(self, request: web.Request) -> web.Response:
        """200 when every required model serves, else 503 with the reasons."""
        blockers = self.repository.blockers()
        if self.context.draining:
            blockers = ["the server is shutting down", *blockers]
        if not blockers:
            return reply({"ready": True})
        answer = reply({"ready": False, "error": "; ".join(blockers), "blockers": blockers})
        answer.set_status(503)
        return answer

    async def server(self, request: web.Request) -> web.Response:
        return reply({"name": "aisle", "version": __version__, "extensions": EXTENSIONS})

    def _find(self, request: web.Request) -> list[Served]:
        """The served versions that the path names, the one that answers first."""
        name, version = request.match_info["name"], request.match_info.get("version")
        first = self.repository.get(name, version)
        others = () if version else (s for s in self.repository.served() if s.name == name and s is not first)
        return [first, *others]

    async def model(self, request: web.Request) -> web.Response:
        found = self._find(request)
        return reply(metadata(found[0], sorted((s.version for s in found), key=lambda v: (len(v), v))))

    async def model_ready(self, request: web.Request) -> web.Response:
        """200 for a version that serves; 404 for one nobody knows, 503 for one that does not serve (yet)."""
        name, version = request.match_info["name"], request.match_info.get("version")
        try:
            self.repository.get(name, version)
        except NotFound:
            known = [i for i in self.repository.index() if i["name"] == name and version in (None, i.get("version"))]
            if not known:
                raise
            raise Busy(f"Model version not ready: '{name}' is {known[-1].get('state', 'not loaded')}"
                       f"{': ' + known[-1]['reason'] if known[-1].get('reason') else ''}") from None
        return reply({"name": name, "ready": True})

    async def config(self, request: web.Request) -> web.Response:
        return reply(model_config(self._find(request)[0]))

    async def stats(self, request: web.Request) -> web.Response:
        found = self._find(request) if "name" in request.match_info else self.repository.served()
        return reply({"model_stats": [{"name": s.name, "version": s.version, **s.stats.as_triton()} for s in found]})
