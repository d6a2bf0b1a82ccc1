"""The jobs over HTTP: POST /v1/{job}/{station}, what stations exist, what they answered lately, and teaching."""

from __future__ import annotations

import base64
import datetime
import json
import time
import uuid
from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

from ...answered import named, noting
from ...codec import CODECS, JOB_OF, Codec, Payload, make_codec
from ...deadline import parse_ms, within
from ...errors import Busy, Invalid, NotFound, Unsupported
from ...history import Entry, History
from ...pool_line import asking
from ...served import Served
from .answer import VARIANT
from .body import read_body
from .context import Context
from .jobs_teach import Teaching

MAX_ID = 128
HEADER_ITEMS = 20    # clients bound the size of a header, so lists in it are cut; the plain answer has them whole
RECENT = 24


class Jobs:
    """Answers the jobs' routes. It knows names and bytes; what a job means is the codec's and the workload's affair."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.history = History()
        self.teaching = Teaching(context)

    def routes(self) -> list[web.RouteDef]:
        """All routes below /v1."""
        return [
            web.get("/v1", self.jobs),
            web.get("/v1/{job}", self.stations),
            web.post("/v1/{job}", self.ask),
            web.get("/v1/{job}/{station}", self.station),
            web.post("/v1/{job}/{station}", self.ask),
            web.get("/v1/{job}/{station}/recent", self.recent),
            web.post("/v1/{job}/{station}/teach", self.teach),
        ]

    # ---- what there is

    async def jobs(self, request: web.Request) -> web.Response:
        """The jobs and their stations' names."""
        return reply({"jobs": [{"name": job, "stations": self._names(job)} for job in CODECS]})

    async def stations(self, request: web.Request) -> web.StreamResponse:
        """Every station of a job that serves, and what it promises; or the answer to a question in the address."""
        job = request.match_info["job"]
        codec = make_codec(job)
        if codec.query and codec.query in request.query:
            return await self.ask(request)
        return reply({"stations": [self._about(codec, s) for s in self._stations(job)],
                      "teach": self.context.config.repository.control})

    async def station(self, request: web.Request) -> web.StreamResponse:
        """One station; or its answer to a question in the address."""
        job, name = request.match_info["job"], request.match_info["station"]
        codec = make_codec(job)
        if codec.query and codec.query in request.query:
            return await self.ask(request)
        return reply(self._about(codec, self._find(job, name)))

    async def recent(self, request: web.Request) -> web.Response:
        """The newest verdicts of a station, newest first, with small pictures as data: URLs."""
        job, name = request.match_info["job"], request.match_info["station"]
        self._find(job, name)
        text = request.query.get("limit", str(RECENT))
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= self.history.per_station):
            raise Invalid(f"limit={text!r}: expected a whole number from 1 to {self.history.per_station}")
        return reply({"recent": [shown(entry) for entry in self.history.recent(f"{job}/{name}", int(text))]})

    def _stations(self, job: str) -> list[Served]:
        newest = {s.name: s for s in self.context.repository.served() if s.job == JOB_OF.get(job, job)}
        return list(newest.values())

    def _names(self, job: str) -> list[str]:
        return [s.name for s in self._stations(job)]

    def _find(self, job: str, name: str) -> Served:
        """The station's newest version; NotFound names those that exist, Busy while it loads."""
        make_codec(job)
        try:
            served = self.context.repository.get(name)
        except NotFound as error:
            reason = error.sentence.partition("no available versions: ")[2]
            raise NotFound(self._unknown(job, name) if not reason else
                           f"{job} station {name!r} does not serve: {reason}") from None
        if served.job != JOB_OF.get(job, job):
            raise NotFound(self._unknown(job, name))
        return served

    def _only(self, job: str) -> str:
        """The station's name where there is but one; Invalid or NotFound says how to name one."""
        names = self._names(job)
        if len(names) > 1:
            raise Invalid(f"{len(names)} stations answer {job}; name one of them: POST /v1/{job}/{names[0]} (they are "
                          f"{', '.join(names[:20])})")
        if not names:
            raise NotFound(self._unknown(job, "NAME"))
        return names[0]

    def _unknown(self, job: str, name: str) -> str:
        names = self._names(job)
        have = f"the stations are {', '.join(names[:20])}" if names else "no station has been made yet"
        made = f"Teach one: POST /v1/{job}/{name[:64]}/teach" if make_codec(job).teaches else make_codec(job).how_made
        return f"there is no {job} station {name!r}; {have}. {made}"

    @staticmethod
    def _about(codec: Codec, served: Served) -> dict[str, Any]:
        return {"name": served.name, "version": served.version, **codec.about(served),
                "answered": served.stats.success.count}

    # ---- the job itself

    async def ask(self, request: web.Request) -> web.Response:
        """Answer one request of a job; `?overlay=1` returns the picture and puts the JSON into `Aisle-Verdict`.

        Without a station in the path the only one of the job answers. With the header `Aisle-Deadline-Ms` it is answered
        within that time, counted from here, or refused. `variant` of the answer names what of its network ran.
        """
        asked_ms = request.headers.get("Aisle-Deadline-Ms")
        with within(parse_ms(asked_ms) if asked_ms is not None else 0), asking(request.match_info["job"]):
            return await self._ask(request)

    async def _ask(self, request: web.Request) -> web.Response:
        job = request.match_info["job"]
        codec, ident, started = make_codec(job), request_id(request), time.perf_counter_ns()
        name = request.match_info.get("station") or self._only(job)
        station = self._find(job, name)    # before the body is read
        body = await read_body(request, self.context)
        payload = Payload(body, request.content_type, request.query, request.headers.get("Accept", ""))
        pool, at = self.context.pool, time.perf_counter_ns()
        light, decode = len(body) <= codec.light_bytes, station.decode
        assert decode is not None    # the app gives its repository one
        asked = codec.request(payload, decode) if light else await pool.run(codec.request, payload, decode)
        decode_ns = time.perf_counter_ns() - at
        with noting() as variants:
            served, verdict = await self._answer(job, name, asked, decode_ns)
        at = time.perf_counter_ns()
        light = (light or not codec.light_bytes) and codec.light(verdict)    # where size says something, both must be small
        told, picture, thumbnail = (drawn(codec, asked, verdict, payload) if light else
                                    await pool.run(drawn, codec, asked, verdict, payload))
        told["timings_ms"] = {"decode": ms(decode_ns), **told["timings_ms"], "encode": ms(time.perf_counter_ns() - at),
                              "total": ms(time.perf_counter_ns() - started)}
        variant = named(variants)
        told |= {"model": served.name, "version": served.version, **({"variant": variant} if variant else {}), "id": ident}
        if codec.remembers:
            # The clock of the wall is a label for people; nothing is ordered by it.
            moment = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
            self.history.add(f"{job}/{name}", Entry({**told, "at": moment}, thumbnail))
        return reply(told, picture, {"X-Request-Id": ident, "Server-Timing": server_timing(told["timings_ms"]),
                                     **({VARIANT: variant} if variant else {})})

    async def _answer(self, job: str, name: str, asked: Any, decode_ns: int) -> tuple[Served, Any]:
        """Ask the version that serves now; one that is just being replaced hands over to the next."""
        served = self._find(job, name)
        try:
            return served, await served.answer(asked, input_ns=decode_ns)
        except Busy:
            newer = self._find(job, name)
            if newer is served:
                raise
            return newer, await newer.answer(asked, input_ns=decode_ns)

    async def teach(self, request: web.Request) -> web.StreamResponse:
        """Make or renew a station from pictures; see jobs_teach."""
        codec = make_codec(request.match_info["job"])
        if not codec.teaches:
            raise Unsupported(f"the job {request.match_info['job']} is not taught by pictures. {codec.how_made}")
        return await self.teaching.teach(request, request.match_info["station"])


def drawn(codec: Codec, asked: Any, verdict: Any,
          payload: Payload) -> tuple[dict[str, Any], tuple[bytes, str] | None, bytes]:
    """(the answer, the picture asked for or None, the small picture for the history); runs on the pool unless light."""
    return codec.answer(verdict), codec.picture(verdict, payload), codec.thumbnail(asked) if codec.remembers else b""


def request_id(request: web.Request) -> str:
    """The caller's id (header X-Request-Id or ?id=), else a fresh one."""
    given = request.headers.get("X-Request-Id") or request.query.get("id") or uuid.uuid4().hex
    if len(given) > MAX_ID or not given.isprintable() or not given.isascii():
        raise Invalid(f"the request id has {len(given)} characters; expected at most {MAX_ID} printable ASCII characters")
    return given


def reply(told: Mapping[str, Any], picture: tuple[bytes, str] | None = None,
          headers: Mapping[str, str] | None = None) -> web.Response:
    """JSON; or the picture, with the JSON in a header."""
    if picture is None:
        return web.Response(body=orjson.dumps(told), headers=headers, content_type="application/json")
    short = {key: item[:HEADER_ITEMS] if isinstance(item, list) else item for key, item in told.items()}
    header = {"Aisle-Verdict": json.dumps(short, separators=(",", ":"))}    # json escapes all that is not ASCII
    return web.Response(body=picture[0], headers={**(headers or {}), **header}, content_type=picture[1])


def server_timing(timings_ms: Mapping[str, float]) -> str:
    """The stages as a browser's network panel shows them (W3C Server Timing)."""
    return ", ".join(f"{stage};dur={value}" for stage, value in timings_ms.items())


def shown(entry: Entry) -> dict[str, Any]:
    """An entry of the history for a page."""
    if not entry.thumbnail:
        return entry.verdict
    return {**entry.verdict, "thumbnail": "data:image/jpeg;base64," + base64.b64encode(entry.thumbnail).decode()}


def ms(ns: int) -> float:
    """Nanoseconds as milliseconds with three digits."""
    return round(ns / 1e6, 3)
