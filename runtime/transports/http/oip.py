"""The Open Inference Protocol v2 over HTTP, with Triton's extensions: inference, health, metadata, statistics."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from aiohttp import web

from .... import __version__
from ...deadline import left_us, parse_ms, within
from ...errors import Busy, Invalid, NotFound
from ...served import STAGES, Served
from .answer import Answer
from .body import read_body
from .context import Context
from .oip_control import OipControl, reply
from .oip_describe import metadata, model_config
from .oip_plan import plan_of, remember, text_of
from .oip_request import LENGTH_HEADER, RAW, json_length, read_request
from .oip_response import TIMING, compress, encode, plain_answer, timing, weight
from .oip_wishes import Face

# Only what works here.
EXTENSIONS = ["classification", "sequence", "model_repository", "schedule_policy", "model_configuration",
              "system_shared_memory", "binary_tensor_data", "parameters", "statistics", "trace", "logging"]
INLINE_BYTES = 1 << 16       # JSON and strings beyond it are handled on the pool, to keep the event loop answering
LENGTH_NAME = LENGTH_HEADER.lower()
DEADLINE_NAME = "aisle-deadline-ms"
PLENTY_US = 2000             # twenty times what counts as cheap, see batcher
VERSION = "/versions/{version:[0-9]+}"


def plenty(asked_ms: str) -> bool:
    """Whether a deadline is so far away that a cheap model run at once cannot miss it; False for what is no deadline."""
    try:
        return parse_ms(asked_ms) >= PLENTY_US
    except Invalid:
        return False


def nearer(timeout_us: int) -> int:
    """The request's own timeout or what its deadline leaves, whichever is less; 0 for neither."""
    left = left_us()
    return min(timeout_us, left) if timeout_us and left else timeout_us or left


def compressed(answer: Answer, encoding: str) -> Answer:
    """The same answer, packed."""
    body = compress(b"".join(answer.pieces), encoding)
    return Answer(answer.status, answer.content_type, [body], (*answer.headers, ("Content-Encoding", encoding)))


class Oip:
    """Handlers of /v2; `answer` is also called directly by the frame."""

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
        """POST /v2/models/M[/versions/V]/infer, where it did not come the short way (see connection.py)."""
        started = time.perf_counter_ns()
        body = await read_body(request, self.context)
        headers = {name: value for name in (LENGTH_NAME, DEADLINE_NAME, "accept-encoding")
                   if (value := request.headers.get(name)) is not None}
        name, version = request.match_info["name"], request.match_info.get("version")
        answer = await self.answer(name, version, headers, body, started)
        return web.Response(body=b"".join(answer.pieces), status=answer.status,
                            headers={"Content-Type": answer.content_type, **dict(answer.headers)})

    async def answer(self, name: str, version: str | None, headers: Mapping[str, str], body: bytes | bytearray,
                     started: int) -> Answer:
        """One inference request whose decompressed body is here; header names are lower-case.

        Raises the errors of runtime.errors. `started` is time.perf_counter_ns() of the request's arrival. The deadline
        is the header Aisle-Deadline-Ms or the request's own `timeout`, whichever is nearer.
        """
        asked_ms = headers.get(DEADLINE_NAME)
        with within(parse_ms(asked_ms) if asked_ms is not None else 0):
            return await self._answer(name, version, headers, body, started)

    async def _answer(self, name: str, version: str | None, headers: Mapping[str, str], body: bytes | bytearray,
                      started: int) -> Answer:
        served = self.repository.get(name, version)
        face = self._faces.get(served)
        if face is None:
            face = self._faces[served] = Face(served)
        length = json_length(headers.get(LENGTH_NAME), len(body), self.max_json)
        if length > INLINE_BYTES or (face.slow and len(body) > INLINE_BYTES and length != RAW):
            asked = await self.context.pool.run(read_request, body, length, face, self.regions)
        else:
            asked = read_request(body, length, face, self.regions)
        times: dict[str, Any] = {}
        traced = self.trace.active and self.trace.wants(name)
        results = await served.infer(
            asked.tensors, asked.names, timeout_us=nearer(asked.timeout_us), priority=asked.priority, sequence=asked.sequence,
            nbytes=len(body), trace=times, started_ns=started)
        asked.way = times["way"]
        if weight(results, asked.wishes) > INLINE_BYTES:
            head, blocks = await self.context.pool.run(encode, results, asked, face)
        else:
            head, blocks = encode(results, asked, face)
        if traced:
            self.trace.write(name, served.version, asked.ident, started, times)
        answer = plain_answer(head, blocks, TIMING % timing([times[stage] for stage in STAGES], started), asked.way)
        # Only an exact wish: some clients send a browser-like default with every request, and packing tensors is slow.
        accepted = headers.get("accept-encoding")
        if accepted in ("gzip", "deflate") and self.compresses:
            return await self.context.pool.run(compressed, answer, accepted)
        return answer

    def answer_now(self, name: str, version: str | None, headers: Mapping[str, str], body: bytes | bytearray,
                   started: int) -> bytes | None:
        """`answer` at once, as HTTP, where the model is cheap and idle and the request is small; else None."""
        asked_ms = headers.get(DEADLINE_NAME)
        if len(body) > INLINE_BYTES or self.trace.active or (asked_ms is not None and not plenty(asked_ms)):
            return None
        served = self.repository.get(name, version)
        face = self._faces.get(served)
        if face is None or not served.ready_now:
            return None
        length = json_length(headers.get(LENGTH_NAME), len(body), self.max_json)
        text = text_of(body, length)
        plan = face.plans.get(text) if text is not None else None
        if plan is not None and plan.size == len(body):
            made, spent = served.run_now(plan.fill(body), plan.read, plan.rows, started)
            return plan.wire(made, spent, started)
        asked = read_request(body, length, face, self.regions)
        times: dict[str, Any] = {}
        results = served.infer_now(asked.tensors, asked.names, started, times)
        asked.way = times["way"]
        head, blocks = encode(results, asked, face)
        if text is not None:
            rows = served.check(asked.tensors, asked.names)
            remember(face.plans, text, plan_of(asked, text, len(body), rows, head, blocks))
        return plain_answer(head, blocks, TIMING % timing([times[stage] for stage in STAGES], started), asked.way).wire()

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
