"""The nearest known word, by edits that fingers make."""

import numpy as np
import pytest
from aisle.models.search.typos import WIDTH, Vocabulary, distances
from hypothesis import given
from hypothesis import strategies as st

WORDS = ("waterproof", "waterproofs", "hiking", "leather", "feather", "jacket", "umbrella", "sock", "ботинки")


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    made = Vocabulary()
    made.add(WORDS)
    made.add(["leather"] * 3)
    return made


@pytest.mark.parametrize(("typed", "meant"), [
    ("waterprof", "waterproof"), ("watreprof", "waterproof"), ("hikng", "hiking"), ("leahter", "leather"),
    ("jackett", "jacket"),
    ("umbrela", "umbrella"), ("weather", "leather"), ("ботинкы", "ботинки"), ("xyzzyq", None), ("soc", None), ("", None),
    ("u" * 30, None), ("hxkxng", None),
])
def test_nearest(typed: str, meant: str | None, vocabulary: Vocabulary) -> None:
    assert vocabulary.nearest(typed) == meant


def test_it_grows(vocabulary: Vocabulary) -> None:
    made = Vocabulary()
    alphabet = "abcdefghijklmnopqrst"
    made.add("q" + a + b + c + d for a in alphabet for b in alphabet for c in alphabet[:5] for d in "xyzw")
    assert len(made.words) == 8000 and made.nearest("qabcq") in made.words


def plain(a: str, b: str) -> int:
    """Edits by the textbook."""
    d = np.zeros((len(a) + 1, len(b) + 1), int)
    d[:, 0], d[0, :] = range(len(a) + 1), range(len(b) + 1)
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            d[i, j] = min(d[i - 1, j] + 1, d[i, j - 1] + 1, d[i - 1, j - 1] + (a[i - 1] != b[j - 1]))
            if i > 1 and j > 1 and a[i - 1] == b[j - 2] and a[i - 2] == b[j - 1]:
                d[i, j] = min(d[i, j], d[i - 2, j - 2] + 1)
    return int(d[-1, -1])


@given(st.text("abc", min_size=1, max_size=8), st.lists(st.text("abc", min_size=1, max_size=8), min_size=1, max_size=5))
def test_distances_are_the_textbooks(word: str, others: list[str]) -> None:
    letters = np.zeros((len(others), WIDTH), np.uint32)
    for row, other in zip(letters, others, strict=True):
        row[:len(other)] = [ord(c) for c in other]
    lengths = np.array([len(other) for other in others])
    found = distances(np.array([ord(c) for c in word], np.uint32), letters, lengths)
    assert found.tolist() == [plain(word, other) for other in others]
    for most in (1, 2):
        near = distances(np.array([ord(c) for c in word], np.uint32), letters, lengths, most)
        assert np.minimum(near, most + 1).tolist() == np.minimum(found, most + 1).tolist()
