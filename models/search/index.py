"""The index of a live catalogue: follows its changes, answers from one consistent state."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np

from .ask import NOT, SIZED, Known, Understood, nobody, understand
from .facts import SAID, Reader, Thing
from .kept import Kept
from .lexicon import Lexicon
from .postings import NOTHING, Forward, Postings, Segment, Terms, average_of, forward, segment
from .stem import stem
from .typos import Vocabulary
from .units import Span as Measures
from .units import value_of
from .words import ORDINARY

LEAST_DELTA = 1024         # changed items that are kept apart before the large segment is made anew
SHARE_DELTA = 0.05
IMPLIED = 0.3              # share of a wanted facet's weight that what it implies gets
ORDINARY_TERMS = frozenset(map(stem, ORDINARY))      # words of any question: that nothing here has them says nothing
ONLY_TITLE = ("kind:", "colour:", "for:")


class State(Protocol):
    """What is read of a catalogue's snapshot; models/shop/snapshot.py."""

    @property
    def items(self) -> Sequence[Thing]: ...
    @property
    def alive(self) -> np.ndarray: ...
    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Found:
    """Scores of every row, float32 (rows,), and which rows an exclusion takes out, bool (rows,).

    `most`: what a row would have that is all that was asked for, words that the catalogue has not among them.
    """

    scores: np.ndarray
    excluded: np.ndarray
    most: float = 0.0


class Index:
    """`follow` is a listener for a catalogue; everything else is safe from any thread meanwhile.

    A first catalogue of `later` items or more is read when it is first asked, so that `settle` can be told before what a
    file has kept of it.
    """

    def __init__(self, lexicon: Lexicon, later: int = sys.maxsize) -> None:
        self.lexicon = lexicon
        self.later = later
        self._late: list[tuple[State, np.ndarray]] = []      # changes to take up
        self.reader = Reader(lexicon)
        self.terms = Terms()
        self.vocabulary = Vocabulary()
        self.vocabulary.add(lexicon.surfaces)
        empty = segment(NOTHING, self.terms, 1.0)
        self.postings = Postings(empty, empty, np.zeros(0, np.int32), 0, 0)
        self._average = 1.0
        self._lock = threading.Lock()

    def follow(self, snapshot: State, rows: np.ndarray, told: np.ndarray) -> None:
        """Take up the changes of a catalogue: `told` are the rows whose texts are new, changed or gone."""
        with self._lock:
            if self._late or (not self.postings.rows and len(told) >= self.later):
                self._late.append((snapshot, told))
            else:
                self._take(snapshot, told)

    def settle(self, kept: Kept | None = None) -> Kept | None:
        """Take up what waits; `kept` is what the first of it, a whole catalogue, gave another time.

        What is to be kept of it, None where nothing waited or `kept` was given.
        """
        if not self._late:
            return None
        with self._lock:
            if not self._late:
                return None
            snapshot, told = self._late[0]
            if kept is not None:
                self._restore(kept)
                self._put(snapshot, told, kept.forward)
            else:
                self._take(snapshot, told)
            made = None if kept is not None else Kept(
                self.postings.base.forward, list(self.terms.names), list(self.lexicon.learnt), list(self.vocabulary.words),
                self.vocabulary.counts())
            for snapshot, told in self._late[1:]:
                self._take(snapshot, told)
            self._late = []
            return made

    def _restore(self, kept: Kept) -> None:
        for term in kept.terms:
            self.terms.number(term)
        for facet, phrase in kept.learnt:
            self.lexicon.learn(facet, phrase)
        self.vocabulary.restore(kept.words, kept.counts)

    def _take(self, snapshot: State, told: np.ndarray) -> None:
        if len(told) or self.postings.rows != len(snapshot):
            self._put(snapshot, told, self._read(snapshot, [row for row in told.tolist() if snapshot.alive[row]]))

    def _put(self, snapshot: State, told: np.ndarray, new: Forward) -> None:
        """Replace what stands in the rows `told`."""
        now, items = self.postings, int(np.count_nonzero(snapshot.alive))
        delta = now.delta.forward.without(told).joined(new)
        replaced = np.union1d(now.replaced, told).astype(np.int32)
        if len(delta.rows) > max(LEAST_DELTA, SHARE_DELTA * len(snapshot)) or not len(now.base.forward.rows):
            whole = now.base.forward.without(replaced).joined(delta)
            self._average = average_of(whole, self.terms)
            empty = segment(NOTHING, self.terms, self._average)
            self.postings = Postings(self._segment(whole), empty, np.zeros(0, np.int32), len(snapshot), items)
        else:
            self.postings = Postings(now.base, self._segment(delta), replaced, len(snapshot), items)

    def _segment(self, made: Forward) -> Segment:
        return segment(made, self.terms, self._average)

    def _read(self, snapshot: State, rows: Sequence[int]) -> Forward:
        number, place = self.terms.number, self.terms.place
        found: list[dict[int, float]] = []
        for row in rows:
            weights, facets = self.reader.facts(snapshot.items[row])
            one = {place[term] if term in place else number(term): weight for term, weight in weights.items()}
            one.update((number("@" + facet), sure) for facet, sure in facets.items())
            found.append(one)
        self.vocabulary.add(self.reader.surfaces)
        self.reader.surfaces = set()
        return forward(rows, found)

    # ---- asking

    def understand(self, question: str, real: Known = nobody) -> Understood:
        """What a question asks for, with the words of this catalogue; `real` knows words that it has not."""
        self.settle()
        return understand(question, self.lexicon, self.terms.place.__contains__, self.vocabulary, real)

    def find(self, asked: Understood, *, facets: bool = True) -> Found:
        """Score every row. Without `facets` by the words alone, as a plain BM25 would."""
        self.settle()
        now, place = self.postings, self.terms.place
        wanted = [(place[term], weight) for term, weight in asked.terms if term in place]
        if facets:
            wanted += [(place["@" + facet], weight) for facet, weight in self._broad(asked).items() if "@" + facet in place]
        excluded = np.zeros(now.rows, bool)
        for one in asked.excluded:
            for facet in one.facets:
                at = place.get("@" + facet)
                if at is not None:
                    excluded[now.having(at, SAID if facet.startswith(ONLY_TITLE) else 0.0)] = True
            if one.terms and all(term in place for term in one.terms):
                having = partial(now.having, titled=bool(one.facets))
                rows = having(place[one.terms[0]])
                for term in one.terms[1:]:
                    rows = np.intersect1d(rows, having(place[term]))
                for term in one.terms:                 # "nut-free" says that it has none
                    if NOT + term in place:
                        rows = rows[~np.isin(rows, now.having(place[NOT + term]))]
                excluded[rows] = True
        most = sum(weight * now.weight(now.count(term)) for term, weight in wanted)
        most += sum(weight * now.weight(0) for term, weight in asked.terms
                    if term not in place and term[0] != NOT and term not in ORDINARY_TERMS)
        scores = now.scores(wanted)
        if facets:
            for span in asked.measures:
                rows = self.measured(span, now)
                weight = SIZED * now.weight(len(rows))
                scores[rows] += weight
                most += weight
        return Found(scores, excluded, most)

    def measured(self, span: Measures, now: Postings) -> np.ndarray:
        """The rows of these postings with a measure of that range, int32, rising."""
        of_base = self.terms.measures.get(span.base, ())
        rows = [now.having(term) for value, term in of_base if span.has(value)]
        return np.unique(np.concatenate(rows)) if rows else np.zeros(0, np.int32)

    def grasp(self, asked: Understood) -> float:
        """Which share of a question's words (of Chinese: characters) stands for facets that the catalogue has, 0 to 1."""
        if not asked.length:
            return 0.0
        known = sum(want.length for want in asked.wanted if any("@" + facet in self.terms.place for facet in want.facets))
        return min(1.0, known / asked.length)

    def _broad(self, asked: Understood) -> dict[str, float]:
        """The facets that are wanted, and in part what they imply: who wants wellies may take other boots."""
        made: dict[str, float] = {}
        for want in asked.wanted:
            for facet in want.facets:
                made[facet] = max(made.get(facet, 0.0), want.weight)
                for more in self.lexicon.whole(facet)[1:]:
                    made[more] = max(made.get(more, 0.0), IMPLIED * want.weight)
        return made

    def facets_at(self, row: int) -> dict[str, float]:
        """The facets of one row and how sure they are."""
        return {term[1:]: weight for term, weight in self.at(row).items() if term[0] == "@"}

    def words_at(self, row: int, asked: Understood) -> list[str]:
        """The terms of a question that stand in a row."""
        return self.words_of(self.at(row), asked)

    @staticmethod
    def words_of(have: Mapping[str, float], asked: Understood) -> list[str]:
        """The same of what `at` gave."""
        found = [term for term, _ in asked.terms if term in have]
        for span in asked.measures:
            found += [term for term in have if term[0] == "#" and (told := value_of(term)) is not None and told[0] == span.base
                      and span.has(told[1])][:1]
        return found

    def at(self, row: int) -> dict[str, float]:
        """Terms and facets ("@...") of one row, with their weights."""
        self.settle()
        found = self.postings.delta.at(row) or self.postings.base.at(row)
        if found is None:
            return {}
        names = self.terms.names
        return {names[term]: weight for term, weight in zip(found[0].tolist(), found[1].tolist(), strict=True)}
