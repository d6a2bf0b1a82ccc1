"""Words of a text: any script, the same everywhere, bounded."""

import numpy as np
from aisle.models.recommend.words import MAX_WORDS, hashed, words
from hypothesis import given
from hypothesis import strategies as st


def test_words_of_two_scripts() -> None:
    assert words("Non-slip SHOES, ４２") == ["non", "slip", "shoes", "42"]
    assert words("防滑鞋 shoe") == ["防", "滑", "鞋", "防滑", "滑鞋", "shoe"]
    assert words("") == words("!?") == []


def test_the_buckets_do_not_move() -> None:
    buckets, weights = hashed("red red shoe", 1000)
    assert buckets.tolist() == [455, 857] and np.allclose(weights ** 2, [2 / 3, 1 / 3])


@given(st.text(max_size=3000), st.integers(1, 4096))
def test_any_text_has_weights_of_length_one(text: str, buckets: int) -> None:
    rows, weights = hashed(text, buckets)
    assert len(rows) <= MAX_WORDS and (np.diff(rows) > 0).all() and (not len(rows) or 0 <= rows[0] <= rows[-1] < buckets)
    assert not len(rows) or abs(np.linalg.norm(weights) - 1) < 1e-5
