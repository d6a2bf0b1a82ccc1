"""Who puts the questions into words: nobody by default, a plugin where one is named, and the plain words when it fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aisle.models.bundle import Bundle, BundleError
from aisle.models.make.shop import items
from aisle.models.shop.catalogue import Catalogue
from aisle.models.shop.rules import Masks
from aisle.runtime.workloads import choose, phrasing, search


def searcher(phrase: Callable[[str, Sequence[str], str], Any] | None = None) -> search.Searcher:
    made = search.join(Bundle("s", "1", "recommend", Path("/nowhere")), Catalogue(items()[:80]), Masks(), None)
    made.phrase = phrase
    return made


def broken(facet: str, options: Sequence[str], language: str) -> str:
    raise RuntimeError("no model here")


@pytest.mark.parametrize(("phrase", "words"), [
    (None, "Which kind?"), (lambda facet, options, language: f"{facet} {language} {len(options)}", "kind en 6"),
    (broken, "Which kind?"),
    (lambda *told: "", "Which kind?"), (lambda *told: "x" * 500, "Which kind?"), (lambda *told: 5, "Which kind?"),
    (lambda *told: "a\x00b", "Which kind?"),
])
def test_words_of_the_question(phrase: Any, words: str) -> None:
    verdict = choose.answer(choose.Request((choose.Answer("category"), choose.Answer("price"))), searcher(phrase))
    assert verdict.next is not None
    if verdict.next.facet == "kind":
        assert verdict.words == words
    else:
        assert verdict.words


def test_a_plugin_that_is_not_installed_is_said() -> None:
    assert phrasing.phrasing(Bundle("s", "1", "recommend", Path())) is None
    with pytest.raises(BundleError, match="expected an installed entry point"):
        phrasing.phrasing(Bundle("s", "1", "recommend", Path(), params={"phrasing": "nobody"}))


def test_a_phrase_before_the_questions_weighs_what_it_finds() -> None:
    made = searcher()
    verdict = choose.answer(choose.Request(question="防滑 跑鞋"), made)
    best = [verdict.snapshot.items[one.row] for one in verdict.picks]
    assert all(item.attributes["kind"] == "running-shoes" for item in best[:2]) and verdict.left < 80


def test_no_item_at_all() -> None:
    made = search.join(Bundle("s", "1", "recommend", Path("/nowhere")), Catalogue([]), Masks(), None)
    verdict = choose.answer(choose.Request(), made)
    assert verdict.next is None and verdict.picks == [] and verdict.left == 0.0
    asked = made.index.understand("shoes")
    found = search.answer(search.Request("shoes"), asked, None, "", made)
    assert found.hits == [] and found.none is not None
    assert search.answer(search.Request(""), made.index.understand(""), np.zeros(3, np.float32), "", made).hits == []
