"""Words of an item's text as numbers of buckets, without a vocabulary: how an item that nobody has seen gets a vector."""

from __future__ import annotations

import re
import unicodedata
import zlib

import numpy as np

MAX_WORDS = 512        # of one text; what comes later is left out
_RUN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]+|[^\W_]+", re.UNICODE)
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")


def words(text: str) -> list[str]:
    """The words of a text in lower case; Chinese, Japanese and Korean runs as single characters and pairs of them."""
    found: list[str] = []
    for run in _RUN.findall(unicodedata.normalize("NFKC", text).lower()):
        if _CJK.match(run):
            found += [*run, *(run[i:i + 2] for i in range(len(run) - 1))]
        else:
            found.append(run)
        if len(found) >= MAX_WORDS:
            break
    return found[:MAX_WORDS]


def hashed(text: str, buckets: int) -> tuple[np.ndarray, np.ndarray]:
    """Buckets int64 (m,), ascending, and weights float32 (m,) of a text's words; the weights have length 1 together.

    The same text has the same buckets everywhere (CRC-32 of the word).
    """
    numbers = [zlib.crc32(word.encode()) % buckets for word in words(text)]
    found, count = np.unique(np.array(numbers, np.int64), return_counts=True)
    return found, np.sqrt(count / max(count.sum(), 1)).astype(np.float32)
