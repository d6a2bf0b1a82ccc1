"""Help me choose: at most five questions in taps, each the one that tells most; the client sends its answers so far.

Nothing is kept between two questions. Answered by a shop, as search is.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

from ...models.search import choose
from ...models.search.choose import Answer, Question
from ...models.search.lexicon import Lexicon
from ...models.shop.choose import by_facts
from ...models.shop.choose import choose as listed
from ...models.shop.ranking import ByScore
from ...models.shop.rules import Allowed, Rules, why_none
from ...models.shop.snapshot import Snapshot
from .search import AT_ONCE, Engine, Searcher, liked, read
from .search import Request as SearchRequest

log = logging.getLogger("aisle.choose")
MAX_COUNT = 20
FLOOR = 0.02               # weight of an item that the phrase before the questions does not find, of the best one's
MOST_WORDS = 200


@dataclass(frozen=True)
class Request:
    """`answers` so far, in order; `question`: a phrase to begin with, may be empty; the rest as in search."""

    answers: tuple[Answer, ...] = ()
    question: str = ""
    count: int = 5
    rules: Rules = field(default_factory=Rules)
    language: str = "en"
    events: tuple[str, ...] = ()
    taste: float = 0.2


@dataclass(frozen=True)
class Pick:
    """One item with how likely it is the right one, and the answers that it fits and those that it does not."""

    row: int
    share: float
    fits: Sequence[Answer]
    misses: Sequence[Answer]


@dataclass(frozen=True)
class Verdict:
    """`next` is None where nothing more needs to be asked. `left`: items that are still likely, by entropy."""

    request: Request
    next: Question | None
    words: str
    picks: Sequence[Pick]
    left: float
    snapshot: Snapshot
    searcher: Searcher
    none: tuple[str, Mapping[str, int]] | None
    timings_ms: Mapping[str, float]


async def run(request: Request, engine: Engine, searcher: Searcher) -> Verdict:
    """The next question and what fits best so far."""
    small = len(searcher.catalogue.snapshot) <= AT_ONCE and searcher.phrase is None
    return answer(request, searcher) if small else await engine.offload(answer, request, searcher)


def answer(request: Request, searcher: Searcher) -> Verdict:
    """`run` on this thread."""
    start, snapshot = perf_counter(), searcher.catalogue.now()
    allowed = searcher.masks.allowed(snapshot, request.rules.filters)
    begin, free = beginning(request, snapshot, searcher, allowed)
    weights = choose.weighed(snapshot, begin, request.answers)
    asked = choose.next_question(snapshot, weights, [one.facet for one in request.answers])
    rows, _ = listed(ByScore(weights.astype(np.float32), free), snapshot, request.rules, request.count, by_facts(snapshot))
    picks = [pick(row, snapshot, weights, request.answers) for row in rows]
    none = why_none(snapshot, request.rules.filters, 0) if not picks else None
    words = "" if asked is None else in_words(asked, request.language, searcher)
    left = float(2 ** choose.entropy(weights)) if free.count else 0.0
    return Verdict(request, asked, words, picks, left, snapshot, searcher, none, {"choose": (perf_counter() - start) * 1e3})


def beginning(request: Request, snapshot: Snapshot, searcher: Searcher, allowed: Allowed) -> tuple[np.ndarray, Allowed]:
    """(the weights before any answer, float64 (n,), the rows that may be shown)."""
    weights = np.zeros(len(snapshot))
    if not request.question:
        weights[allowed.rows(len(snapshot))] = 1.0
        like = np.ones(len(snapshot), np.float32)
    else:
        asked = read(request.question, searcher)
        found = searcher.index.find(asked)
        out = np.zeros(len(snapshot), bool)
        size = min(len(snapshot), len(found.scores))
        out[:size] = found.excluded[:size]
        if asked.band is not None and asked.band.currency in ("", searcher.currency):
            out |= ~((snapshot.price >= asked.band.low) & (snapshot.price <= asked.band.high))
        allowed = allowed.but(out)
        like = np.zeros(len(snapshot), np.float32)
        like[:size] = found.scores[:size]
        rows = allowed.rows(len(snapshot))
        best = float(like[rows].max(initial=0.0))
        weights[rows] = (like[rows] / best) ** 2 + FLOOR if best > 0 else 1.0
    taste = liked(SearchRequest("", events=request.events, taste=request.taste), snapshot, searcher)
    if taste is not None:
        weights *= 1.0 + taste(np.arange(len(snapshot)))
    return weights, allowed


def pick(row: int, snapshot: Snapshot, weights: np.ndarray, answers: Sequence[Answer]) -> Pick:
    """One item, held against the answers."""
    told = [one for one in answers if one.values]
    fits = [one for one in told if bool(choose.fitting(snapshot, one, weights)[row])]
    return Pick(row, float(weights[row]), fits, [one for one in told if one not in fits])


def in_words(asked: Question, language: str, searcher: Searcher) -> str:
    """The question in words. What a plugin gets wrong is said in the log, and the plain words are taken."""
    lexicon = searcher.index.lexicon
    labels = [choose.label(asked.facet, one.values[0], language, lexicon,
        searcher.currency) for one in asked.options if not one.others]
    if searcher.phrase is not None:
        try:
            made = searcher.phrase(asked.facet, labels, language)
        except Exception as error:  # noqa: BLE001 - foreign code: the visitor gets the plain question
            log.warning("the phrasing of the question for %r failed: %s", asked.facet, error)
        else:
            if isinstance(made, str) and 0 < len(made) <= MOST_WORDS and made.isprintable():
                return made
            log.warning("the phrasing of the question for %r gave %.80r; expected 1 to %d printable characters", asked.facet,
                made,
                        MOST_WORDS)
    return choose.phrased(asked.facet, labels, language, lexicon)


def option_words(asked: Question, language: str, lexicon: Lexicon, currency: str) -> list[str]:
    """The options as they are shown."""
    other = {"en": "Something else", "zh": "其他"}[language]
    return [other if one.others else choose.label(asked.facet, one.values[0], language, lexicon,
        currency) for one in asked.options]
