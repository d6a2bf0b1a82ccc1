"""How a shop is asked for recommendations: the visit, the rules and a count as JSON; items, scores and reasons back."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from functools import lru_cache
from itertools import repeat
from typing import Any

import orjson

from ...models.shop.item import MAX_ID, MAX_PRICE, MAX_VALUE, plain, plain_item
from ...models.shop.past import KINDS
from ...models.shop.reasons import LANGUAGES
from ...models.shop.rules import Filters, Rules
from ..errors import Invalid
from ..served import Served
from ..workloads.recommend import Request, Verdict, about
from ..workloads.recommend_asks import HIDE, MAX_COUNT, MAX_EVENTS, MAX_HIDDEN, AskItems, Event, FoundItems, Shown
from . import Codec, Decode, Payload
from .fields import Fields, alone, short

MAX_LISTED = 100           # values of one filter
MAX_KNOWN = 4096           # bytes of rules that are remembered
MAX_TOLD = 20              # unknown ids that are named
KNOWN = frozenset(KINDS)


def table_of(payload: Payload, example: str) -> Fields:
    """The body as one JSON object. Invalid where it is none."""
    if not payload.body:
        raise Invalid(f"the body is empty; expected JSON such as {example}")
    try:
        return Fields(orjson.loads(payload.body))
    except orjson.JSONDecodeError as error:
        raise Invalid(f"the body is not JSON: {error}") from None


def request(payload: Payload, decode: Decode) -> Request:
    """The question of a payload. Invalid with the place of the first mistake."""
    fields = table_of(payload, '{"events": [{"item": "boot-7"}], "count": 10}')
    made = AskItems(
        events(fields), fields.whole("count", 10, 1, MAX_COUNT), rules(fields),
        fields.text("visitor", None), fields.choice("hide", HIDE, "seen"), fields.items("blocked", ident, (), most=MAX_HIDDEN),
        fields.text("item", None, MAX_ID), fields.choice("language", LANGUAGES, "en"), fields.flag("explain", True))
    fields.done()
    timed = sum(one.time is not None for one in made.events)
    if 0 < timed < len(made.events):
        raise Invalid(f"events: {timed} of {len(made.events)} have a time; expected it in all (they are then sorted by it) or "
                      "in none (they are then taken as they come, oldest first)")
    return Request(made)


def events(fields: Fields) -> tuple[Event, ...]:
    """The visit. Most events are plain; only what is not goes the long way, which says what is wrong with it."""
    given = fields.raw("events", ())
    if type(given) is list and 0 < len(given) <= MAX_EVENTS:
        try:
            idents, kinds = [one["item"] for one in given], [one["kind"] for one in given]
            # In loops of C: this is the longest part of most requests.
            if max(map(len, given)) == 2 and all(map(str.isprintable, idents)) and all(idents) and \
                    max(map(len, idents)) <= MAX_ID and KNOWN.issuperset(kinds):
                return tuple(map(Event._make, zip(idents, kinds, repeat(None))))
        except (TypeError, KeyError):
            pass               # not plain
    return fields.items("events", event, (), most=MAX_EVENTS)


def event(value: Any, place: str) -> Event:
    """{"item", "kind", "time"}, or an id alone."""
    if isinstance(value, str):
        return Event(ident(value, place))
    fields = Fields(value, place)
    made = Event(fields.text("item", most=MAX_ID), fields.choice("kind", KINDS, "view"), moment(fields, "time"))
    fields.done()
    return made


def moment(fields: Fields, name: str) -> float | None:
    """Seconds since 1970, or ISO 8601 with its offset."""
    value = fields.raw(name, None)
    if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return fields.number(name, None, 0, 1e11)
    try:
        made = datetime.datetime.fromisoformat(value)
        seconds = made.timestamp() if made.tzinfo is not None else -1.0
    except (TypeError, ValueError, OverflowError):
        seconds = -1.0
    if seconds < 0:
        raise fields.wrong(name, "seconds since 1970, or a time such as 2026-11-25T08:00:00+00:00")
    return seconds


def ident(value: Any, place: str) -> str:
    """An item's id."""
    return alone(value, place).text("", most=MAX_ID)


def word(value: Any, place: str) -> str:
    """A value of a filter; a number counts as its text."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return plain(float(value))
    return alone(value, place).text("", most=MAX_VALUE)


def rules(fields: Fields) -> Rules:
    """The field `rules` and the field `filters`. A shop's pages send the same few, which are read once."""
    try:
        written = orjson.dumps((fields.raw("rules", {}), fields.raw("filters", {})))
    except orjson.JSONEncodeError:             # nested deeper than can be written again
        return made_rules(fields)
    return known_rules(written) if len(written) <= MAX_KNOWN else made_rules(fields)


@lru_cache(256)
def known_rules(written: bytes) -> Rules:
    """The rules of [rules, filters] as JSON."""
    return made_rules(Fields(dict(zip(("rules", "filters"), orjson.loads(written), strict=True))))


def made_rules(fields: Fields) -> Rules:
    """The rules of the fields `rules` and `filters`."""
    given = Fields(fields.raw("rules", {}), fields.at("rules"))
    made = Rules(
        filters(fields, "filters"), given.number("margin_weight", 0.0, -1000, 1000), given.whole("per_brand", 0, 0, MAX_COUNT),
        given.whole("per_category", 0, 0, MAX_COUNT), given.number("diversity", 0.3, 0, 1), given.whole("window", 100, 1, 1000))
    given.done()
    return made


def filters(fields: Fields, name: str) -> Filters:
    """The field with hard rules: {"in_stock", "price", "categories", "brands", "attributes", "not": {...}}."""
    given = Fields(fields.raw(name, {}), fields.at(name))
    least, most = span(given, "price", 0, MAX_PRICE)
    attributes, ranges = facts(given, "attributes")
    against = Fields(given.raw("not", {}), given.at("not"))
    unwanted, none = facts(against, "attributes")
    if none:
        raise Invalid(f"{against.at('attributes')}: expected values, not a range; give the range that is wanted instead")
    made = Filters(
        given.flag("in_stock", True), least, most, listed(given, "categories"), listed(against, "categories"),
        listed(given, "brands"), listed(against, "brands"), attributes, unwanted, ranges)
    against.done()
    given.done()
    return made


def listed(fields: Fields, name: str) -> tuple[str, ...]:
    """A list of texts, or one text."""
    value = fields.raw(name, ())
    if isinstance(value, str):
        return (word(value, fields.at(name)),)
    return fields.items(name, word, (), most=MAX_LISTED)


def span(fields: Fields, name: str, low: float, high: float) -> tuple[float | None, float | None]:
    """{"least", "most"}, each of which may be missing."""
    given = Fields(fields.raw(name, {}), fields.at(name))
    least, most = given.number("least", None, low, high), given.number("most", None, low, high)
    given.done()
    if least is not None and most is not None and least > most:
        raise Invalid(f"{fields.at(name)}: least {least:g} is above most {most:g}; exchange them")
    return least, most


Values = tuple[tuple[str, tuple[str, ...]], ...]


def facts(fields: Fields, name: str) -> tuple[Values, tuple[tuple[str, float, float], ...]]:
    """{NAME: value, [values] or {"least", "most"}}: (those by value, those by range)."""
    given = Fields(fields.raw(name, {}), fields.at(name))
    if len(given.table) > MAX_LISTED:
        raise Invalid(f"{fields.at(name)}: expected at most {MAX_LISTED} attributes, got {len(given.table)}")
    values, ranges = [], []
    for one, value in given.table.items():
        if isinstance(value, dict):
            least, most = span(given, one, -1e12, 1e12)
            ranges.append((one, -1e12 if least is None else least, 1e12 if most is None else most))
        elif isinstance(value, (list, tuple)):
            values.append((one, given.items(one, word, least=1, most=MAX_LISTED)))
        else:
            values.append((one, (word(value, given.at(one)),)))
    return tuple(values), tuple(ranges)


# ---- the answer

def answer(verdict: Verdict) -> dict[str, Any]:
    """The list as plain data."""
    found = verdict.found
    assert isinstance(found, FoundItems)
    told: dict[str, Any] = {
        "items": [told_item(one, found) for one in found.shown], "basis": found.basis, "allowed": found.allowed,
        "events": {"given": found.given, "used": found.used}, "catalogue": found.snapshot.version}
    notes = []
    if found.unknown:
        told["unknown"] = list(found.unknown[:MAX_TOLD])
        more = f" and {len(found.unknown) - MAX_TOLD} more" if len(found.unknown) > MAX_TOLD else ""
        notes.append(f"not of this shop and left out: {', '.join(map(short, told['unknown']))}{more}")
    if found.used < found.given - len(found.unknown):
        notes.append(f"{found.given} events came, and the last {found.used} of them that are of this shop counted")
    if found.none is not None:
        rule, left = found.none
        told["none"] = {"rule": rule, "left": dict(left), "sentence": nothing_left(rule, left)}
    asked = verdict.request.ask
    if found.none is None and isinstance(asked, AskItems) and len(found.shown) < asked.count:
        notes.append(f"{asked.count} were asked for; the rules allow {len(found.shown)}")
    return told | ({"notes": notes} if notes else {}) | {"timings_ms": timings(verdict)}


def timings(verdict: Verdict) -> dict[str, float]:
    """Stages in ms."""
    return {stage: round(ms, 3) for stage, ms in verdict.timings_ms.items()}


def nothing_left(rule: str, left: Mapping[str, int]) -> str:
    """Why nothing is shown."""
    steps = ", ".join(f"{name} {count}" for name, count in left.items())
    return f"no item may be shown: after the rule {rule!r} none was left (items left by rule: {steps}); relax it"


def told_item(shown: Shown, found: FoundItems) -> dict[str, Any]:
    """One item: what the catalogue says of it, its score, and why it is shown. `promoted` marks what the margin lifted."""
    item = found.snapshot.items[shown.row]
    made = {key: value for key, value in plain_item(item).items() if key not in ("text", "margin")}
    made["score"] = round(shown.score, 6)
    if shown.margin > 0:
        made["promoted"] = True
    if shown.reasons:
        made["reason"] = reason(shown.reasons[0])
        made["also"] = [reason(one) for one in shown.reasons[1:]]
    return made


def reason(one: Any) -> dict[str, Any]:
    """A reason as code, data and sentence."""
    return {"code": one.code, "data": dict(one.data), "sentence": one.sentence}


def no_picture(verdict: Verdict, payload: Payload) -> None:
    """A shop answers in JSON alone."""


def nothing(asked: Request) -> bytes:
    """There is no small picture, and nothing is remembered for people to look at."""
    return b""


def told_of(served: Served) -> dict[str, Any]:
    """What people want to know of a shop."""
    return about(served.engine.asset)


def light(verdict: Verdict) -> bool:
    """A list of a hundred is told in a fraction of a millisecond."""
    return True


HOW = "Make one: aisle shop make CATALOGUE --out MODELS/NAME, or aisle recommend fit"
CODEC = Codec(request, answer, no_picture, nothing, told_of, teaches=False, remembers=False, light_bytes=16_384, light=light,
              how_made=HOW)
