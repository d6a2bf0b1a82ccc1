"""Finds the known word that was probably meant: one or two letters wrong, missing, too many or swapped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

WIDTH = 24                 # longer words are compared by their first letters
LEAST = 5                  # shorter words are not guessed at: too many are one letter apart
FAR = 8                    # words of this length may have two letters wrong
CHUNK = 4096


class Vocabulary:
    """Known words with how often they occur. `add` from one thread at a time; `nearest` from any."""

    def __init__(self) -> None:
        self.place: dict[str, int] = {}
        self.words: list[str] = []
        self._letters = np.zeros((CHUNK, WIDTH), np.uint32)
        self._masks = np.zeros(CHUNK, np.uint64)
        self._lengths = np.zeros(CHUNK, np.int16)
        self._counts = np.zeros(CHUNK, np.int32)

    def add(self, words: Iterable[str]) -> None:
        """Count words of letters; those shorter than LEAST are nothing to guess."""
        for word in words:
            at = self.place.get(word)
            if at is None:
                if len(word) < LEAST or not word.isalpha():
                    continue
                at = len(self.words)
                if at == len(self._masks):
                    self._grow()
                codes = [ord(c) for c in word[:WIDTH]]
                self._letters[at, :len(codes)] = codes
                self._masks[at], self._lengths[at] = mask(word), len(word)
                self.words.append(word)
                self.place[word] = at
            self._counts[at] += 1

    def counts(self) -> np.ndarray:
        """How often each word occurs, int32, in the order of `words`."""
        return self._counts[:len(self.words)].copy()

    def restore(self, words: Sequence[str], counts: np.ndarray) -> None:
        """Words and counts as they were told by a vocabulary that began as this one."""
        self.add(words)
        self._counts[:len(words)] = counts

    def _grow(self) -> None:
        for name in ("_letters", "_masks", "_lengths", "_counts"):
            old = getattr(self, name)
            setattr(self, name, np.concatenate([old, np.zeros((max(CHUNK, len(old)), *old.shape[1:]), old.dtype)]))

    def nearest(self, word: str) -> str | None:
        """The known word within one letter (two from FAR letters on) of `word`; ties: same beginning, then the commonest."""
        most, count = (2 if len(word) >= FAR else 1), len(self.words)
        if len(word) < LEAST or len(word) > WIDTH or not count:
            return None
        near = np.flatnonzero(np.abs(self._lengths[:count] - len(word)) <= most)
        own, theirs = np.uint64(mask(word)), self._masks[near]
        # One edit adds or takes away one letter of each word at most.
        near = near[(np.bitwise_count(own & ~theirs) <= most) & (np.bitwise_count(theirs & ~own) <= most)]
        if not len(near):
            return None
        found = distances(np.array([ord(c) for c in word], np.uint32), self._letters[near], self._lengths[near], most)
        good = near[found <= most]
        if not len(good):
            return None
        found = found[found <= most]
        first = self._letters[good, 0] != ord(word[0])
        return self.words[good[np.lexsort((good, -self._counts[good], first, found))[0]]]


def mask(word: str) -> int:
    """A bit for each letter that occurs."""
    made = 0
    for c in word:
        made |= 1 << (ord(c) & 63)
    return made


def distances(word: np.ndarray, letters: np.ndarray, lengths: np.ndarray, most: int = WIDTH) -> np.ndarray:
    """Edits (a letter wrong, missing, too many, two swapped) from `word` to each row of letters, int16 (n,).

    What is more than `most` is told as anything above it: only places so far from the diagonal are looked at.
    """
    n, width = len(letters), letters.shape[1]
    before = np.zeros((n, width + 1), np.int16)
    last = np.tile(np.arange(width + 1, dtype=np.int16), (n, 1))
    for i, letter in enumerate(word):
        row = np.full_like(last, width + i)
        row[:, 0] = i + 1
        first, end = max(0, i - most), min(width, i + most + 1)
        differs = (letters[:, first:end] != letter).astype(np.int16)
        for j in range(first, end):
            cost = np.minimum(np.minimum(last[:, j + 1] + 1, row[:, j] + 1), last[:, j] + differs[:, j - first])
            if i and j:
                swapped = (letters[:, j - 1] == letter) & (letters[:, j] == word[i - 1])
                cost = np.where(swapped, np.minimum(cost, before[:, j - 1] + 1), cost)
            row[:, j + 1] = cost
        before, last = last, row
    found: np.ndarray = last[np.arange(n), np.minimum(lengths, width)]
    return found
