"""Why an item was found: the attributes that were asked for and that it has, then words, then likeness in meaning."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

import numpy as np

from ..shop.ranking import View
from .ask import NOT, Excluded, Understood
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


class Whys:
    """The reasons of one answer: called with a row, at most MOST of them, the most telling first.

    `priced`: the price that was asked for was applied.
    """

    def __init__(self, asked: Understood, index: Index, language: str, view: View | None, query: np.ndarray | None,
                 priced: bool) -> None:
        self.asked, self.index, self.language, self.view, self.query = asked, index, language, view, query
        self.told = {term for want in asked.wanted for term in all_terms(want.phrase)}
        self.written = {term: piece.text for piece in pieces(asked.text) if piece.kind == "word" for term in terms(piece)[:1]}
        self.always = [Why(WITHOUT, SENTENCES[said_of(one)][language].format(text=one.phrase), one.phrase)
                       for one in asked.excluded        # "without nuts" is told as "nut-free"
                       if not any(one.phrase in want.phrase for want in asked.wanted)]
        if priced:
            self.always.append(Why(PRICE, SENTENCES[PRICE][language]))

    def __call__(self, row: int) -> list[Why]:
        have = self.index.at(row)
        made = self._facets({term[1:] for term in have if term[0] == "@"})
        words = [term for term in self.index.words_of(have, self.asked) if not term.startswith(NOT) and term not in self.told
                 and term not in ORDINARY_TERMS]
        made += [Why(WORD, said_measure(term) if term[0] == "#" else self.written.get(term, term), term) for term in words][:2]
        made += self.always
        if not made and self.view is not None and float(self.view.floats[row] @ self.query) >= LEAST_COSINE:
            made.append(Why(MEANING, SENTENCES[MEANING][self.language]))
        return made[:MOST]

    def _facets(self, have: Container[str]) -> list[Why]:
        """Of each wish what the row has of it, or a kind that it implies: who wants wellies may take other boots."""
        lexicon, made = self.index.lexicon, {}
        for want in self.asked.wanted:
            facet = next((facet for facet in want.facets if facet in have), None)
            if facet is None:
                facet = next((more for one in want.facets for more in lexicon.whole(one)[1:]
                              if more in have and more.startswith("kind:")), None)
            if facet is not None and facet not in made:
                made[facet] = Why(FACET, lexicon.label(facet, self.language), want.phrase, facet)
        return sorted(made.values(), key=lambda one: one.facet.startswith("kind:"))      # that shoes are shoes says least


def said_of(one: Excluded) -> str:
    """Which sentence tells what was refused."""
    return NOT_ONE if one.facets and one.facets[0].startswith(OF_THE_WHOLE) else WITHOUT
