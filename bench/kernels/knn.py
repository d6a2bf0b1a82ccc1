"""`knn` and `within`: int8 codes against NumPy's matrix product and faiss flat, the local window, the early verdict."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

import numpy as np

from ...kernels import Bank, knn, within
from ..report import Options, Row
from .peers import faiss_us, one_thread
from .timing import Goal, interleaved, row, seconds

QUERIES, CODES, DEPTH = 784, 4000, 128
PARTS, SIDE, LOCAL = 30, 32, 64


def product(query: np.ndarray, doubled: np.ndarray, norms: np.ndarray, room: np.ndarray) -> np.ndarray:
    """NumPy: |b|^2 - 2 q.b by one matrix product in float32 with a bank prepared for it, in place, then the minimum."""
    np.matmul(query, doubled, out=room)
    room += norms
    return room.min(axis=1) + np.square(query).sum(axis=1)


def rows(options: Options) -> Iterator[Row]:
    """The whole bank, other kinds of bank, the 3 x 3 window, the verdict."""
    time_s = seconds(options.quick)
    case = f"knn {QUERIES} x {CODES} x {DEPTH}"
    if options.wants(case):
        yield from whole(case, time_s)
    case = f"knn 3x3 window, {PARTS} parts of {SIDE}x{SIDE} x {LOCAL}"
    if options.wants(case):
        yield from nearby(case, time_s)


def whole(case: str, time_s: float) -> Iterator[Row]:
    """One nearest of all codes; ours searches a bank laid out once, as faiss and NumPy have theirs prepared."""
    codes = np.random.default_rng(0).integers(-127, 128, (QUERIES + CODES, DEPTH), dtype=np.int8)
    query, bank = codes[:QUERIES].reshape(28, 28, DEPTH), codes[QUERIES:].reshape(1, 1, CODES, DEPTH)
    floats = codes.astype(np.float32)
    asked, stored = floats[:QUERIES], floats[QUERIES:]
    question, deep = asked.reshape(28, 28, DEPTH), stored.reshape(bank.shape)
    half = deep.astype(np.float16)
    norms, out, far = np.square(stored).sum(axis=1), np.empty((28, 28), np.int32), np.empty((28, 28), np.float32)
    doubled, room = np.ascontiguousarray(-2 * stored.T), np.empty((QUERIES, CODES), np.float32)
    laid = Bank(bank, radius=None)
    theirs, about = faiss_us("l2", CODES, DEPTH, QUERIES, 1, time_s)
    with one_thread() as alone:
        found = interleaved({
            "ours": lambda: knn(query, laid, out=out, radius=None), "plain": lambda: knn(query, bank, out=out, radius=None),
            "numpy": lambda: product(asked, doubled, norms, room), "gemm": lambda: asked @ stored.T,
            "float": lambda: knn(question, deep, out=far, radius=None),
            "half": lambda: knn(question, half, out=far, radius=None)}, time_s)
        knn(query, laid, out=out, radius=None)
        exact = np.array_equal(product(asked, doubled, norms, room).astype(np.int32), out.reshape(-1))
    yield row(f"{case}, int8", found["ours"], "NumPy product, norms, minimum", found["numpy"], goal=Goal(">= 8x", ratio=8.0),
              note=f"exact on the codes: {exact}; NumPy on one thread: {alone}")
    yield row(f"{case}, int8", found["ours"], "NumPy product alone", found["gemm"])
    ours = statistics.median(found["ours"])
    ratio = None if theirs is None else theirs / ours
    yield Row(f"{case}, int8", "time", ours, "us", None, "faiss flat", theirs, ratio, ">= 15x faiss",
              None if ratio is None else ratio >= 15, about)
    yield row(f"{case}, int8, bank not laid out before", found["plain"], "NumPy product, norms, minimum", found["numpy"])
    yield row(f"{case}, float32", found["float"], "NumPy product, norms, minimum", found["numpy"])
    yield row(f"{case}, float16", found["half"], "NumPy product, norms, minimum, float32", found["numpy"])


def nearby(case: str, time_s: float) -> Iterator[Row]:
    """The window, and the verdict where nearly every cell is good."""
    rng = np.random.default_rng(0)
    bank = rng.integers(-40, 41, (PARTS, SIDE, SIDE, LOCAL), dtype=np.int8)
    query = (bank[17] + rng.integers(-9, 10, bank[17].shape)).astype(np.int8)
    out, good = np.empty((SIDE, SIDE), np.int32), np.empty((SIDE, SIDE), np.uint8)
    near, anywhere = Bank(bank, radius=1), Bank(bank, radius=None)
    knn(query, near, out=out, radius=1)
    bound = int(out.max())
    found = interleaved({
        "ours": lambda: knn(query, near, out=out, radius=1),
        "plain": lambda: knn(query, bank, out=out, radius=1),
        "verdict": lambda: within(query, near, bound=bound, out=good, radius=1),
        "all": lambda: knn(query, anywhere, out=out, radius=None),
        "all verdict": lambda: within(query, anywhere, bound=bound, out=good, radius=None)}, time_s)
    knn(query, near, out=out, radius=1)
    within(query, near, bound=bound - 1, out=good, radius=1)
    same = np.array_equal(good != 0, out < bound)
    yield row(case, found["ours"], goal=Goal("<= 0.2 ms", most_us=200), note=f"laid out: {near.nbytes - bank.nbytes} bytes")
    yield row(f"{case}, bank not laid out before", found["plain"])
    yield row(f"{case}, verdict", found["verdict"], "the full search", found["ours"], note=f"verdict identical: {same}")
    yield row(f"{case.replace('3x3 window', 'whole bank')}, verdict", found["all verdict"], "the full search", found["all"])
