"""BM25 over arrays: which rows have a term, and how much it counts there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from .units import value_of

K1, B = 1.2, 0.6
LARGE = 3.0                # weight of a word of a title; see facts.py


class Terms:
    """Term -> number. It only grows, so what was made with fewer terms stays right."""

    def __init__(self) -> None:
        self.place: dict[str, int] = {}
        self.names: list[str] = []
        self.flat = bytearray()          # 1 for a facet: it counts the same however long the text is
        self.measures: dict[str, list[tuple[float, int]]] = {}      # base unit -> (value, number) of each measure

    def __len__(self) -> int:
        return len(self.flat)

    def number(self, term: str) -> int:
        """The number of a term, a new one where it has none."""
        at = self.place.get(term)
        if at is None:
            at = self.place[term] = len(self.flat)
            self.names.append(term)
            self.flat.append(term[0] == "@")
            if term[0] == "#" and (told := value_of(term)) is not None:
                self.measures.setdefault(told[0], []).append((told[1], at))
        return at


@dataclass(frozen=True)
class Forward:
    """What stands in some rows: row i of `rows` has terms[starts[i]:starts[i + 1]] with these weights (int32, float32)."""

    rows: np.ndarray
    starts: np.ndarray
    terms: np.ndarray
    weights: np.ndarray

    def without(self, gone: np.ndarray) -> Forward:
        """What is left when some rows are gone."""
        keep = ~np.isin(self.rows, gone)
        counts = np.diff(self.starts)
        inside = np.repeat(keep, counts)
        starts = np.concatenate([[0], np.cumsum(counts[keep])]).astype(np.int64)
        return Forward(self.rows[keep], starts, self.terms[inside], self.weights[inside])

    def joined(self, other: Forward) -> Forward:
        """Both, this one first."""
        return Forward(np.concatenate([self.rows, other.rows]),
                       np.concatenate([self.starts, other.starts[1:] + self.starts[-1]]),
                       np.concatenate([self.terms, other.terms]), np.concatenate([self.weights, other.weights]))


def forward(rows: Sequence[int], found: Sequence[dict[int, float]]) -> Forward:
    """Of a dictionary of term numbers and weights for each row."""
    starts = np.concatenate([[0], np.cumsum([len(one) for one in found])]).astype(np.int64)
    terms = np.fromiter(chain.from_iterable(found), np.int32, int(starts[-1]))
    weights = np.fromiter(chain.from_iterable(one.values() for one in found), np.float32, int(starts[-1]))
    return Forward(np.array(rows, np.int32), starts, terms, weights)


NOTHING = Forward(np.zeros(0, np.int32), np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))


@dataclass(frozen=True)
class Segment:
    """Postings: term t is in rows[starts[t]:starts[t + 1]] with `parts`, its share of the most that it can count (0 to 1).

    `large` bool: the weight there is that of a title, or more.
    """

    forward: Forward
    starts: np.ndarray
    rows: np.ndarray
    parts: np.ndarray
    large: np.ndarray
    place: np.ndarray             # int32: where a row of the catalogue stands in `forward`, -1 for not at all

    def at(self, row: int) -> tuple[np.ndarray, np.ndarray] | None:
        """(terms, weights) of a row of the catalogue, None where it is not in this segment."""
        place = int(self.place[row]) if row < len(self.place) else -1
        if place < 0:
            return None
        begin, end = self.forward.starts[place], self.forward.starts[place + 1]
        return self.forward.terms[begin:end], self.forward.weights[begin:end]

    def of(self, term: int) -> tuple[np.ndarray, np.ndarray]:
        """(rows, parts) of a term; empty where it came later."""
        some = self.at_of(term)
        return self.rows[some], self.parts[some]

    def at_of(self, term: int) -> slice:
        """Where its postings are."""
        return slice(self.starts[term], self.starts[term + 1]) if term + 1 < len(self.starts) else slice(0, 0)


def segment(made: Forward, terms: Terms, average: float) -> Segment:
    """The postings of what stands in some rows; `average` is the usual sum of weights of a row."""
    count = len(terms)
    flat = np.frombuffer(bytes(terms.flat), np.uint8).astype(bool)
    counts = np.diff(made.starts)
    is_flat = flat[made.terms]
    lengths = np.bincount(np.repeat(np.arange(len(counts)), counts), np.where(is_flat, 0.0, made.weights), len(counts))
    norm = (K1 * (1 - B + B * lengths / max(average, 1e-6))).astype(np.float32)
    parts = np.where(is_flat, made.weights, made.weights / (made.weights + np.repeat(norm, counts)))
    order = by_number(made.terms)
    starts = np.concatenate([[0], np.cumsum(np.bincount(made.terms, minlength=count))]).astype(np.int64)
    place = np.full(int(made.rows.max(initial=-1)) + 1, -1, np.int32)
    place[made.rows] = np.arange(len(made.rows), dtype=np.int32)
    return Segment(made, starts, np.repeat(made.rows, counts)[order], parts[order].astype(np.float32),
                   (made.weights >= LARGE)[order], place)


def by_number(terms: np.ndarray) -> np.ndarray:
    """The stable order of numbers from 0, int64: by halves of 16 bits, which NumPy sorts in one pass each."""
    low = np.argsort(terms.astype(np.uint16), kind="stable")
    high = (terms >> 16).astype(np.uint16)
    return low[np.argsort(high[low], kind="stable")] if high.any() else low


def average_of(made: Forward, terms: Terms) -> float:
    """The usual sum of weights of a row, facets apart."""
    if not len(made.rows):
        return 1.0
    flat = np.frombuffer(bytes(terms.flat), np.uint8).astype(bool)
    return float(made.weights[~flat[made.terms]].sum()) / len(made.rows) or 1.0


@dataclass(frozen=True)
class Postings:
    """A large segment, a small newer one, and which rows of the large one it replaces. Never changed."""

    base: Segment
    delta: Segment
    replaced: np.ndarray          # int32, rising: rows of `base` that no longer count
    rows: int                     # the catalogue's
    items: int                    # rows that have any text

    def count(self, term: int) -> int:
        """In how many rows a term stands, about: replaced rows still count."""
        return len(self.base.of(term)[0]) + len(self.delta.of(term)[0])

    def weight(self, count: int) -> float:
        """How much a term that stands in so many rows says."""
        count = min(count, self.items)
        return float(np.log1p((self.items - count + 0.5) / (count + 0.5)))

    def scores(self, asked: Sequence[tuple[int, float]]) -> np.ndarray:
        """BM25 of every row, float32 (rows,), for pairs of a term and how much it is wanted."""
        weighed = [(term, wish * self.weight(count)) for term, wish in asked if (count := self.count(term))]
        found = np.zeros(self.rows, np.float32)
        for term, weight in weighed:
            rows, parts = self.base.of(term)
            found[rows] += weight * parts
        if len(self.replaced):
            found[self.replaced] = 0
        for term, weight in weighed:
            rows, parts = self.delta.of(term)
            if len(rows):
                found[rows] += weight * parts
        return found

    def having(self, term: int, least: float = 0.0, *, titled: bool = False) -> np.ndarray:
        """The rows with a term whose part is at least that, int32; `titled`: in the title, or as often as that counts."""
        rows, parts = self.base.of(term)
        rows = rows[parts >= least] if not titled else rows[self.base.large[self.base.at_of(term)]]
        if len(self.replaced) and len(rows):
            rows = rows[~np.isin(rows, self.replaced)]
        more, their = self.delta.of(term)
        if not len(more):
            return rows
        return np.concatenate([rows, more[their >= least] if not titled else more[self.delta.large[self.delta.at_of(term)]]])
