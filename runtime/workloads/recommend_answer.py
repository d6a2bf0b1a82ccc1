"""One list for one visitor: an order by taste, by what goes together, or by what is popular; the rules; the reasons."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter_ns
from typing import TYPE_CHECKING

import numpy as np

from ...models.shop.choose import Likeness, by_facts, by_vectors, choose
from ...models.shop.ranking import ByScore, ByVectors, Ranking
from ...models.shop.reasons import Reason, reasons
from ...models.shop.rules import Allowed, why_none
from ...models.shop.snapshot import Snapshot
from ...models.shop.together import alike
from ...models.shop.visit import Visit, understood
from ..deadline import due_ns
from ..errors import Late
from .recommend_asks import AskItems, Event, FoundItems, Shown

if TYPE_CHECKING:
    from .recommend import Asset

TASTE, TOGETHER, TREND = "taste", "together", "trend"
FACTS = 3                  # newest events whose facts count where nothing else is known


def past_of(asset: Asset, snapshot: Snapshot, ask: AskItems, kept: Sequence[Event]) -> Visit:
    """What was kept, what is sent now, and what the visitor has before him, in this order."""
    sent = list(ask.events)
    if sent and all(event.time is not None for event in sent):
        sent.sort(key=lambda event: event.time or 0.0)
    events = [(event.item, event.kind) for event in (*kept, *sent)]
    return understood([*events, (ask.item, "view")] if ask.item is not None else events, snapshot, asset.taste)


def answer(asset: Asset, snapshot: Snapshot, ask: AskItems, visit: Visit, taste: np.ndarray | None) -> FoundItems:
    """The list. `taste` float32 (d,) is what the encoder made of the visit, None where there is no encoder or no visit."""
    if due_ns() and perf_counter_ns() > due_ns():
        raise Late("the deadline passed before the list could be made")
    every = asset.masks.allowed(snapshot, ask.rules.filters)
    hidden = visit.hidden(ask.hide) | {row for ident in ask.blocked if (row := snapshot.row(ident)) is not None}
    if ask.item is not None and (row := snapshot.row(ask.item)) is not None:
        hidden.add(row)
    allowed = every.without(hidden)
    bias = asset.bias(snapshot, ask.rules.margin_weight)
    ranking, basis = ranked(asset, snapshot, visit, taste, allowed, bias)
    like: Likeness = by_facts(snapshot) if asset.taste is None else by_vectors(
        asset.taste.vectors.floats, asset.taste.fitted.unit)
    rows, scores = choose(ranking, snapshot, ask.rules, ask.count, like)
    why: list[list[Reason]] = [[] for _ in rows]
    if ask.explain:
        why = reasons(rows, visit, snapshot, allowed.count, ask.language, asset.taste, asset.together)
    shown = [Shown(row, score, 0.0 if bias is None else float(bias[row]), one)
             for row, score, one in zip(rows, scores, why, strict=True)]
    none = None if rows else why_none(snapshot, ask.rules.filters, every.count - allowed.count)
    return FoundItems(shown, snapshot, basis, allowed.count, visit.given, len(visit.events), visit.unknown, none)


def ranked(asset: Asset, snapshot: Snapshot, visit: Visit, taste: np.ndarray | None, allowed: Allowed,
           bias: np.ndarray | None) -> tuple[Ranking, str]:
    """The order that is best founded on what is known, and its name."""
    size = len(snapshot)
    events = [event.ident for event in visit.events]
    if taste is not None and asset.taste is not None:
        return ByVectors(asset.taste.vectors.view(size), taste, allowed, bias, asset.taste.extras(visit.events, size)), TASTE
    scores = asset.together.scores(snapshot.rows, size, events)
    if asset.taste is not None:
        scores += asset.taste.trend[:size]
        if events:
            rows, more = asset.taste.extras(visit.events, size)
            there = rows >= 0
            np.add.at(scores, rows[there], more[there] * 10)
    elif events:
        scores += alike(facts(snapshot, visit), size)
    if bias is not None:
        scores += bias
    return ByScore(scores, allowed), TOGETHER if events else TREND


def facts(snapshot: Snapshot, visit: Visit) -> list[tuple[np.ndarray, float]]:
    """(rows that share a fact with one of the newest events, weight): rare facts weigh more."""
    found = []
    for age, event in enumerate(reversed(visit.events[-FACTS:])):
        if event.row is None:
            continue
        item = snapshot.items[event.row]
        lists = [snapshot.having(name, value) for name in item.attributes for value in item.values(name)]
        if item.category:
            lists.append(np.flatnonzero(snapshot.category == snapshot.category[event.row]))
        if item.brand:
            lists.append(np.flatnonzero(snapshot.brand == snapshot.brand[event.row]))
        found += [(rows, 0.1 * 0.7**age / np.log2(2 + len(rows))) for rows in lists]
    return found
