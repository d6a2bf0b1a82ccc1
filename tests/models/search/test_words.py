"""Text of any script becomes terms; the same terms for what means the same."""

import pytest
from aisle.models.search.words import MOST_CHARACTERS, MOST_OF_ITEM, MOST_TERMS, all_terms, normal, pieces
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(("one", "other"), [
    ("Walking SHOES", "walk shoe"), ("hiking", "hike"), ("berries", "berry"), ("knives", "knife"), ("running", "run"),
    ("ＳＩＺＥ４２", "size 42"), ("雨傘", "雨伞"), ("防風", "防风"), ("Café", "cafe"), ("women's", "women"),
    ("0.5 l", "500 毫升"),
    ("1,5 l", "1500ml"), ("42码", "size 42"), ("EU 42", "42 码"), ("五百毫升", "0.5 litre"), ("2 kg", "4斤"), ("M码", "size m"),
    ("1,000 ml", "1 l"), ("两升", "2000 ml"), ("20cm", "200 mm"), ("四人", "4 persons"),
])
def test_what_means_the_same_has_the_same_terms(one: str, other: str) -> None:
    assert all_terms(one) == all_terms(other) != []


@pytest.mark.parametrize(("text", "wanted"), [
    ("防滑鞋", ["防滑", "滑鞋"]), ("鞋", ["鞋"]), ("我想要一双鞋", ["鞋"]), ("the a of", []), ("👟☔", ["👟", "☔"]),
    ("ботинки", ["ботинки", "бот", "оти", "тин", "инк", "нки"]), ("くつ", ["くつ"]), ("신발", ["신발"]), ("", []),
    ("\x00\x07 \n", []),
    ("👨\u200d👩", ["👨", "👩"]), ("a\u202eb", ["ab"]),
])
def test_terms_asked_for(text: str, wanted: list[str]) -> None:
    assert all_terms(text, searched=True) == wanted


def test_an_item_has_characters_and_pairs() -> None:
    assert all_terms("防滑鞋") == ["防", "滑", "鞋", "防滑", "滑鞋"]


def test_long_texts_are_bounded() -> None:
    assert len(all_terms("word" * 3_000 + " " + "shoe " * 10_000, searched=True)) <= MOST_TERMS
    assert len(normal("ﷺ" * 10_000)) <= 2 * MOST_CHARACTERS     # each becomes eighteen characters
    assert len(all_terms("鞋" * 100_000)) <= 2 * MOST_OF_ITEM


@given(st.text(max_size=200))
def test_any_text_is_cut_into_pieces_of_itself(text: str) -> None:
    text = normal(text)
    end = 0
    for piece in pieces(text):
        assert end <= piece.start < piece.end and text[piece.start:piece.end].startswith(piece.text)
        end = piece.end
    assert all(all_terms(text, searched=True))
