"""The question that tells most is asked, answers move the weights, and five questions are the most."""

from __future__ import annotations

import numpy as np
import pytest
from aisle.models.make.shop import items
from aisle.models.search import choose
from aisle.models.search.choose import Answer
from aisle.models.search.lexicon import read_lexicon
from aisle.models.shop.catalogue import Catalogue
from aisle.models.shop.item import Item
from aisle.models.shop.snapshot import Snapshot
from hypothesis import given
from hypothesis import strategies as st

SHOP = Catalogue(items()).now()


def shop(facts: list[dict[str, str]]) -> Snapshot:
    """Items with these attributes and a price each."""
    return Catalogue([Item(f"i{i}", f"thing {i}", price=10.0 * (i + 1), attributes=one) for i, one in enumerate(facts)]).now()


def start(snapshot: Snapshot) -> np.ndarray:
    return choose.weighed(snapshot, np.ones(len(snapshot)), [])


def test_the_facet_that_splits_best_is_asked() -> None:
    snapshot = shop([{"colour": "red" if i < 15 else "blue", "shape": "abcd"[i % 4], "all": "same"} for i in range(16)])
    asked = choose.next_question(snapshot, start(snapshot), [])
    assert asked is not None and asked.facet == "shape" and len(asked.options) == 4
    after = choose.next_question(snapshot, start(snapshot), ["shape"])
    assert after is not None and after.facet == "price"


def test_the_gain_is_what_bayes_says() -> None:
    snapshot = shop([{"shape": "abcd"[i % 4]} for i in range(16)])
    p = start(snapshot)
    asked = choose.question(snapshot, p, "shape")
    assert asked is not None
    wanted = 0.0
    for value in "abcd":
        after = choose.weighed(snapshot, p, [Answer("shape", (value,))])
        wanted += 0.25 * (choose.entropy(p) - choose.entropy(after))
    assert asked.gain == pytest.approx(wanted)


def test_an_answer_keeps_what_fits_in_front_and_rules_nothing_out() -> None:
    after = choose.weighed(SHOP, np.ones(len(SHOP)), [Answer("category", ("Shoes",)), Answer("colour", ("red",))])
    best = SHOP.items[int(after.argmax())]
    assert best.category.startswith("Shoes") and best.attributes["colour"] == "red"
    assert after.min() > 0 and after.sum() == pytest.approx(1)


def test_no_matter_changes_nothing_and_none_of_these_turns_around() -> None:
    p = start(SHOP)
    assert np.allclose(choose.weighed(SHOP, p, [Answer("colour")]), p)
    after = choose.weighed(SHOP, p, [Answer("category", ("Shoes", "Food"), others=True)])
    assert not SHOP.items[int(after.argmax())].category.startswith(("Shoes", "Food"))


def test_five_questions_are_the_most_and_enough_is_enough() -> None:
    assert choose.next_question(SHOP, start(SHOP), ["a", "b", "c", "d", "e"]) is None
    few = shop([{"shape": "a"}, {"shape": "b"}])
    assert choose.next_question(few, start(few), []) is None
    nothing = np.zeros(len(SHOP))
    assert choose.next_question(SHOP, nothing, []) is None and choose.weighed(SHOP, nothing,
        [Answer("colour", ("red",))]).sum() == 0


@pytest.mark.parametrize("answer", [
    Answer("nonsense", ("x",)), Answer("colour", ("no such colour",)), Answer("price", ("0-",)),
    Answer("price", ("5-7", "100-")),
    Answer("category", ("",)), Answer("size", ("42",)), Answer("title:zh", ("x",)),
])
def test_any_answer_leaves_weights_of_sum_one(answer: Answer) -> None:
    after = choose.weighed(SHOP, np.ones(len(SHOP)), [answer])
    assert after.sum() == pytest.approx(1) and np.isfinite(after).all()


@given(st.lists(st.fixed_dictionaries({}, optional={"a": st.sampled_from("xyz"), "b": st.sampled_from("uvwxyz"),
                                                   "c": st.just("one")}), min_size=1, max_size=12),
       st.lists(st.floats(0.01, 1), min_size=12, max_size=12))
def test_what_is_asked_tells_something_and_options_are_shares(facts: list[dict[str, str]], weights: list[float]) -> None:
    snapshot = shop(facts)
    p = choose.weighed(snapshot, np.array(weights[:len(facts)]), [])
    for facet in choose.askable(snapshot):
        asked = choose.question(snapshot, p, facet)
        if asked is not None:
            assert np.isfinite(asked.gain) and len(asked.options) >= 2
            assert sum(one.share for one in asked.options) <= 1 + 1e-9
            assert asked.gain <= choose.entropy(p) + 1e-9
    best = choose.next_question(snapshot, p, [])
    assert best is None or best.gain >= choose.LEAST_GAIN


def test_translations_and_sizes_and_contents_are_not_asked() -> None:
    assert not {"title:zh", "text:zh", "size", "content"} & set(choose.askable(SHOP))
    assert {"category", "kind", "price", "colour"} <= set(choose.askable(SHOP))


def test_words_of_questions_and_options() -> None:
    lexicon = read_lexicon()
    assert choose.phrased("for", ["men"], "zh", lexicon) == "给谁用？"
    assert choose.phrased("grip", [], "en", lexicon).startswith("Grip")
    assert choose.label("grip", "non-slip", "zh", lexicon) == "防滑"
    assert choose.label("price", "0-90", "en", lexicon, "CNY") == "up to ¥90"
    assert choose.label("price", "200-", "zh", lexicon, "EUR") == "€200 以上"
    assert choose.label("shape", "Round", "en", lexicon) == "Round"
