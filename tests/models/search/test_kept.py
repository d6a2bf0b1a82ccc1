"""An index that was kept answers as one that was made, and what is kept of anything else is not used."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from aisle.models.make.shop import items
from aisle.models.search import kept
from aisle.models.search.index import Index
from aisle.models.search.lexicon import read_lexicon
from aisle.models.shop.catalogue import Catalogue, Put, Remove

QUESTIONS = ("non-slip shoes for rain", "防滑的鞋", "watreproof jackett", "tea without caffeine", "size 42", "zzyzx wellies")


def later(catalogue: Catalogue) -> Index:
    index = Index(read_lexicon(), 10)
    catalogue.listen(index.follow)
    return index


def same(a: Index, b: Index) -> None:
    for question in QUESTIONS:
        assert a.understand(question) == b.understand(question)
        one, other = a.find(a.understand(question)), b.find(b.understand(question))
        assert np.array_equal(one.scores, other.scores) and np.array_equal(one.excluded, other.excluded)
    assert a.terms.names == b.terms.names and a.facets_at(3) == b.facets_at(3)


@pytest.fixture
def goods() -> list:
    made = list(items()[:200])
    made[0] = replace(made[0], attributes={**made[0].attributes, "shape": "zzyzx"})      # a value that no phrase names
    return made


def test_a_kept_index_is_the_made_one(tmp_path: Path, goods: list) -> None:
    catalogue, file = Catalogue(goods, "x"), tmp_path / "i.npz"
    made = later(catalogue)
    told = made.settle()
    assert told is not None and made.settle() is None
    kept.save(file, "key", told)
    again = later(catalogue)
    assert again.settle(kept.load(file, "key")) is None
    same(made, again)
    assert [path.name for path in tmp_path.iterdir()] == ["i.npz"]


def test_changes_that_came_before_it_was_read_are_taken_up_after_it(tmp_path: Path, goods: list) -> None:
    catalogue, file = Catalogue(goods, "x"), tmp_path / "i.npz"
    told = later(catalogue).settle()
    assert told is not None
    kept.save(file, "key", told)
    slow, quick = later(catalogue), later(catalogue)
    catalogue.update([Put(replace(goods[5], title="zzyzx wellies")), Remove(goods[6].id)])
    assert slow.settle() is not None
    assert quick.settle(kept.load(file, "key")) is None
    same(slow, quick)
    assert quick.find(quick.understand("zzyzx wellies")).scores.argmax() == 5


def test_it_is_read_at_the_first_question_where_nobody_settles_it(goods: list) -> None:
    index = later(Catalogue(goods, "x"))
    assert index.find(index.understand("shoes")).scores.max() > 0


def test_what_is_damaged_or_of_something_else_is_not_used(tmp_path: Path, goods: list,
        caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "i.npz"
    assert kept.load(file, "key") is None
    told = later(Catalogue(goods, "x")).settle()
    assert told is not None
    kept.save(file, "key", told)
    assert kept.load(file, "other") is None and not caplog.records
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xff
    for broken in (bytes(data), bytes(data[:100]), b""):
        file.write_bytes(broken)
        assert kept.load(file, "key") is None
    assert len(caplog.records) == 3
    for place in range(len(data) - 400, len(data), 3):         # the directory at the end of the file
        data[place] ^= 9
        file.write_bytes(bytes(data))
        kept.load(file, "key")
        data[place] ^= 9


def test_the_key_names_all_that_it_depends_on(tmp_path: Path) -> None:
    own = tmp_path / "lexicon.toml"
    own.write_text("a")
    first = kept.key_of("x", [own])
    own.write_text("b")
    assert len({first, kept.key_of("x", [own]), kept.key_of("y", [own]), kept.key_of("x", [])}) == 4
