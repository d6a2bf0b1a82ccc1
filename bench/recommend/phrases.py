"""The labelled phrases of the made-up shop, and how good a ranking of its products is for each of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from ...models.make.shop import items
from ...models.search.lexicon import Lexicon, read_lexicon
from ...models.search.units import measure
from ...models.shop.item import Item

FILE = Path(__file__).with_name("phrases.txt")
LANGUAGES = ("en", "zh", "mixed")
FULL, PARTLY = 3, 1
DEPTH = 10


@dataclass(frozen=True)
class Phrase:
    """What a shopper says, and the label: `wants` are (facet name, accepted values), `nots` the same, refused."""

    language: str
    text: str
    wants: tuple[tuple[str, tuple[str, ...]], ...]
    nots: tuple[tuple[str, tuple[str, ...]], ...]
    price: tuple[float, float]
    content: str
    size: str
    dev: bool

    def grade(self, item: Item, lexicon: Lexicon) -> int:
        """3 where the product is all that is wanted, 1 where its kind is right and most of the rest, else 0."""
        price = item.price if item.price is not None else math.inf
        if any(has(item, *one, lexicon) for one in self.nots) or not self.price[0] <= price <= self.price[1]:
            return 0
        met = [has(item, *one, lexicon) for one in self.wants if one[0] != "kind"]
        met += [any(measure(value) == measure(self.content) for value in item.values("content"))] if self.content else []
        met += [self.size in item.values("size")] if self.size else []
        if not all(has(item, *one, lexicon) for one in self.wants if one[0] == "kind"):
            return 0
        if all(met):
            return FULL
        return PARTLY if len(met) > 1 and 2 * sum(met) >= len(met) else 0


def has(item: Item, name: str, values: tuple[str, ...], lexicon: Lexicon) -> bool:
    """True where the product has one of the values of a facet, or something that implies it (wellies are shoes)."""
    wanted = {f"{name}:{value}" for value in values}
    return any(not wanted.isdisjoint(lexicon.whole(f"{one}:{value}"))
               for one in item.attributes if ":" not in one for value in item.values(one))


def wishes(text: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """"kind:shoes grip:non-slip" -> pairs of name and values."""
    pairs = [word.split(":") for word in text.split()]
    return tuple((name, tuple(values.split(","))) for name, values in pairs)


@cache
def phrases() -> tuple[Phrase, ...]:
    """All phrases; every second one of a language is for choosing weights (`dev`), the others only for the figures."""
    made: list[Phrase] = []
    for line in FILE.read_text("utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        language, text, wants, nots, more = (part.strip() for part in line.split("|"))
        price, content, size = (0.0, math.inf), "", ""
        if more.startswith("price "):
            low, high = more.split()[1:]
            price = (float(low), float(high))
        elif more.startswith("content "):
            content = more.removeprefix("content ")
        elif more.startswith("size "):
            size = more.removeprefix("size ")
        dev = sum(one.language == language for one in made) % 2 == 0
        made.append(Phrase(language, text, wishes(wants), wishes(nots), price, content, size, dev))
    return tuple(made)


def measures(grades: Sequence[int], ranked: Sequence[int]) -> tuple[float, float]:
    """(reciprocal rank of the first product that is all that is wanted, nDCG@10 over the grades)."""
    first = next((place for place, row in enumerate(ranked) if grades[row] == FULL), None)
    gains = [(2 ** grades[row] - 1) / math.log2(place + 2) for place, row in enumerate(ranked[:DEPTH])]
    best = sorted(grades, reverse=True)[:DEPTH]
    ideal = sum((2 ** grade - 1) / math.log2(place + 2) for place, grade in enumerate(best))
    return (0.0 if first is None else 1.0 / (first + 1)), (sum(gains) / ideal if ideal else 0.0)


Rank = Callable[[str], Sequence[int]]


@cache
def grades_of(phrase: Phrase) -> tuple[int, ...]:
    """The grade of every product of the made-up shop."""
    lexicon = shipped()
    return tuple(phrase.grade(item, lexicon) for item in items())


@cache
def shipped() -> Lexicon:
    """The lexicon that the labels follow."""
    return read_lexicon()


def evaluate(rank: Rank, chosen: Sequence[Phrase]) -> Mapping[str, np.ndarray]:
    """MRR and nDCG@10 of each phrase, float (n, 2), by language; `rank` gives rows of the made-up shop, best first."""
    found: dict[str, list[tuple[float, float]]] = {language: [] for language in LANGUAGES}
    for phrase in chosen:
        found[phrase.language].append(measures(grades_of(phrase), rank(phrase.text)))
    return {language: np.array(pairs).reshape(-1, 2) for language, pairs in found.items()}
