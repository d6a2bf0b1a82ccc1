"""The shipped phrases are sound, and a shop's own file is checked."""

from pathlib import Path

import pytest
from aisle.models.bundle import BundleError
from aisle.models.search.lexicon import LANGUAGES, atoms, read_lexicon
from aisle.models.search.words import normal


def test_every_phrase_finds_its_facet_in_both_languages() -> None:
    lexicon = read_lexicon()
    assert len(lexicon.values) > 150
    for value in list(lexicon.values.values()):
        assert set(value.phrases) == set(LANGUAGES), value.facet
        for phrase in (p for phrases in value.phrases.values() for p in phrases):
            found = atoms(normal(phrase))
            length, facets = lexicon.match(found, 0)
            assert length == len(found) and value.facet in facets, (value.facet, phrase)


def test_what_is_implied_comes_along() -> None:
    lexicon = read_lexicon()
    assert {"kind:boots", "kind:shoes", "water:waterproof", "weather:rain"} <= set(lexicon.whole("kind:rain-boots"))


@pytest.mark.parametrize(("text", "sentence"), [
    ("[values", "cannot be read"), ('[values]\n"grip" = {en = ["x"]}', "expected keys such as"),
    ('[values]\n"a:b" = {en = "x"}', "expected lists of phrases"),
    ('[values]\n"a:b" = {de = ["x"]}', "expected lists of phrases"),
    ('[values]\n"a:b" = {en = ["x"], implies = ["a:c"]}', "no line of its own"), ('[values]\n"a:b" = {}', "expected lists"),
])
def test_a_damaged_file_is_said(text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "lexicon.toml").write_text(text)
    with pytest.raises(BundleError, match=sentence):
        read_lexicon(tmp_path / "lexicon.toml")


def test_a_shop_adds_its_own_phrases(tmp_path: Path) -> None:
    (tmp_path / "lexicon.toml").write_text('[values]\n"fit:barefoot" = {en = ["barefoot feel"], zh = ["赤足感"]}')
    lexicon = read_lexicon(tmp_path / "lexicon.toml")
    assert lexicon.match(atoms("赤足感"), 0) == (3, ("fit:barefoot",))
    assert lexicon.label("fit:barefoot", "zh") == "赤足感"


def test_names_of_categories_in_a_language() -> None:
    assert read_lexicon().called(["Sandals", "Kitchen and more", "", "🤷"], "zh") == {"Sandals": "凉鞋"}
