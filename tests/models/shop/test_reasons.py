"""Reasons: each says something true of the visit and the item; what the shop counts is bounded and knows no visitor."""

from __future__ import annotations

import numpy as np
import pytest
from aisle.models.recommend.format import Fitted
from aisle.models.shop import together as together_module
from aisle.models.shop.catalogue import Catalogue, Put, Remove
from aisle.models.shop.item import Item
from aisle.models.shop.reasons import SENTENCES, reasons
from aisle.models.shop.taste import Taste
from aisle.models.shop.together import HALF, Together
from aisle.models.shop.visit import KEPT, understood

ITEMS = [Item("boot", "Boot", attributes={"use": "rain", "title:zh": "靴子"}), Item("coat", "Coat", attributes={"use": "rain"}),
         Item("mug", "Mug", attributes={"use": "home"}), *(Item(f"x{i}", f"Other {i}") for i in range(6))]


def fit(ids: tuple[str, ...], vectors: np.ndarray, near: dict[int, tuple[int, int]] | None = None) -> Fitted:
    """A fit in which `near` gives one neighbour and a count to a row."""
    n = len(ids)
    item, count = np.full((n, 1), -1, np.int32), np.zeros((n, 1), np.uint32)
    for row, (other, many) in (near or {}).items():
        item[row], count[row] = other, many
    return Fitted(ids, vectors.astype(np.float32), np.ones(n, np.uint32), np.arange(n, dtype=np.float32), item, count,
                  (count > 0).astype(np.float32), np.zeros((0, vectors.shape[1]), np.float32), 4, (1.0, 0.5))


def why(events: list[tuple[str, str]], shown: str, *, taste: Taste | None = None, catalogue: Catalogue | None = None,
        counts: Together | None = None, language: str = "en") -> list[str]:
    now = (catalogue or Catalogue(ITEMS)).now()
    visit = understood(events, now, taste)
    (found,) = reasons([now.rows[shown]], visit, now, 7, language, taste, counts or Together())
    assert all(reason.sentence and reason.code in ("together", "like", "fact", "trend", "fits") for reason in found)
    return [reason.sentence for reason in found]


def test_what_visitors_had_together_is_counted_but_not_below_three() -> None:
    catalogue = Catalogue(ITEMS)
    for many, said in ((2, False), (3, True)):
        taste = Taste(fit(("boot", "coat"), np.eye(2), {0: (1, many)}), catalogue)
        told = why([("boot", "view")], "coat", taste=taste, catalogue=catalogue)
        assert ("3 visitors had both this and “Boot”" in told) == said
    assert why([("boot", "view")], "coat", taste=taste, catalogue=catalogue, language="zh")[0] == "3 位顾客同时选看了它和“靴子”"


def test_the_nearest_event_is_named_as_what_it_was() -> None:
    catalogue = Catalogue(ITEMS)
    taste = Taste(fit(("boot", "mug", "x1"), np.array([[1, 0], [0, 1], [0.1, 1]])), catalogue)
    for kind, said in (("view", "Because you looked at “Mug”"), ("cart", "Because “Mug” is in your basket"),
                       ("buy", "Because you bought “Mug”")):
        assert why([("mug", kind), ("boot", "view")], "x1", taste=taste, catalogue=catalogue)[0] == said


def test_a_shared_fact_names_the_newest_item_that_has_it() -> None:
    assert why([("boot", "view"), ("mug", "view")], "coat") == ["use: rain, as “Boot”"]
    assert why([("mug", "view")], "coat") == ["One of 7 that fit what you asked for"]


def test_what_most_items_have_is_no_reason() -> None:
    catalogue = Catalogue([Item(f"i{n}", "x", attributes={"made": "here"}) for n in range(10)])
    assert why([("i1", "view")], "i2", catalogue=catalogue) == ["One of 7 that fit what you asked for"]


def test_without_a_visit_what_is_popular_says_so() -> None:
    catalogue = Catalogue([Item(f"i{n}", "x") for n in range(100)])
    taste = Taste(fit(tuple(f"i{n}" for n in range(100)), np.eye(100)), catalogue)
    assert why([], "i99", taste=taste, catalogue=catalogue) == ["Popular in this shop now"]
    assert why([], "i5", taste=taste, catalogue=catalogue) == ["One of 7 that fit what you asked for"]


def test_every_sentence_is_there_in_both_languages() -> None:
    assert all(texts.keys() == {"en", "zh"} for texts in SENTENCES.values())


def test_a_visit_keeps_the_last_known_events_and_names_the_others_once() -> None:
    now = Catalogue(ITEMS).now()
    visit = understood([("what", "view"), *[("boot", "view")] * 60, ("what", "view"), ("mug", "buy")], now, None)
    assert len(visit.events) == KEPT and visit.events[-1].ident == "mug" and visit.unknown == ("what",) and visit.given == 63
    assert visit.hidden("bought") == {now.rows["mug"]} and visit.hidden("none") == set()
    assert visit.hidden("seen") == {now.rows["mug"], now.rows["boot"]}


# ---- a fit on a catalogue that changes

def test_new_items_lie_where_their_text_says_and_gone_ones_still_count() -> None:
    catalogue = Catalogue(ITEMS)
    vectors = np.random.default_rng(0).standard_normal((3, 4))
    words = np.random.default_rng(1).standard_normal((64, 4)).astype(np.float32)
    fitted = fit(("boot", "mug", "gone"), vectors, {0: (1, 5), 2: (0, 5)})
    taste = Taste(Fitted(**{**fitted.__dict__, "words": words}), catalogue)
    now = catalogue.update([Put(Item("new", "Rain boot")), Remove("mug")])
    assert now.rows["new"] < taste.vectors.size and np.abs(taste.vector("new", now.rows["new"])).sum() > 0
    np.testing.assert_array_equal(taste.vector("gone", None), fitted.vectors[2])
    assert taste.vector("nobody", None) is None
    rows, more = taste.extras(understood([("gone", "view"), ("boot", "view")], now, taste).events, len(now))
    assert {now.items[row].id for row, extra in zip(rows.tolist(), more.tolist(), strict=True) if row >= 0 and extra} == {
        "boot", "mug"}
    rows, more = taste.extras(understood([("gone", "view"), ("boot", "view")], now, taste).events, 1)
    assert set(rows.tolist()) <= {-1, 0}, "an older catalogue, which has one row"
    changed = catalogue.update([Put(Item("new", "Mug of tea"))])
    assert not np.array_equal(taste.vectors.floats[changed.rows["new"]], 0)


def test_a_table_that_grows_keeps_its_rows() -> None:
    from aisle.models.shop.ranking import Vectors
    rng, table = np.random.default_rng(0), Vectors(6, 1)
    vectors = rng.standard_normal((100, 6)).astype(np.float32)
    for row in range(100):
        table.put(np.array([row]), vectors[row:row + 1])
    view = table.view(100)
    np.testing.assert_array_equal(view.floats, vectors)
    back = (view.codes.transpose(0, 2, 1, 3).reshape(-1, 8)[:100, :6].astype(np.float32) - 128) * view.scale[:100, None]
    assert np.linalg.norm(back - vectors, axis=1).max() <= view.error < 0.1
    assert view.codes.ctypes.data % 64 == 0


# ---- the shop's own counts

def test_counts_fade_and_the_newest_weigh_most() -> None:
    counts = Together()
    for _ in range(10):
        counts.add("boot", ["coat"])
    assert counts.count("boot", "coat") == counts.count("coat", "boot") == 10 and counts.trend("boot") == 10
    counts._weight *= 2                           # as after HALF events
    assert counts.count("boot", "coat") == 5 and HALF > 1000
    rows = {"boot": 0, "coat": 1, "mug": 2}
    scores = counts.scores(rows, 3, ["coat"])
    assert scores[0] > 0 and not scores[1:].any()
    counts.forget()
    assert not counts.scores(rows, 3, ["coat"]).any()


def test_counts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together_module, "MAX_ITEMS", 50)
    monkeypatch.setattr(together_module, "MAX_NEAR", 4)
    counts = Together()
    for number in range(500):
        counts.add(f"i{number}", [f"i{number - back}" for back in range(9, 0, -1)])
    assert len(counts.seen) <= 50 and len(counts.near) <= 51 and max(map(len, counts.near.values())) <= 4


def test_weights_do_not_overflow() -> None:
    counts = Together()
    counts._weight = 9.9e11
    counts.add("a", ["b"])
    counts._weight = 2e12
    counts.add("a", ["b"])
    assert counts._weight < 10 and counts.count("a", "b") in (1, 2)
