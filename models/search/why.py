"""Why an item was found: the attributes that were asked for and that it has, then words, then likeness in meaning."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..shop.ranking import View
from .ask import NOT, Understood
from .fuse import LEAST_COSINE
from .index import ORDINARY_TERMS, Index
from .units import said_measure
from .words import all_terms, pieces, terms

MOST = 5
FACET, WORD, MEANING, WITHOUT, PRICE = "facet", "word", "meaning", "without", "price"
NOT_ONE = "not one"
OF_THE_WHOLE = ("kind:", "colour:", "for:", "material:", "size:", "season:")     # a thing is one, it does not contain one
SENTENCES = {
    MEANING: {"en": "Close to what you wrote", "zh": "意思相近"},
    WITHOUT: {"en": "without {text}", "zh": "不含{text}"},
    NOT_ONE: {"en": "not {text}", "zh": "非{text}"},
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
        if facet is None:            # something that it implies: who wants wellies may take other boots
            facet = next((more for one in want.facets for more in lexicon.whole(one)[1:]
                          if more in have and more.startswith("kind:")), None)
        if facet is not None and facet not in told:
            told.add(facet)
            made.append(Why(FACET, lexicon.label(facet, language), want.phrase, facet))
    made.sort(key=lambda one: one.facet.startswith("kind:"))      # that shoes are shoes says least
    told |= {term for want in asked.wanted for term in all_terms(want.phrase)}
    written = {term: piece.text for piece in pieces(asked.text) for term in terms(piece)[:1] if piece.kind == "word"}
    words = [term for term in index.words_at(row, asked) if not term.startswith(NOT) and term not in told
             and term not in ORDINARY_TERMS]
    made += [Why(WORD, said_measure(term) if term[0] == "#" else written.get(term, term), term) for term in words][:2]
    for one in asked.excluded:
        if any(one.phrase in want.phrase for want in asked.wanted):      # "without nuts" is told as "nut-free"
            continue
        kind = NOT_ONE if one.facets and one.facets[0].startswith(OF_THE_WHOLE) else WITHOUT
        made.append(Why(WITHOUT, SENTENCES[kind][language].format(text=one.phrase), one.phrase))
    if priced:
        made.append(Why(PRICE, SENTENCES[PRICE][language]))
    if not made and view is not None and query is not None and float(view.floats[row] @ query) >= LEAST_COSINE:
        made.append(Why(MEANING, SENTENCES[MEANING][language]))
    return made[:MOST]
