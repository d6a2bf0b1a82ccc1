"""The benches of search and of choosing: rows of the contract, peers by the same measure, and data that is absent is said."""

from __future__ import annotations

import json
import random
import zipfile
from pathlib import Path

import pytest
from aisle.bench.recommend import choose, search
from aisle.bench.report import Options
from aisle.models.make.shop import items


def test_mistyped_names_differ_in_one_word() -> None:
    rng = random.Random(1)
    made = [search.mistyped("car speakers", rng) for _ in range(50)]
    assert len(set(made)) > 10 and all(one.startswith("car ") for one in made)


def test_one_language_alone() -> None:
    item = items()[0]
    english, chinese = search.only(item, "en"), search.only(item, "zh")
    assert "title:zh" not in english.attributes and english.title == item.title
    assert chinese.title == item.values("title:zh")[0] and chinese.attributes == english.attributes


def test_real_data_that_is_absent_is_said_and_what_is_there_is_scored(tmp_path: Path) -> None:
    rows = list(search.real(Options(data=tmp_path), None, "no encoder"))
    assert [row.met for row in rows] == [None] * 3 and all("is not there" in (row.note or "") for row in rows)
    (tmp_path / "recs").mkdir()
    with zipfile.ZipFile(tmp_path / "recs" / "bestbuy_categories_stores.zip", "w") as archive:
        archive.writestr("categories.json", json.dumps([
            {"id": f"c{i}", "name": f"{a} {b}s", "path": [{"name": "All"}, {"name": f"{a} {b}s"}]}
            for i, (a, b) in enumerate((a, b) for a in ("Camera", "Kitchen", "Garden", "Office") for b in [
                f"gadget{chr(97 + n // 26)}{chr(97 + n % 26)}x" for n in range(160)])]))
    found = [row for row in search.real(Options(data=tmp_path, quick=True), None, "no encoder") if row.value is not None]
    assert found[0].case == "search: mistyped category names" and found[0].peer == "BM25 alone"
    assert found[0].value is not None and 0.3 < found[0].value <= 1 and "no encoder" in (found[1].note or "")


def test_the_same_shop_three_ways() -> None:
    shop = search.Shop(items()[:60], None)
    question = "防滑的鞋，不要皮的"
    rows = shop.without_meaning(question)
    assert rows and all(items()[row].attributes.get("material") != "leather" for row in rows)
    assert list(shop.ours(question)) == list(rows) and shop.by_vectors(question) == []
    assert list(shop.bm25(question)) != list(rows)


@pytest.mark.parametrize("case", ["choose: true answers"])
def test_choosing_is_measured_against_both_orders(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "items", lambda: items()[:100])
    rows = list(choose.run(Options(only=case, quick=True)))
    assert [row.peer for row in rows] == [choose.RANDOM, choose.FIXED]
    assert rows[0].value == rows[1].value and 0 < rows[0].value <= 6 and rows[0].met == (rows[0].value < rows[0].peer_value)


def test_ties_count_against_us() -> None:
    import numpy as np
    assert choose.place(np.array([0.2, 0.2, 0.2, 0.1]), 1) == 2
