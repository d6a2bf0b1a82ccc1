"""What an item says of itself: the terms of its texts by field, and the facets of its attributes and words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Protocol

from .ask import NOT
from .lexicon import Atom, Lexicon, atoms
from .said import FREE, STARTS, negator, spans
from .units import measure_terms
from .words import LONGEST_WORD, MOST_OF_ITEM, cut, joined_terms, normal, word_terms

TITLE, CATEGORY, BRAND, ATTRIBUTE, TEXT = 3.0, 2.0, 2.0, 1.5, 1.0
SURE, SAID, OF_A_PATH, MENTIONED = 1.0, 0.9, 0.89, 0.6     # a facet of an attribute, the title, the category, the text
ONLY_SURE = ("kind", "colour", "for")       # a text speaks of other things too: "goes with black shoes"
SHORT, MOST_KEPT = 64, 50_000               # texts and values that are read once for all items
SIZES = ("size", "sizes", "尺码", "鞋码")
TRANSLATED = ("title:", "text:")            # attributes with the texts in other languages: "title:zh"


class Thing(Protocol):
    """What is read of an item; models/shop/item.py."""

    @property
    def title(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def category(self) -> str: ...
    @property
    def brand(self) -> str: ...
    @property
    def attributes(self) -> Mapping[str, str | float | tuple[str, ...]]: ...
    def values(self, name: str) -> tuple[str, ...]: ...


def fields(item: Thing) -> Iterator[tuple[str, float, float]]:
    """(text, its weight for words, how sure its facets are)."""
    yield item.title, TITLE, SAID
    yield item.category.replace("/", " | "), CATEGORY, OF_A_PATH
    yield item.brand, BRAND, 0.0
    yield item.text, TEXT, MENTIONED
    for name in item.attributes:
        if name.startswith(TRANSLATED):
            title = name.startswith("title:")
            yield " ".join(item.values(name)), TITLE if title else TEXT, SAID if title else MENTIONED


def facets_of_value(name: str, value: str, lexicon: Lexicon) -> tuple[str, ...]:
    """The facets that one value of an attribute is."""
    own = f"{name}:{value}".lower()
    if own in lexicon.values:
        return (own,)
    found = atoms(normal(value))
    if found:
        length, facets = lexicon.match(found, 0)
        if length == len(found):
            alike = tuple(facet for facet in facets if facet.startswith(f"{name.lower()}:"))
            return alike or facets
    if not any(c.isdigit() for c in value):      # "42" in a question need not be a size
        lexicon.learn(own, value)
    return (own,)


def told(some: Sequence[Atom]) -> list[str]:
    """The terms of atoms: of Chinese also the pairs."""
    pairs = [a.text + b.text for a, b in pairwise(some) if a.kind == b.kind == "joined"]
    return [*(atom.text for atom in some), *pairs]


def refused(phrase: Sequence[Atom]) -> list[str]:
    """What a phrase with its own "no" says that the item has not: "nut-free", "不含坚果"."""
    if len(phrase) > 1 and phrase[-1].text == FREE:
        return told(phrase[:-1])
    head = negator(phrase, 0) if len(phrase) > 1 else 0
    return told(phrase[head:]) if head else []


Read = tuple[tuple[str, ...], tuple[str, ...]]


class Reader:
    """Reads items; short texts that many items share (categories, brands, values) are read once."""

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon
        self.surfaces: set[str] = set()      # words as they are written, since somebody took them
        self._kept: dict[str, Read] = {}
        self._values: dict[tuple[str, str], tuple[str, ...]] = {}

    def facts(self, item: Thing) -> tuple[dict[str, float], dict[str, float]]:
        """(terms and their weights, facets and how sure they are) of an item."""
        weights: dict[str, float] = {}
        facets: dict[str, float] = {}
        for name in item.attributes:
            if not name.startswith(TRANSLATED):
                for value in item.values(name):
                    facets.update(dict.fromkeys(self._facets(name, value), SURE))
                    if name.lower() in SIZES:
                        weights[f"#size{value.lower()}"] = ATTRIBUTE
                    self._add(value, ATTRIBUTE, 0.0, weights, facets)
        for text, weight, sure in fields(item):
            if text:
                self._add(text, weight, sure, weights, facets)
        whole = self.lexicon.whole
        for facet, sure in list(facets.items()):
            for more in whole(facet):
                if facets.get(more, 0.0) < sure:
                    facets[more] = sure
        return weights, facets

    def _add(self, text: str, weight: float, sure: float, weights: dict[str, float], facets: dict[str, float]) -> None:
        for term in (found := self._read(text))[0]:
            weights[term] = weights.get(term, 0.0) + weight
        if sure:
            for facet in found[1]:
                name = facet.partition(":")[0]
                counts = name == "kind" if sure == OF_A_PATH else sure > MENTIONED or name not in ONLY_SURE
                if counts and facets.get(facet, 0.0) < sure:
                    facets[facet] = sure

    def _facets(self, name: str, value: str) -> tuple[str, ...]:
        found = self._values.get((name, value))
        if found is None:
            found = facets_of_value(name, value, self.lexicon)
            if len(self._values) < MOST_KEPT:
                self._values[name, value] = found
        return found

    def _read(self, text: str) -> Read:
        found = self._kept.get(text)
        if found is None:
            found = self._look(normal(text, MOST_OF_ITEM))
            if len(text) <= SHORT and len(self._kept) < MOST_KEPT:
                self._kept[text] = found
        return found

    def _look(self, text: str) -> Read:
        """The terms and the facets of a normal text; what is negated gives neither, but terms that say so."""
        found: list[Atom] = []
        made: list[str] = []
        words: list[str] = []
        for match in cut(text):                # as `pieces` and `terms` have it, for the hundred words of each item
            kind, piece = match.lastgroup, match[0]
            if kind == "word":
                some = word_terms(piece := piece[:LONGEST_WORD], False)
                words.append(piece)
            elif kind == "joined":
                start = match.start()
                found += [Atom(c, kind, start + i, start + i + 1) for i, c in enumerate(piece)]
                made += joined_terms(piece, False)
                continue
            else:
                kind = kind or "measure"
                some = (piece,) if kind == "picture" else measure_terms(piece[:LONGEST_WORD])
            if some:
                found.append(Atom(some[0], kind, match.start(), match.end()))
                made += some
        self.surfaces.update(words)
        facets: list[str] = []
        negated: set[str] = set()
        without: list[str] = []
        for span in spans(text, found, self.lexicon, False):
            if span.negated and not span.within:
                negated.update(told(found[span.start:span.end]))
            elif not span.negated:
                facets += span.facets
                without += refused(found[span.start:span.end])
        if negated:
            made = [NOT + term if term in negated and term not in STARTS else term for term in made]
        made += [NOT + term for term in dict.fromkeys(without)]
        return tuple(made), tuple(dict.fromkeys(facets))
