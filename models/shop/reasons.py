"""Why an item is shown: the looked-at item it goes with, a fact they share, how many had both, or that it is popular here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .snapshot import Snapshot
from .taste import Taste
from .together import Together

VIEW, CART, BUY = "view", "cart", "buy"
KINDS = (VIEW, CART, BUY)
LANGUAGES = ("en", "zh")
LEAST_TOGETHER = 3         # visitors: below, a count tells of somebody
LEAST_ALIKE = 0.3          # cosine
MOST = 3                   # reasons for one item
NEWEST = 20                # events that are looked at

SENTENCES: Mapping[str, Mapping[str, str]] = {
    "together": {"en": "{count} visitors had both this and {title}", "zh": "{count} 位顾客同时选看了它和{title}"},
    "like." + VIEW: {"en": "Because you looked at {title}", "zh": "因为您看过{title}"},
    "like." + CART: {"en": "Because {title} is in your basket", "zh": "因为{title}在您的购物篮里"},
    "like." + BUY: {"en": "Because you bought {title}", "zh": "因为您买过{title}"},
    "fact": {"en": "{name}: {value}, as {title}", "zh": "{name}：{value}，与{title}相同"},
    "trend": {"en": "Popular in this shop now", "zh": "本店近期热门"},
    "fits": {"en": "One of {count} that fit what you asked for", "zh": "符合要求的 {count} 件商品之一"},
}


@dataclass(frozen=True)
class Reason:
    """`code`: together, like, fact, trend or fits; `data` what the sentence is made of."""

    code: str
    data: Mapping[str, Any]
    sentence: str


@dataclass(frozen=True)
class Past:
    """One event of the visit: `row` in the catalogue or None, `vector` float32 (d,) or None."""

    ident: str
    kind: str
    row: int | None
    title: str
    vector: np.ndarray | None = field(repr=False, default=None)


def reasons(rows: Sequence[int], events: Sequence[Past], snapshot: Snapshot, allowed: int, language: str, taste: Taste | None,
            together: Together) -> list[list[Reason]]:
    """At most MOST reasons for each row, the most telling first, never none. `events` oldest first; `allowed` items fit."""
    newest = list({event.ident: event for event in events[-NEWEST:]}.values())[::-1]
    alike = likeness(rows, newest, taste)
    counted = counts(rows, newest, snapshot, taste, together)
    return [of_row(row, newest, alike[i], counted[i], snapshot, allowed, language, taste, together)
            for i, row in enumerate(rows)]


def of_row(row: int, newest: Sequence[Past], alike: np.ndarray, counted: np.ndarray, snapshot: Snapshot, allowed: int,
           language: str, taste: Taste | None, together: Together) -> list[Reason]:
    """The reasons for one row; `alike` and `counted` are by event."""
    found: list[Reason] = []
    if newest:
        most = int(counted.argmax())
        if counted[most] >= LEAST_TOGETHER:
            found.append(told("together", language, newest[most], count=int(counted[most])))
        near = int(alike.argmax())
        if alike[near] >= LEAST_ALIKE:
            found.append(told(f"like.{newest[near].kind}", language, newest[near], likeness=round(float(alike[near]), 3)))
        fact = shared(row, newest, snapshot)
        if fact is not None:
            found.append(told("fact", language, newest[fact[0]], name=fact[1], value=fact[2]))
    if len(found) < MOST and popular(row, snapshot, taste, together):
        found.append(told("trend", language))
    return found[:MOST] or [told("fits", language, count=allowed)]


def told(code: str, language: str, event: Past | None = None, **data: Any) -> Reason:
    """A reason with its sentence."""
    if event is not None:
        data |= {"item": event.ident, "title": event.title}
    quoted = data | ({"title": f"“{event.title}”"} if event is not None else {})
    return Reason(code.partition(".")[0], data, SENTENCES[code][language].format(**quoted))


def likeness(rows: Sequence[int], newest: Sequence[Past], taste: Taste | None) -> np.ndarray:
    """Cosine of every row with every event, float32 (rows, events); 0 where there is no vector."""
    if taste is None or not newest:
        return np.zeros((len(rows), max(len(newest), 1)), np.float32)
    none = np.zeros(taste.fitted.depth, np.float32)
    past = np.stack([none if event.vector is None else event.vector for event in newest])
    return unit(taste.vectors.floats[np.asarray(rows, np.int64)]) @ unit(past).T


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1; rows of zeros stay."""
    length = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    made: np.ndarray = vectors / np.where(length > 0, length, 1)[:, None]
    return made


def counts(rows: Sequence[int], newest: Sequence[Past], snapshot: Snapshot, taste: Taste | None,
           together: Together) -> np.ndarray:
    """How many visitors had each row and each event, int64 (rows, events), by the fit or by this shop's own counts."""
    made = np.zeros((len(rows), max(len(newest), 1)), np.int64)
    for j, event in enumerate(newest):
        own = together.near.get(event.ident)
        if own:
            for i, row in enumerate(rows):
                ident = snapshot.items[row].id
                made[i, j] = together.count(event.ident, ident) if ident in own else 0
    if taste is None:
        return made
    known = [(j, taste.known[event.ident]) for j, event in enumerate(newest) if event.ident in taste.known]
    if known:
        places, fits = (np.array(column, np.int64) for column in zip(*known, strict=True))
        near = taste.fitted.near[fits]
        for i, row in enumerate(rows):
            at = np.nonzero(near == taste.fit_of[row]) if taste.fit_of[row] >= 0 else ((), ())
            if len(at[0]):
                made[i, places[at[0]]] = np.maximum(made[i, places[at[0]]], taste.fitted.near_count[fits[at[0]], at[1]])
    return made


def shared(row: int, newest: Sequence[Past], snapshot: Snapshot) -> tuple[int, str, str] | None:
    """(event, attribute, value) of the rarest fact that the row shares with one of the newest events, or None."""
    best: tuple[int, int, str, str] | None = None
    item = snapshot.items[row]
    for place, event in enumerate(newest[:5]):
        if event.row is None or event.row == row:
            continue
        other = snapshot.items[event.row]
        for name in item.attributes:
            for value in set(item.values(name)) & set(other.values(name)):
                one = (len(snapshot.having(name, value)), place, name, value)
                best = one if best is None else min(best, one)
    return None if best is None or best[0] * 2 > len(snapshot) else best[1:]


def popular(row: int, snapshot: Snapshot, taste: Taste | None, together: Together) -> bool:
    """Whether an item is among what is looked at most here."""
    if taste is not None and row < len(taste.trend) and taste.trend[row] >= taste.popular:
        return True
    return together.trend(snapshot.items[row].id) >= LEAST_TOGETHER
