"""Cuts text into the pieces of a BERT vocabulary and their numbers, as the model's own tokenizer does."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..bundle import BundleError

LONGEST_WORD = 100
MOST_CHARACTERS = 4_000    # of a text; a model reads some hundred pieces
CHINESE = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B81F), (0x2B820, 0x2CEAF), (0xF900, 0xFAFF),
           (0x2F800, 0x2FA1F))


class WordPiece:
    """`encode` gives the numbers of a batch of texts, int64 (n, s), and the mask of what is no filling."""

    def __init__(self, vocabulary: Mapping[str, int], lower: bool = True) -> None:
        self.vocabulary = vocabulary
        self.lower = lower
        missing = [piece for piece in ("[PAD]", "[UNK]", "[CLS]", "[SEP]") if piece not in vocabulary]
        if missing:
            raise BundleError(f"the vocabulary has no {missing[0]}; expected the vocab.txt of a BERT model")
        self.pad, self.unknown, self.first, self.last = (vocabulary[p] for p in ("[PAD]", "[UNK]", "[CLS]", "[SEP]"))
        self._word = lru_cache(maxsize=50_000)(self._pieces)

    @classmethod
    def read(cls, path: Path, lower: bool = True) -> WordPiece:
        """Of a vocab.txt (a piece a line) or of a tokenizer.json that holds a WordPiece model. BundleError otherwise."""
        try:
            text = path.read_text("utf-8")
            if path.suffix != ".json":
                return cls({line: i for i, line in enumerate(text.removesuffix("\n").split("\n"))}, lower)
            model = json.loads(text)["model"]
            if model.get("type", "WordPiece") != "WordPiece":
                raise BundleError(f"{path} is a tokenizer of the type {model['type']!r}; Aisle reads WordPiece. Bring an "
                                  "encoder with a BERT vocabulary")
            return cls(model["vocab"], lower)
        except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise BundleError(f"the vocabulary {path} cannot be read: {error}") from None

    def numbers(self, text: str) -> list[int]:
        """The pieces of a text, without the marks at its ends."""
        found: list[int] = []
        for word in words(text[:MOST_CHARACTERS], self.lower):
            found += self._word(word)
        return found

    def encode(self, texts: Sequence[str], most: int) -> tuple[np.ndarray, np.ndarray]:
        """(ids, mask), both int64 (n, s): [CLS], the pieces, [SEP], filled up to the longest; at most `most` each."""
        rows = [[self.first, *self.numbers(text)[:most - 2], self.last] for text in texts]
        longest = max(map(len, rows))
        ids = np.full((len(rows), longest), self.pad, np.int64)
        mask = np.zeros((len(rows), longest), np.int64)
        for i, row in enumerate(rows):
            ids[i, :len(row)], mask[i, :len(row)] = row, 1
        return ids, mask

    def unknown_share(self, text: str) -> float:
        """Which part of a text's pieces the vocabulary does not know, 0 to 1."""
        found = self.numbers(text)
        return found.count(self.unknown) / len(found) if found else 0.0

    def _pieces(self, word: str) -> tuple[int, ...]:
        if len(word) > LONGEST_WORD:
            return (self.unknown,)
        found, start = [], 0
        while start < len(word):
            for end in range(len(word), start, -1):
                number = self.vocabulary.get(("##" if start else "") + word[start:end])
                if number is not None:
                    break
            else:
                return (self.unknown,)
            found.append(number)
            start = end
        return tuple(found)


def words(text: str, lower: bool) -> list[str]:
    """Words, marks of punctuation and Chinese characters, each by itself."""
    made = []
    for c in text:
        code = ord(c)
        if code in (0, 0xFFFD) or (unicodedata.category(c)[0] == "C" and c not in "\t\n\r"):
            continue
        made.append(f" {c} " if any(low <= code <= high for low, high in CHINESE) else c)
    text = "".join(made)
    if lower:
        text = "".join(c for c in unicodedata.normalize("NFD", text.lower()) if unicodedata.category(c) != "Mn")
    return "".join(f" {c} " if punctuation(c) else c for c in text).split()


def punctuation(c: str) -> bool:
    """As BERT counts it: all ASCII that is neither letter, digit nor blank, and Unicode's punctuation."""
    code = ord(c)
    return 33 <= code <= 47 or 58 <= code <= 64 or 91 <= code <= 96 or 123 <= code <= 126 or unicodedata.category(c)[0] == "P"
