"""Why an item is shown: the looked-at item it goes with, a fact they share, how many had both, or that it is popular here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..recommend.format import scaled
from .past import BUY, CART, VIEW, Past
from .snapshot import Snapshot
from .taste import Taste
from .together import Together
from .visit import Visit

LANGUAGES = ("en", "zh")
LEAST_TOGETHER = 3         # visitors: below, a count tells of somebody
LEAST_ALIKE = 0.3          # cosine
MOST = 3                   # reasons for one item
NEWEST, FACTS = 20, 5      # events that are looked at; of which the facts

SENTENCES: Mapping[str, Mapping[str, str]] = {
    "together": {"en": "{count} visitors had both this and {title}", "zh": "{count} 位顾客同时选看了它和{title}"},
    "like." + VIEW: {"en": "Because you looked at {title}", "zh": "因为您看过{title}"},
    "like." + CART: {"en": "Because {title} is in your basket", "zh": "因为{title}在您的购物篮里"},
    "like." + BUY: {"en": "Because you bought {title}", "zh": "因为您买过{title}"},
    "fact": {"en": "{name}: {value}, as {title}", "zh": "{name}：{value}，与{title}相同"},
    "trend": {"en": "Popular in this shop now", "zh": "本店近期热门"},
    "fits": {"en": "One of {count} that fit what you asked for", "zh": "符合要求的 {count} 件商品之一"},
}


class Reason(NamedTuple):
    """`code`: together, like, fact, trend or fits; `data` what the sentence is made of."""

    code: str
    data: Mapping[str, Any]
    sentence: str


@dataclass(frozen=True)
class Known:
    """What reasons are made of: the catalogue, the newest events (newest first, each item once) with their vectors, the fit and
    this shop's own counts; `facts` of the newest few: (name, value) -> (place of the event, items that have it)."""

    snapshot: Snapshot
    newest: Sequence[Past]
    vectors: np.ndarray
    language: str
    taste: Taste | None
    together: Together
    facts: Mapping[tuple[str, str], tuple[int, int]]

    def title(self, event: Past) -> str:
        """How an item is called."""
        if event.row is None:
            return event.ident
        item = self.snapshot.items[event.row]
        return (*item.values(f"title:{self.language}"), item.title)[0]


def reasons(rows: Sequence[int], visit: Visit, snapshot: Snapshot, allowed: int, language: str, taste: Taste | None,
            together: Together) -> list[list[Reason]]:
    """At most MOST reasons for each row, the most telling first, never none; `allowed` items fit the rules."""
    first = {event.ident: at for at, event in enumerate(visit.events[-NEWEST:], max(0, len(visit.events) - NEWEST))}
    places = sorted(first.values(), reverse=True)
    newest = [visit.events[at] for at in places]
    known = Known(snapshot, newest, visit.vectors[places], language, taste, together, facts_of(newest, snapshot))
    if not newest:
        return [popular_or_fitting(row, known, allowed) for row in rows]
    alike, counted = likeness(rows, known), counts(rows, known)
    near, most = alike.argmax(1), counted.argmax(1)
    every = np.arange(len(rows))
    best = zip(rows, near.tolist(), alike[every, near].tolist(), most.tolist(), counted[every, most].tolist(), strict=True)
    return [of_row(*one, known, allowed) for one in best]


def of_row(row: int, near: int, alike: float, most: int, count: int, known: Known, allowed: int) -> list[Reason]:
    """The reasons for one row: the event `near` is most alike, with `most` it was had most often, by `count` visitors."""
    found: list[Reason] = []
    if count >= LEAST_TOGETHER:
        found.append(told("together", known, known.newest[most], count=count))
    if alike >= LEAST_ALIKE:
        event = known.newest[near]
        found.append(told(f"like.{event.kind}", known, event, likeness=round(alike, 3)))
    if len(found) < MOST and (fact := shared(row, known)) is not None:
        found.append(told("fact", known, known.newest[known.facts[fact][0]], name=fact[0], value=fact[1]))
    return found[:MOST] or popular_or_fitting(row, known, allowed)


def popular_or_fitting(row: int, known: Known, allowed: int) -> list[Reason]:
    """The reason where the visit gives none."""
    return [told("trend", known) if popular(row, known) else told("fits", known, count=allowed)]


def told(code: str, known: Known, event: Past | None = None, **data: Any) -> Reason:
    """A reason with its sentence."""
    sentence = SENTENCES[code][known.language]
    if event is None:
        return Reason(code, data, sentence.format(**data))
    title = known.title(event)
    said = sentence.format(**data, title=f"“{title}”")
    return Reason(code.partition(".")[0], data | {"item": event.ident, "title": title}, said)


def likeness(rows: Sequence[int], known: Known) -> np.ndarray:
    """Cosine of every row with every event, float32 (rows, events); 0 where there is no vector."""
    if known.taste is None:
        return np.zeros((len(rows), len(known.newest)), np.float32)
    one, two = known.taste.vectors.floats[rows], known.vectors
    made: np.ndarray = one @ two.T if known.taste.fitted.unit else scaled(one) @ scaled(two).T
    return made


def counts(rows: Sequence[int], known: Known) -> np.ndarray:
    """How many visitors had each row and each event, int64 (rows, events), by the fit or by this shop's own counts."""
    made = np.zeros((len(rows), len(known.newest)), np.int64)
    items, together = known.snapshot.items, known.together
    for j, event in enumerate(known.newest):
        own = together.near.get(event.ident)
        if own:
            for i, row in enumerate(rows):
                made[i, j] = together.count(event.ident, items[row].id) if items[row].id in own else 0
    if known.taste is None:
        return made
    fitted, events, found = known.taste.fitted, known.taste.fit_rows(known.newest), known.taste.fit_of[rows]
    same = fitted.near[events][None] == np.where(found < 0, -2, found)[:, None, None]
    at, which, place = np.nonzero(same & (events >= 0)[None, :, None])
    made[at, which] = np.maximum(made[at, which], fitted.near_count[events[which], place])
    return made


def facts_of(newest: Sequence[Past], snapshot: Snapshot) -> dict[tuple[str, str], tuple[int, int]]:
    """The facts of the newest few events, each with the newest event that has it and the number of items that do; what fits
    most items says nothing."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for place, event in enumerate(newest[:FACTS]):
        if event.row is None:
            continue
        item = snapshot.items[event.row]
        for name in item.attributes:
            if ":" in name:
                continue
            for value in item.values(name):
                if (name, value) not in found and 2 * (many := len(snapshot.having(name, value))) <= len(snapshot):
                    found[name, value] = place, many
    return found


def shared(row: int, known: Known) -> tuple[str, str] | None:
    """The rarest fact that the row shares with one of the newest events, or None."""
    item = known.snapshot.items[row]
    both = [key for name in item.attributes for value in item.values(name) if (key := (name, value)) in known.facts]
    return min(both, key=lambda key: known.facts[key][1]) if both else None


def popular(row: int, known: Known) -> bool:
    """Whether an item is among what is looked at most here."""
    taste = known.taste
    if taste is not None and row < len(taste.trend) and taste.trend[row] >= taste.popular:
        return True
    return known.together.trend(known.snapshot.items[row].id) >= LEAST_TOGETHER
