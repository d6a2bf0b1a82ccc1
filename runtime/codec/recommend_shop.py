"""How a shop is told what changed in its catalogue, and what it keeps of a visitor is asked for or erased."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...models.shop.catalogue import MAX_CHANGES, Block, Change, Margin, Price, Put, Remove, Stock
from ...models.shop.item import MAX_ID, MAX_PRICE, MAX_STOCK, ShopError, make_item, plain_item
from ..errors import Invalid
from ..workloads.recommend import Request, Verdict
from ..workloads.recommend_asks import AskRead, AskUpdate, AskVisitor, FoundRead, FoundUpdate, FoundVisitor
from . import Codec, Decode, Payload
from .fields import Fields
from .recommend import HOW, ident, light, no_picture, nothing, table_of, timings, told_of

MAX_READ = 1000


def catalogue_request(payload: Payload, decode: Decode) -> Request:
    """{"changes": [...]} to change, {"ids": [...]} to read, {} for what the catalogue is."""
    fields = table_of(payload, '{"changes": [{"do": "price", "id": "boot-7", "price": 59}]}')
    changes = fields.items("changes", change, (), most=MAX_CHANGES)
    ids = fields.items("ids", ident, (), most=MAX_READ)
    fields.done()
    if changes and ids:
        raise Invalid("changes and ids: expected one of them, to change or to read")
    return Request(AskUpdate(changes) if changes else AskRead(ids))


def change(value: Any, place: str) -> Change:
    """{"do": add | remove | price | stock | block | unblock | margin, ...}."""
    fields = Fields(value, place)
    made = CHANGES[fields.choice("do", tuple(CHANGES))](fields)
    fields.done()
    return made


def added(fields: Fields) -> Change:
    """A whole item, new or instead of the one with its id."""
    try:
        return Put(make_item(fields.raw("item", expected="an item with id and title")))
    except ShopError as error:
        raise Invalid(f"{fields.at('item')}: {error}") from None


def named(fields: Fields) -> str:
    """The id of the item that is changed."""
    return fields.text("id", most=MAX_ID)


def or_none(fields: Fields, name: str, take: Callable[..., Any], most: float) -> Any:
    """A number that must be there and may be null."""
    return None if fields.raw(name, expected="a number or null") is None else take(name, least=0, most=most)


CHANGES: dict[str, Callable[[Fields], Change]] = {
    "add": added,
    "remove": lambda fields: Remove(named(fields)),
    "price": lambda fields: Price(named(fields), or_none(fields, "price", fields.number, MAX_PRICE)),
    "stock": lambda fields: Stock(named(fields), or_none(fields, "stock", fields.whole, MAX_STOCK)),
    "block": lambda fields: Block(named(fields), True),
    "unblock": lambda fields: Block(named(fields), False),
    "margin": lambda fields: Margin(named(fields), fields.number("margin", least=-1, most=1)),
}


def catalogue_answer(verdict: Verdict) -> dict[str, Any]:
    """What was made of the changes, or the items read."""
    found = verdict.found
    told: dict[str, Any]
    if isinstance(found, FoundUpdate):
        told = {"changed": found.changes, "items": int(found.snapshot.alive.sum())}
    else:
        assert isinstance(found, FoundRead)
        told = {"items": {one: None if item is None else plain_item(item) for one, item in found.items.items()}, **found.facts}
    return told | {"catalogue": found.snapshot.version, "timings_ms": timings(verdict)}


def visitor_request(payload: Payload, decode: Decode) -> Request:
    """{"do": "export" or "erase", "visitor": NAME}."""
    fields = table_of(payload, '{"do": "erase", "visitor": "..."}')
    made = AskVisitor(fields.choice("do", ("export", "erase")), fields.text("visitor"))
    fields.done()
    return Request(made)


def visitor_answer(verdict: Verdict) -> dict[str, Any]:
    """An export has the events; an erasure only how many there were."""
    found = verdict.found
    assert isinstance(found, FoundVisitor)
    told: dict[str, Any] = {"do": found.do, "where": found.where, "count": len(found.events)}
    if found.do == "export":
        told["events"] = [{"item": one.item, "kind": one.kind} | ({} if one.time is None else {"time": round(one.time, 3)})
                          for one in found.events]
    return told | {"timings_ms": timings(verdict)}


CATALOGUE = Codec(catalogue_request, catalogue_answer, no_picture, nothing, told_of, teaches=False, remembers=False,
                  light_bytes=4096, light=light, how_made=HOW)
VISITOR = Codec(visitor_request, visitor_answer, no_picture, nothing, told_of, teaches=False, remembers=False, light_bytes=4096,
                light=light, how_made=HOW)
