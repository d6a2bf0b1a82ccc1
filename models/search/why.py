"""Why an item was found: the attributes that were asked for and that it has, then words, then likeness in meaning."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..shop.ranking import View
from .ask import NOT, Understood
from .fuse import LEAST_COSINE
from .index import Index

MOST = 5
FACET, WORD, MEANING, WITHOUT, PRICE = "facet", "word", "meaning", "without", "price"
SENTENCES = {
    MEANING: {"en": "Close to what you wrote", "zh": "意思相近"},
    WITHOUT: {"en": "without {text}", "zh": "不含{text}"},
    PRICE: {"en": "within your price", "zh": "在您的价位内"},
}


@dataclass(frozen=True)
class Why:
    """`code`: facet, word, without, price or meaning; `text` as it is shown, `said` as it was asked."""

    code: str
    text: str
    said: str = ""
    facet: str = ""


def why(row: int, asked: Understood, index: Index, language: str, view: View | None, query: np.ndarray | None,
        priced: bool) -> list[Why]:
    """At most MOST reasons, the most telling first. `priced`: the price that was asked for was applied."""
    have, lexicon, made = index.facets_at(row), index.lexicon, []
    told: set[str] = set()
    for want in asked.wanted:
        facet = next((facet for facet in want.facets if facet in have), None)
        if facet is not None and facet not in told:
            told.add(facet)
            made.append(Why(FACET, lexicon.label(facet, language), want.phrase, facet))
    made.sort(key=lambda one: one.facet.startswith("kind:"))      # that shoes are shoes says least
    said = " ".join(want.phrase for want in asked.wanted)
    words = [term.removeprefix("#") for term in index.words_at(row, asked) if not term.startswith(NOT)]
    made += [Why(WORD, word, word) for word in words if word not in said][:2]
    made += [Why(WITHOUT, SENTENCES[WITHOUT][language].format(text=one.phrase), one.phrase) for one in asked.excluded]
    if priced:
        made.append(Why(PRICE, SENTENCES[PRICE][language]))
    if not made and view is not None and query is not None and float(view.floats[row] @ query) >= LEAST_COSINE:
        made.append(Why(MEANING, SENTENCES[MEANING][language]))
    return made[:MOST]
