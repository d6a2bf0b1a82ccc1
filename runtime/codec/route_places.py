"""Places in JSON: coordinates by their names, or a node of the map."""

from __future__ import annotations

import math
from typing import Any

from ..workloads.route_asks import Where
from .fields import Fields


def where(value: Any, place: str) -> Where:
    """A place: {"lat", "lon"}, on plane maps {"x", "y"}, or {"node"}."""
    fields = Fields(value, place)
    if "node" in fields.table:
        node = fields.whole("node", least=-2**31)
        fields.done()
        return node
    one, two = ("y", "x") if "x" in fields.table else ("lat", "lon")
    found = coordinate(fields, one), coordinate(fields, two)
    fields.done()
    return found


def mapped(fields: Fields, name: str) -> tuple[str | None, Where]:
    """The place in a field, and the map that it says it is on (None: it says nothing)."""
    value = fields.raw(name, expected="a place")
    if not isinstance(value, dict) or "map" not in value:
        return None, where(value, fields.at(name))
    inner = Fields({"map": value["map"]}, fields.at(name))
    return inner.text("map"), where({k: v for k, v in value.items() if k != "map"}, fields.at(name))


def place_of(fields: Fields, name: str) -> Where:
    """The place in a field."""
    return where(fields.raw(name, expected="a place"), fields.at(name))


def coordinate(fields: Fields, name: str) -> float:
    """A number that the map judges: it says more of a wrong one than that it is wrong."""
    value = fields.raw(name, expected='a number; a place is {"lat": .., "lon": ..}, {"x": .., "y": ..} or {"node": ..}')
    if value is None:
        return math.nan          # what JavaScript makes of NaN
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise fields.wrong(name, "a number")
    return float(value)


def limit(fields: Fields) -> float:
    """How far a place may lie from the network, m."""
    return fields.number("limit_m", 500.0, 0, 100_000)
