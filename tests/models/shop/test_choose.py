"""Rules over the exact top-k: the list is what a plain search over every allowed row gives, and is never too short."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from aisle.kernels import weighed
from aisle.models.shop.catalogue import Catalogue
from aisle.models.shop.choose import by_facts, by_vectors, choose, is_quick
from aisle.models.shop.item import Item, ShopError
from aisle.models.shop.ranking import ByScore, ByVectors, Vectors
from aisle.models.shop.rules import Allowed, Filters, Masks, Rules
from aisle.models.shop.snapshot import Snapshot
from hypothesis import given, settings
from hypothesis import strategies as st


def shop(rng: np.random.Generator, n: int) -> Snapshot:
    def item(i: int) -> Item:
        return Item(f"i{i}", f"Item {i}", category=["", "a", "a/b", "c"][rng.integers(4)],
                    brand=["", "x", "y", "z"][rng.integers(4)], stock=int(rng.integers(0, 3)),
                    price=None if rng.random() < 0.1 else float(rng.integers(1, 30)),
                    margin=float(rng.integers(-2, 3)) / 4, blocked=bool(rng.random() < 0.1),
                    attributes={"colour": ("red", "blue")[: int(rng.integers(1, 3))], "size": float(rng.integers(36, 40))})
    return Catalogue([item(i) for i in range(n)]).now()


def fits(item: Item, f: Filters) -> bool:
    """The rules said again, one item at a time."""
    under = lambda path: item.category == path or item.category.startswith(path + "/")  # noqa: E731
    priced = (f.price_least is None and f.price_most is None) or (item.price is not None and (
        (f.price_least or 0) <= item.price <= (1e9 if f.price_most is None else f.price_most)))
    return (not item.blocked and (not f.in_stock or item.stock != 0) and priced
            and (not f.categories or any(map(under, f.categories))) and not any(map(under, f.not_categories))
            and (not f.brands or item.brand in f.brands) and item.brand not in f.not_brands
            and all(set(values) & set(item.values(name)) for name, values in f.attributes)
            and not any(set(values) & set(item.values(name)) for name, values in f.not_attributes)
            and all(low <= float(item.attributes[name]) <= high for name, low, high in f.ranges))


def plain_choice(scores: np.ndarray, allowed: list[int], snapshot: Snapshot, rules: Rules, count: int,
                 vectors: np.ndarray) -> list[int]:
    """`choose`, by sorting everything and looking at every pair."""
    order = sorted(allowed, key=lambda row: (-scores[row], row))
    window = max(rules.window, count)
    least, most = (scores[order[:window][-1]], scores[order[0]]) if order else (0, 1)
    span = float(most) - float(least) or 1.0
    chosen: list[int] = []
    look = order[:window]
    like = by_vectors(vectors)(np.arange(len(vectors)))
    while len(chosen) < count:
        def open_(row: int) -> bool:
            same = lambda codes: sum(codes[c] == codes[row] for c in chosen)  # noqa: E731
            return row not in chosen and not (
                rules.per_brand and snapshot.brand[row] and same(snapshot.brand) >= rules.per_brand) and not (
                rules.per_category and snapshot.category[row] and same(snapshot.category) >= rules.per_category)
        free = [row for row in look if open_(row)]
        if not free:
            look = [row for row in order if open_(row)][:window]
            if not look:
                return chosen
            continue
        def value(row: int) -> float:
            alike = max((float(like[c, row]) for c in chosen), default=0.0)
            return (1 - rules.diversity) * ((float(scores[row]) - float(least)) / span) - rules.diversity * alike
        chosen.append(max(free, key=lambda row: (value(row), -order.index(row))) if rules.diversity else free[0])
    return chosen


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 2**32 - 1), st.integers(1, 120), st.integers(1, 12), st.sampled_from([0, 1, 2, 5]),
       st.sampled_from([0, 1, 3]), st.sampled_from([0.0, 0.3, 1.0]), st.sampled_from([1, 4, 20, 200]), st.booleans())
def test_the_list_is_what_a_search_over_every_allowed_row_gives(seed: int, n: int, count: int, per_brand: int,
                                                                per_category: int, diversity: float, window: int,
                                                                vectors: bool) -> None:
    rng = np.random.default_rng(seed)
    snapshot = shop(rng, n)
    filters = Filters(in_stock=bool(seed % 3), price_most=20.0 if seed % 5 == 0 else None,
                      categories=("a",) if seed % 7 == 0 else (), not_brands=("x",) if seed % 4 == 0 else (),
                      attributes=(("colour", ("blue",)),) if seed % 6 == 0 else (),
                      ranges=(("size", 37, 38),) if seed % 8 == 0 else ())
    rules = Rules(filters, 0.5 * (seed % 2), per_brand, per_category, diversity, window)
    hidden = rng.choice(n, int(rng.integers(0, n)), replace=False).tolist()
    allowed = Masks().allowed(snapshot, filters).without(hidden)
    plain = [row for row, item in enumerate(snapshot.items) if fits(item, filters) and row not in hidden]
    assert allowed.rows(n).tolist() == plain and allowed.count == len(plain)
    # Small whole numbers: sums are exact in any order, and there are many ties.
    table, query = rng.integers(-3, 4, (n, 8)).astype(np.float32), rng.integers(-3, 4, 8).astype(np.float32)
    bias = (rules.margin_weight * snapshot.margin).astype(np.float32)
    scores = table @ query + bias
    if vectors:
        made = Vectors(8, 1)
        made.put(np.arange(n), table)
        ranking = ByVectors(made.view(n), query, allowed, bias)
    else:
        ranking = ByScore(scores, allowed)
    rows, given_ = choose(ranking, snapshot, rules, count, by_vectors(table))
    assert rows == plain_choice(scores, plain, snapshot, rules, count, table)
    np.testing.assert_array_equal(np.array(given_, np.float32), scores[rows])
    if not (per_brand or per_category):
        assert len(rows) == min(count, len(plain)), "fewer than asked though enough are allowed"
    for codes, cap in ((snapshot.brand, per_brand), (snapshot.category, per_category)):
        assert not cap or all(many <= cap for code, many in Counter(codes[rows].tolist()).items() if code)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3000), st.integers(1, 60), st.floats(0, 1), st.sampled_from([0.0, 1e-4, 1.0]))
def test_what_int8_finds_is_exactly_what_float32_has(seed: int, n: int, k: int, share: float, spread: float) -> None:
    """Vectors nearly all alike: int8 cannot tell them apart, and must notice that."""
    rng = np.random.default_rng(seed)
    table = (rng.standard_normal(16) + spread * rng.standard_normal((n, 16))).astype(np.float32)
    query = rng.standard_normal(16).astype(np.float32)
    blocked = rng.random(n) < share
    made = Vectors(16)
    for part in np.array_split(np.arange(n), 3):
        made.put(part, table[part])
    extra = rng.integers(-1, n, n // 100).astype(np.int32)
    ranking = ByVectors(made.view(n), query, Allowed.of(~blocked),
                        None, (extra, rng.random(len(extra), np.float32)))
    rows, scores = ranking.best(k)
    more = np.zeros(n, np.float32)
    np.add.at(more, extra[extra >= 0], ranking.extra[1][extra >= 0])
    every = np.empty((1, k), np.int32), np.empty((1, k), np.float32)
    weighed(query[None], table, out=every, blocked=np.packbits(blocked, bitorder="little"), bias=more)
    there = every[0][0] >= 0
    assert rows.tolist() == every[0][0][there].tolist()
    np.testing.assert_array_equal(scores, every[1][0][there])


def test_caps_look_beyond_the_window_until_the_list_is_full() -> None:
    snapshot = Catalogue([Item(f"i{i}", "x", brand="one" if i < 900 else f"b{i}") for i in range(1000)]).now()
    ranking = ByScore(np.arange(1000, 0, -1).astype(np.float32), Masks().allowed(snapshot, Filters()))
    rows, _ = choose(ranking, snapshot, Rules(per_brand=2, window=10), 5, by_facts(snapshot))
    assert rows == [0, 1, 900, 901, 902]


def test_a_shop_of_one_brand_is_not_compared_pair_by_pair() -> None:
    """Whatever the caps leave out is left out of the search; a window that grew to it would take its square of memory."""
    n, seen = 50_000, []
    snapshot = Catalogue([Item("a", "x")]).now()
    snapshot = replace(snapshot, alive=np.ones(n, bool), brand=np.r_[np.ones(n - 2), 2, 2].astype(np.int32),
                       category=np.zeros(n, np.int32))
    ranking = ByScore(np.arange(n, 0, -1).astype(np.float32), Allowed.of(np.ones(n, bool)))

    def like(rows: np.ndarray) -> np.ndarray:
        seen.append(len(rows))
        return np.zeros((len(rows), len(rows)), np.float32)
    rows, _ = choose(ranking, snapshot, Rules(per_brand=3, diversity=0.3), 10, like)
    assert rows == [0, 1, 2, n - 2, n - 1] and max(seen) <= 110


def test_diversity_spreads_and_without_it_order_is_the_score_alone() -> None:
    items = [Item(f"i{i}", "x", brand="same" if i < 4 else "other", category="c" if i < 4 else "d") for i in range(6)]
    snapshot = Catalogue(items).now()
    ranking = ByScore(np.array([1, 0.99, 0.98, 0.97, 0.9, 0.1], np.float32), Masks().allowed(snapshot, Filters()))
    assert choose(ranking, snapshot, Rules(), 3, by_facts(snapshot))[0] == [0, 1, 2]
    assert choose(ranking, snapshot, Rules(diversity=0.5), 3, by_facts(snapshot))[0] == [0, 4, 1]


@pytest.mark.parametrize("wrong", [{"diversity": 1.1}, {"diversity": -0.1}, {"per_brand": -1}, {"per_category": -1},
                                   {"window": 0}])
def test_rules_that_make_no_sense_are_a_sentence(wrong: dict) -> None:
    with pytest.raises(ShopError, match="expected diversity from 0 to 1"):
        Rules(**wrong)


def test_only_caps_over_large_lists_are_slow() -> None:
    assert is_quick(Rules(per_brand=2), 20) and is_quick(Rules(window=1000, diversity=0.3), 100)
    assert not is_quick(Rules(per_brand=2), 100) and not is_quick(Rules(per_category=1, window=1000), 10)
