"""How routes are spoken: questions as JSON, or pairs of places as plain numbers; answers as GeoJSON, polyline or numbers."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson

from ...models.route.site import Site
from ..errors import Invalid, TooLarge
from ..served import Served
from ..workloads import route_asks as asks
from ..workloads.route import Request, Verdict
from ..workloads.route_changes import CLOSE, NEVER, OPEN, SPEED, Change, due_in
from ..workloads.route_site import AskAcross
from ..workloads.route_tours import AskReplan, AskTour
from . import Codec, Decode, Payload
from .fields import Fields, alone, short
from .route_places import limit, mapped, place_of, where
from .route_told import BINARY, about, about_site, packed, told
from .route_tours import ask_replan, ask_tour

Asked = asks.Ask | AskTour | AskReplan | AskAcross
SHAPES = ("geojson", "polyline", "none")
MAX_BATCH = 10_000
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
LAST_S = 230 * 366 * 86_400
LIGHT_EDGES = 300
PAIRS: dict[str, tuple[np.dtype[Any], int]] = {"nodes": (np.dtype("<i4"), 2), "places": (np.dtype("<f8"), 4)}
BARE = re.compile(rb"(?<![\"\w.])(-?(?:NaN|Infinity))(?![\"\w])")


def request(payload: Payload, decode: Decode) -> Request:
    """The questions of a payload. Invalid with the place of the first mistake."""
    if "pairs" in payload.options:       # not by its type: clients that name none seem to send octets
        return Request((pairs(payload),))
    if not payload.body:
        raise Invalid('the body is empty; expected JSON such as {"from": {"lat": 43.73, "lon": 7.42}, "to": {...}}')
    try:
        table = orjson.loads(payload.body)
    except orjson.JSONDecodeError as error:
        bare = BARE.search(payload.body)
        if bare:
            raise Invalid(f"{bare[1].decode()} is no JSON and no place; expected finite numbers") from None
        raise Invalid(f"the body is not JSON: {error}") from None
    if isinstance(table, dict) and "batch" in table:
        fields = Fields(table)
        asked = fields.items("batch", ask, least=1, most=MAX_BATCH)
        fields.done()
        return Request(asked, batch=True)
    return Request((ask(table, ""),))


def pairs(payload: Payload) -> asks.AskPairs:
    """Rows of numbers, little-endian: ?pairs=nodes int32 (n, 2), ?pairs=places float64 (n, 4)."""
    kind = payload.options.get("pairs", "")
    if kind not in PAIRS:
        raise Invalid(f"pairs={kind!r}: expected pairs=nodes (rows of two int32) or pairs=places (rows of four float64: "
                      "latitude and longitude from and to), little-endian")
    dtype, columns = PAIRS[kind]
    row = dtype.itemsize * columns
    if not payload.body or len(payload.body) % row:
        raise Invalid(f"the body has {len(payload.body)} bytes; expected a multiple of {row}, one row of {columns} "
                      f"{dtype.name} for each pair")
    if len(payload.body) // row > MAX_BATCH:
        raise TooLarge(f"the body has {len(payload.body) // row} pairs and at most {MAX_BATCH} are answered at once")
    rows = np.frombuffer(payload.body, dtype).reshape(-1, columns)
    return asks.AskPairs(rows, payload.options.get("paths", "1") != "0")


def ask(table: Any, place: str) -> Asked:
    """One question; its `type` says which, a route where it has none."""
    fields = Fields(table, place)
    kind = fields.choice("type", tuple(KINDS), "route")
    made = KINDS[kind](fields)
    fields.done()
    return made


def moment(fields: Fields, name: str) -> float | None:
    """A time of day of the caller, ISO 8601 with its offset, as seconds."""
    value = fields.raw(name, None)
    if value is None:
        return None
    try:
        made = datetime.datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise fields.wrong(name, "a time such as 2026-11-25T08:00:00+00:00") from None
    if made.tzinfo is None:
        raise fields.wrong(name, "a time with its offset, such as +00:00 or Z at the end")
    seconds = (made - EPOCH).total_seconds()
    if not 0 <= seconds <= LAST_S:
        raise fields.wrong(name, "a time from 1970 to 2200")
    return seconds


def ask_route(fields: Fields) -> Asked:
    """{"from", "to"} and how to tell it; on a site both name their map."""
    (source_map, source), (target_map, target) = mapped(fields, "from"), mapped(fields, "to")
    made = asks.AskRoute(
        source, target,
        fields.whole("alternatives", 0, 0, 10) + 1, fields.choice("geometry", SHAPES, "geojson"), fields.flag("instructions"),
        moment(fields, "arrive_by"), moment(fields, "depart_at"), limit(fields))
    if made.arrive_by is not None and made.depart_at is not None:
        raise Invalid(f"{fields.at('arrive_by')} and depart_at: expected at most one of them")
    if source_map is None and target_map is None:
        return made
    if source_map is None or target_map is None:
        raise Invalid(f"{fields.at('from' if source_map is None else 'to')}.map is missing: expected the map of both places")
    if made.count > 1:
        raise Invalid(f"{fields.at('alternatives')}: there are none from map to map; ask the maps themselves")
    return AskAcross(source_map, target_map, made)


def ask_table(fields: Fields) -> asks.Ask:
    """{"sources", "targets"}."""
    return asks.AskTable(fields.items("sources", where, least=1), fields.items("targets", where, least=1), limit(fields))


def ask_nearest(fields: Fields) -> asks.Ask:
    """{"at"}."""
    return asks.AskNearest(place_of(fields, "at"), limit(fields))


def ask_reach(fields: Fields) -> asks.Ask:
    """{"at", "limits_s"}."""
    limits = fields.items("limits_s", seconds, least=1, most=20)
    return asks.AskReach(place_of(fields, "at"), tuple(round(s * 1000) for s in limits),
                         fields.flag("arriving"), fields.choice("geometry", ("area", "lines", "none"), "area"), limit(fields))


def seconds(value: Any, place: str) -> float:
    """A time of more than nothing and at most a day."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 86_400:
        raise Invalid(f"{place}: expected seconds over 0 and at most 86400, got {short(value)}")
    return float(value)


def ask_update(fields: Fields) -> asks.Ask:
    """{"changes": [...], "drop": [names]}."""
    made = asks.AskUpdate(fields.items("changes", change, (), most=1000), fields.items("drop", name_of, (), most=1000))
    if not made.changes and not made.drop:
        raise Invalid(f"{fields.at('changes')}: expected changes to make, or names in drop")
    return made


def name_of(value: Any, place: str) -> str:
    """A name of a change or robot."""
    return alone(value, place).text("")


def change(value: Any, place: str) -> Change:
    """{"do": close | open | speed, "edges" | "ways" | "area", "kmh", "for_s", "name"}."""
    fields = Fields(value, place)
    do = fields.choice("do", (CLOSE, OPEN, SPEED))
    kmh = fields.number("kmh", least=0.01, most=500) if do == SPEED else 0.0
    edges, ways = fields.items("edges", edge, ()), fields.items("ways", edge, ())
    corners = fields.items("area", where, (), most=1000)
    if sum(map(bool, (edges, ways, corners))) != 1:
        raise Invalid(f"{place}: expected one of edges, ways (ids of the source) and area (corners) to say what is changed")
    area = tuple(corner for corner in corners if not isinstance(corner, int))
    if len(area) < len(corners):
        raise Invalid(f"{fields.at('area')}: expected corners with coordinates, not nodes")
    for_s = fields.raw("for_s", None)
    due = NEVER if for_s is None else due_in(fields.number("for_s"))
    made = Change(fields.text("name", ""), do, kmh, edges, ways, area, due)
    fields.done()
    return made


def edge(value: Any, place: str) -> int:
    """The number of an edge or way."""
    if isinstance(value, bool) or not isinstance(value, int) or not -2**63 <= value < 2**63:
        raise Invalid(f"{place}: expected a whole number, got {short(value)}")
    return value


def ask_changes(fields: Fields) -> asks.Ask:
    """No fields."""
    return asks.AskChanges()


def ask_draw(fields: Fields) -> asks.Ask:
    """{"box": [south, west, north, east]}."""
    box = fields.items("box", degree, least=4, most=4)
    return asks.AskDraw((box[0], box[1], box[2], box[3]), fields.whole("most", 20_000, 1, 100_000))


def degree(value: Any, place: str) -> float:
    """A finite number."""
    return alone(value, place).number("")


def ask_robots(fields: Fields) -> asks.Ask:
    """{"robots": [{"name", "lat", "lon"}], "for_s"}."""
    return asks.AskRobots(fields.items("robots", robot, (), most=20_000), fields.number("for_s", 60.0, 0.1, 86_400))


def robot(value: Any, place: str) -> tuple[str, float, float]:
    """Name, latitude and longitude."""
    fields = Fields(value, place)
    one, two = ("y", "x") if "x" in fields.table else ("lat", "lon")
    made = fields.text("name"), fields.number(one), fields.number(two)
    fields.done()
    return made


KINDS: dict[str, Callable[[Fields], Asked]] = {
    "route": ask_route, "table": ask_table, "nearest": ask_nearest, "reach": ask_reach, "update": ask_update,
    "changes": ask_changes, "draw": ask_draw, "robots": ask_robots, "tour": ask_tour, "replan": ask_replan,
}


def answer(verdict: Verdict) -> dict[str, Any]:
    """The answers as plain data: of a batch under "batch", a single one by itself."""
    timings = {"timings_ms": {stage: round(ms, 3) for stage, ms in verdict.timings_ms.items()}}
    answers = [told(found, verdict.live) for found in verdict.found]
    return {"batch": answers, **timings} if verdict.request.batch else answers[0] | timings


def numbers(verdict: Verdict, payload: Payload) -> tuple[bytes, str] | None:
    """The binary answer to a binary question; None for JSON."""
    found = verdict.found[0]
    return (packed(found), BINARY) if isinstance(found, asks.FoundPairs) else None


def nothing(asked: Request) -> bytes:
    """Routes have no small picture."""
    return b""


def told_of(served: Served) -> dict[str, Any]:
    """What people want to know of a map, or of a site."""
    asset = served.engine.asset
    return about_site(asset) if isinstance(asset, Site) else about(asset.live, served.bundle)


def light(verdict: Verdict) -> bool:
    """One short answer."""
    if verdict.request.batch or len(verdict.found) != 1:
        return False
    found = verdict.found[0]
    if isinstance(found, asks.FoundRoute):
        return len(found.ways) == 1 and len(found.ways[0].route.edges) < LIGHT_EDGES
    if isinstance(found, asks.FoundChanges):
        return bool(found.made)      # told after an update; a list of all may be long
    return isinstance(found, (asks.FoundPairs, asks.FoundNearest))


CODEC = Codec(request, answer, numbers, nothing, told_of, teaches=False, remembers=False, light_bytes=4096, light=light,
              how_made="Build one: aisle map build FILE --name NAME --models DIR")
