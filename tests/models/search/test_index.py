"""Searching a live catalogue: what is asked is found, what is refused is not, and changes are seen at once."""

import numpy as np
import pytest
from aisle.models.search.index import LEAST_DELTA, Index
from aisle.models.search.lexicon import read_lexicon
from aisle.models.shop.catalogue import Catalogue, Put, Remove
from aisle.models.shop.item import Item
from hypothesis import given, settings
from hypothesis import strategies as st

SHOES = Item("a", "Trail hiking shoes", "Holds on wet stone.", "Shoes", "Acme", 300.0, 3,
    attributes={"grip": "non-slip", "material": "mesh", "size": ("41", "42")})
BOOTS = Item("b", "Winter boots", "Goes with leather care. Without laces.", "Shoes", "Acme", 500.0, 3,
    attributes={"material": "leather"})
PAN = Item("c", "不粘平底锅", "煎蛋一滑就出锅。不含涂层", "厨房", "灶台", 99.0, 3, attributes={"尺寸": "28 cm"})
LACES = Item("d", "Canvas sneakers with laces", "", "Shoes", "Bolt", 120.0, 3)
ITEMS = (SHOES, BOOTS, PAN, LACES)


def made(items: tuple[Item, ...] = ITEMS) -> tuple[Catalogue, Index]:
    catalogue, index = Catalogue(items), Index(read_lexicon())
    catalogue.listen(index.follow)
    return catalogue, index


def ids(catalogue: Catalogue, index: Index, question: str) -> list[str]:
    """What is found, best first."""
    asked = index.understand(question)
    found = index.find(asked)
    scores = np.where(found.excluded, 0, found.scores)
    return [catalogue.now().items[row].id for row in np.argsort(-scores, kind="stable") if scores[row] > 0]


@pytest.mark.parametrize(("question", "first"), [
    ("non-slip shoes", "a"), ("防滑的鞋", "a"), ("size 42", "a"), ("42码", "a"), ("wintr botos", "b"), ("平底锅", "c"),
    ("28厘米的锅", "c"),
    ("bolt", "d"), ("shoes without laces", "b"), ("系带的鞋", "d"), ("frying pan", "c"), ("hikingshoes", "a"), ("🥾", "a"),
])
def test_finds(question: str, first: str) -> None:
    assert ids(*made(), question)[0] == first


def test_refuses() -> None:
    catalogue, index = made()
    assert set(ids(catalogue, index, "shoes")) == {"a", "b", "d"}
    assert set(ids(catalogue, index, "shoes not leather")) == {"a", "d"}
    assert "d" not in ids(catalogue, index, "shoes without laces")
    assert set(ids(catalogue, index, "shoes but not from bolt")) == {"a", "b"}


def test_an_item_that_says_it_has_none_of_it_is_not_taken_for_one_that_has() -> None:
    cakes = (("with", "Fruit cake", "Full of raisins."), ("none", "Plain cake", "Made without raisins."),
        ("silent", "Simple cake", ""))
    catalogue, index = made(tuple(Item(*one) for one in cakes))
    assert ids(catalogue, index, "raisins") == ["with"]
    assert ids(catalogue, index, "cake without raisins") == ["none", "silent"]


def test_says_what_was_corrected_and_what_is_unknown() -> None:
    asked = made()[1].understand("hikng zzzzqq boots")
    assert asked.corrections == (("hikng", "hiking"),) and asked.unknown == ("zzzzqq",)


def test_a_word_that_somebody_knows_is_not_corrected() -> None:
    index = made()[1]
    assert index.understand("trial boots").corrections == (("trial", "trail"),)
    assert index.understand("trial boots", {"trial"}.__contains__).corrections == ()


def test_how_much_of_a_question_was_grasped() -> None:
    index = made()[1]
    assert index.grasp(index.understand("non-slip shoes")) == 1.0 and index.grasp(index.understand("zzz yyy")) == 0.0
    assert 0 < index.grasp(index.understand("non-slip quux frob")) < 1 and index.grasp(index.understand("")) == 0.0


def test_a_row_that_is_all_that_was_asked_for_has_nearly_the_most() -> None:
    index = made()[1]
    found = index.find(index.understand("non-slip hiking shoes"))
    assert 0.5 * found.most < found.scores.max() <= found.most
    assert index.find(index.understand("non-slip hiking shoes quux")).most > found.most


@pytest.mark.parametrize("question", [
    "", " ", "the of and", "的了吗", "\x00\x01\n", "'; DROP TABLE items; --", "<script>alert(1)</script>", "😀" * 3000,
    "鞋" * 10_000,
    "a" * 10_000, "not " * 3000, "不" * 5000, "ботинки для дождя", "حذاء", "รองเท้ากันน้ำ", "٤٢", "½ l", "\ud800", "𝓈𝒽𝑜𝑒𝓈",
    "1e999 €", "9" * 400 + "元",
    "%s %d {0} \\", "without without", "-" * 10_000, "()[]{}*+?|^$",
])
def test_any_question_has_an_answer(question: str) -> None:
    catalogue, index = made()
    asked = index.understand(question)
    found = index.find(asked)
    assert np.isfinite(found.scores).all() and found.scores.shape == (len(ITEMS),) and len(asked.terms) <= 128
    ids(catalogue, index, question)


def test_fancy_letters_are_letters() -> None:
    assert ids(*made(), "𝓈𝒽𝑜𝑒𝓈") == ids(*made(), "shoes")


@given(st.text(max_size=60))
@settings(max_examples=150, deadline=None)
def test_any_text_at_all(text: str) -> None:
    index = SHARED[1]
    index.find(index.understand(text))


SHARED = made()


def test_changes_are_seen() -> None:
    catalogue, index = made()
    catalogue.update([Put(Item("e", "Red umbrella", price=10.0))])
    assert ids(catalogue, index, "umbrella")[0] == "e"
    catalogue.update([Put(Item("e", "Blue tent", price=10.0))])
    assert "e" not in ids(catalogue, index, "umbrella") and ids(catalogue, index, "tent") == ["e"]
    catalogue.update([Remove("b")])
    assert "b" not in ids(catalogue, index, "winter boots")
    catalogue.update([Put(BOOTS)])
    assert ids(catalogue, index, "winter boots")[0] == "b"


def test_many_changes_become_one_segment_and_the_answers_stay() -> None:
    catalogue, index = made()
    words = [f"{a}{b}{c}x" for a in "bdfghjklm" for b in "aeiou" for c in "bcdfghjklmnprstvwz"]
    for at in range(0, LEAST_DELTA + 200, 100):
        catalogue.update([Put(Item(f"n{i}", f"thing {words[i % len(words)]} {i}", price=1.0)) for i in range(at, at + 100)])
    assert len(index.postings.replaced) < 300 and len(index.postings.base.forward.rows) > LEAST_DELTA
    assert ids(catalogue, index, "non-slip shoes")[0] == "a"
    fresh = Index(read_lexicon())
    catalogue.listen(fresh.follow)
    for question in ("non-slip shoes", "thing 77", words[5]):
        asked = index.understand(question)
        np.testing.assert_allclose(index.find(asked).scores, fresh.find(fresh.understand(question)).scores, rtol=0.05,
            atol=0.02)


def test_facets_of_a_row_with_how_sure_they_are() -> None:
    _, index = made()
    facets = index.facets_at(0)
    assert facets["grip:non-slip"] == 1.0 and facets["kind:hiking-shoes"] == pytest.approx(0.9)
    assert "material:leather" in index.facets_at(1) and "kind:shoes" in index.facets_at(0)


def test_what_is_refused_is_not_in_the_title_either() -> None:
    juices = (Item("o", "Sunny orange juice", "", "Juice"),
              Item("a", "Sunny apple juice", "Goes well with orange cake.", "Juice"))
    catalogue, index = made(juices)
    assert ids(catalogue, index, "juice, anything except orange") == ["a"]
    assert set(ids(catalogue, index, "juice")) == {"o", "a"}


@pytest.mark.parametrize("question", ["sneakers w/o laces", "sneakers -laces", "lace-free sneakers"])
def test_other_ways_to_say_without(question: str) -> None:
    assert "d" not in ids(*made(), question)


def test_a_range_of_measures_is_liked_and_said() -> None:
    bags = tuple(Item(f"{litres}", f"Bag {litres} l", "", "Bags") for litres in (5, 20, 25, 40))
    catalogue, index = made(bags)
    assert set(ids(catalogue, index, "bag 20-30 litres")[:2]) == {"20", "25"}
    asked = index.understand("bag 20-30 litres")
    assert index.words_at(1, asked) == ["bag", "#20000ml"] and index.words_at(3, asked) == ["bag"]
    assert set(ids(catalogue, index, "at least 30 l")) == {"40"}


@pytest.mark.parametrize(("question", "cheap"), [
    ("cheap boots", True), ("boots, not too expensive", True), ("靴子 别太贵", True), ("便宜一点的靴子", True),
    ("boots", False)])
def test_a_wish_for_a_low_price_is_no_word(question: str, cheap: bool) -> None:
    asked = made()[1].understand(question)
    assert asked.cheap is cheap and not asked.excluded and not asked.empty
    assert {want.facets for want in asked.wanted} == {("kind:boots",)}


def test_ordinary_words_that_nothing_has_do_not_count() -> None:
    index = made()[1]
    assert index.find(index.understand("boots who love")).most == index.find(index.understand("boots")).most


@pytest.mark.parametrize(("zh", "en"), [
    ("苹果", "Crisp apples"), ("西红柿", "Vine tomato"), ("床头柜", "Nightstand oak"), ("冰箱", "Refrigerator 200 l")])
def test_goods_of_many_shops_are_known_in_both_languages(zh: str, en: str) -> None:
    assert ids(*made((Item("1", en), Item("2", "Something else"))), zh) == ["1"]
    assert ids(*made((Item("1", zh), Item("2", "其他"))), en) == ["1"]


SWEETS = (Item("free", "Nut-free chocolate", "", "Sweets"), Item("plain", "Dark chocolate", "", "Sweets"),
          Item("with", "Chocolate with nuts", "", "Sweets"), Item("nuts", "Mixed nuts", "", "Sweets"),
          Item("zh", "巧克力 不含坚果", "", "Sweets"), Item("zh with", "坚果巧克力", "", "Sweets"))


@pytest.mark.parametrize("question", ["chocolate without nuts", "chocolate, not nuts", "chocolate that doesn't contain nuts",
                                      "nutless chocolate",
                                      "巧克力 没有坚果", "巧克力，不要有坚果的", "chocolate - neither nuts nor peanuts"])
def test_what_is_free_of_it_comes_first_and_what_has_it_not_at_all(question: str) -> None:
    found = ids(*made(SWEETS), question)
    assert set(found[:2]) == {"free", "zh"} and "plain" in found and not {"with", "nuts", "zh with"} & set(found)


def test_what_says_that_it_has_none_is_not_taken_out_by_its_title() -> None:
    goods = (Item("a", "Zest-free cake"), Item("b", "Zest cake"), Item("c", "蛋糕 不含香菜"), Item("d", "香菜蛋糕"))
    assert "b" not in ids(*made(goods), "cake without zest") and "a" in ids(*made(goods), "cake without zest")
    assert ids(*made(goods), "蛋糕 不要香菜") == ["c"]
    assert ids(*made((Item("a", "不漏水的杯子"), Item("b", "漏水的杯子"))), "杯子 不要漏水") == ["a"]


def test_a_mistyped_less_is_no_negation() -> None:
    _, index = made((Item("a", "Wireless headphones"), Item("b", "Headphones with a wire")))
    assert index.understand("wirless headphones").corrections == (("wirless", "wireless"),)
    assert ids(*made((Item("a", "Wireless headphones"), Item("b", "Headphones with a wire"))), "wirless headphones")[0] == "a"


@pytest.mark.parametrize("question", ["boots that are not cheap", "boots, not too cheap", "boots that aren't cheap",
                                      "不便宜的靴子"])
def test_who_wants_nothing_cheap_is_not_shown_the_cheapest(question: str) -> None:
    assert made()[1].understand(question).cheap is False
