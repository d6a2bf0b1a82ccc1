"""`topk`: the best ten of a catalogue, against faiss flat, NumPy, and the time it takes just to read the table."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

import numpy as np

from ...kernels import topk
from ..report import Options, Row
from .peers import faiss_us, one_thread
from .timing import interleaved, row, seconds

DEPTH, K = 64, 10


def best_of(table: np.ndarray, query: np.ndarray) -> np.ndarray:
    """NumPy: matrix product, argpartition, sort."""
    scores = table @ query
    some = np.argpartition(scores, -K)[-K:]
    return some[np.argsort(-scores[some])]


def rows(options: Options) -> Iterator[Row]:
    """10 of 100,000 and of 1,000,000 rows of 64, one query."""
    for n, name in ((100_000, "100k"), (1_000_000, "1M")):
        case = f"topk {K} of {name} x {DEPTH}"
        if options.wants(case):
            yield from catalogue(case, n, seconds(options.quick))


def catalogue(case: str, n: int, time_s: float) -> Iterator[Row]:
    """int8 and float32 in one run."""
    rng = np.random.default_rng(0)
    codes = rng.integers(-127, 128, (n + 1, DEPTH), dtype=np.int8)
    query, table = codes[:1], codes[1:].copy()
    floats, asked = table.astype(np.float32), query.astype(np.float32)
    out = (np.empty((1, K), np.int32), np.empty((1, K), np.int32))
    listed = (np.empty((1, K), np.int32), np.empty((1, K), np.float32))
    blocked = np.packbits(rng.random(n) < 0.1, bitorder="little")
    words = table.reshape(-1).view(np.int64)
    theirs, about = faiss_us("ip", n, DEPTH, 1, K, time_s)
    with one_thread():
        # Apart from the rest, whose tables would push this one out of the cache before one of the two and not the other.
        close = interleaved({"ours": lambda: topk(query, table, out=out), "read": words.max}, time_s / 2)
        found = interleaved({
            "ours": lambda: topk(query, table, out=out), "numpy": lambda: best_of(floats, asked[0]),
            "blocked": lambda: topk(query, table, out=out, blocked=blocked),
            "float": lambda: topk(asked, floats, out=listed)}, time_s)
    topk(query, table, out=out)
    ours = statistics.median(found["ours"])
    same = np.array_equal(out[1][0], np.sort(table.astype(np.int32) @ query[0].astype(np.int32))[::-1][:K])
    ratio = None if theirs is None else theirs / ours
    yield Row(f"{case}, int8", "time", ours, "us", None, "faiss flat, float32", theirs, ratio, ">= 5x faiss",
              None if ratio is None else ratio >= 5, f"{about}; scores equal to NumPy's: {same}; faiss reads 4x the bytes")
    alone, reading = statistics.median(close["ours"]), statistics.median(close["read"])
    slower = statistics.median(a / b for a, b in zip(close["ours"], close["read"], strict=True))
    yield Row(f"{case}, int8 against reading", "time", alone, "us", None, "reading the int8 table", reading, 1 / slower,
              "<= 1.5x reading", slower <= 1.5,
              f"{slower:.2f}x the time of reading {table.nbytes / 1e6:.1f} MB (NumPy's max of 64-bit words, "
              f"{table.nbytes / reading / 1e3:.1f} GB/s)")
    yield row(f"{case}, int8", found["ours"], "NumPy float32", found["numpy"])
    yield row(f"{case}, int8, a tenth blocked", found["blocked"], "NumPy float32", found["numpy"])
    yield row(f"{case}, float32", found["float"], "NumPy float32", found["numpy"])
