"""The best of a catalogue for a taste, exact, in int8 and settled in float32: against faiss, NumPy and merely reading."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ...kernels import exact, packed
from ...models.recommend.format import quantised
from ...models.shop.ranking import Vectors
from ..kernels.peers import ENVIRONMENT, faiss_us, one_thread
from ..kernels.timing import interleaved
from ..report import Options, Row
from .made import DEPTH, vectors

K, QUERIES, MANY = 10, 64, 16
TURN_US = 2000
SIZES = {"100k": 100_000, "1M": 1_000_000}
GOALS = {"100k": "p50 <= 0.15 ms and >= 5x faiss flat, recall 1.0 after rescoring", "1M": None}


def run(options: Options) -> Iterator[Row]:
    """Each size in turn."""
    for name, n in SIZES.items():
        if not (options.wants(f"retrieval/{name}") or (options.only or "").startswith(f"retrieval/{name}")):
            continue
        if options.quick and n > 100_000:
            yield Row(f"retrieval/{name}/one query", "p50 of top 10", None, "us", goal=GOALS[name], note="left out by --quick")
        else:
            yield from size(name, n, options)


def size(name: str, n: int, options: Options) -> Iterator[Row]:
    """All figures of one table; every pair of ours and a peer's runs in turns in this process, on one thread."""
    rng = np.random.default_rng(0)
    drawn = vectors(rng, n + QUERIES)
    queries, table = drawn[:QUERIES].copy(), Vectors(DEPTH, n)
    for part in np.array_split(np.arange(n), max(1, n // 50_000)):      # in parts, so that no second table is made
        table.put(part, drawn[QUERIES + part])
    del drawn
    view, seconds = table.view(n), 0.4 if options.quick else 4.0
    index, about = faiss_index(view.floats)
    with one_thread():
        yield from single(name, view, queries, index, about, seconds)
        yield from reading(name, view, queries, seconds)
        yield from masked(name, view, queries, rng, seconds)
        yield from many(name, view, queries, index, about, seconds)


def faiss_index(floats: np.ndarray) -> tuple[Any, str]:
    """faiss's flat index of these rows in this process, or None and why not."""
    us, about = faiss_us("ip", 100, 8, 1, 1, 0.01)      # makes the environment where there is none
    if us is None:
        return None, about
    packages = next((ENVIRONMENT / "lib").glob("python*")) / "site-packages"
    sys.path.append(str(packages))                      # last, so that NumPy stays ours
    try:
        import faiss  # type: ignore[import-not-found]
        faiss.omp_set_num_threads(1)
        index = faiss.IndexFlatIP(floats.shape[1])
        index.add(floats)
    except (ImportError, AttributeError) as error:
        return None, f"faiss does not load into this process: {error}"
    finally:
        sys.path.remove(str(packages))
    return index, f"faiss {faiss.__version__} in this process, one thread, in turns"


class Settled:
    """The exact best K of a table: what one query costs."""

    def __init__(self, view: Any, blocked: np.ndarray | None = None) -> None:
        self.view, self.blocked = view, blocked
        self.out = np.empty(K, np.int32), np.empty(K, np.float32)

    def __call__(self, query: np.ndarray) -> np.ndarray:
        exact(query[0], self.view.codes, self.view.floats, out=self.out, blocked=self.blocked, scale=self.view.scale,
              error=self.view.error, length=self.view.length)
        return self.out[0]


def in_turn(queries: np.ndarray, ask: Callable[[np.ndarray], object]) -> Callable[[], object]:
    """A function that asks one query after the other."""
    at = [0]

    def one() -> object:
        at[0] = (at[0] + 1) % len(queries)
        return ask(queries[at[0]:at[0] + 1])
    return one


def turns(ways: dict[str, Callable[[], object]], seconds: float) -> dict[str, list[float]]:
    """us of every call. In a turn each way is called until it has had 2 ms, so that a lone call of one does not find the cache
    as the other left it; a call counts with its time or its processor time, whichever is less."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or min(map(len, times.values())) < 5:
        for name, way in ways.items():
            had = 0.0
            while had < TURN_US:
                busy, begin = time.thread_time_ns(), time.perf_counter_ns()
                way()
                took, busy = time.perf_counter_ns() - begin, time.thread_time_ns() - busy
                times[name].append(min(took, busy) / 1e3)
                had += times[name][-1]
    return times


def best_of(floats: np.ndarray, query: np.ndarray) -> np.ndarray:
    """NumPy: matrix product, argpartition, sort."""
    scores = floats @ query[0]
    some = np.argpartition(scores, -K)[-K:]
    return some[np.argsort(-scores[some])]


def single(name: str, view: Any, queries: np.ndarray, index: Any, about: str, seconds: float) -> Iterator[Row]:
    """One query: against faiss and NumPy, with the recall of the rescored list and of the proven one."""
    settled = Settled(view)
    wanted = [best_of(view.floats, query) for query in queries[:, None]]
    hits = statistics.mean(len(set(settled(query[None]).tolist()) & set(want.tolist())) / K
                           for query, want in zip(queries, wanted, strict=True))
    found = turns({"ours": in_turn(queries, settled)} | (
        {} if index is None else {"faiss": in_turn(queries, lambda query: index.search(query, K))}), seconds)
    ours = statistics.median(found["ours"])
    theirs = statistics.median(found["faiss"]) if index is not None else None
    ratio = None if theirs is None else theirs / ours
    met = None if ratio is None or not GOALS[name] else ratio >= 5 and hits == 1 and ours <= 150
    case = f"retrieval/{name}/one query"
    yield Row(case, "p50 of top 10", ours, "us", spread(found["ours"]), "faiss flat, float32", theirs, ratio, GOALS[name], met,
              f"found in int8, settled in float32, proven; {about}; faiss reads 4x the bytes")
    yield Row(case, "recall@10 after rescoring", float(hits), "", None, None, None, None, "1.0", hits == 1,
              f"over {len(queries)} queries against NumPy's float32 order; made vectors of a mixture")
    found = turns({"ours": in_turn(queries, settled), "numpy": in_turn(queries, lambda q: best_of(view.floats, q))}, seconds)
    ours = statistics.median(found["ours"])
    numpy_us = statistics.median(found["numpy"])
    yield Row(case, "p50 of top 10", ours, "us", spread(found["ours"]), "NumPy float32", numpy_us, numpy_us / ours)


def reading(name: str, view: Any, queries: np.ndarray, seconds: float) -> Iterator[Row]:
    """Against the time it takes to look at the table's bytes, apart from other tables, which would push it out of the cache."""
    codes, _ = quantised(queries[:1])
    out = np.empty((1, K), np.int32), np.empty((1, K), np.float32)
    words = view.codes.reshape(-1).view(np.int64)
    found = interleaved({"ours": in_turn(queries, Settled(view)), "read": words.max,
                         "bare": lambda: packed(codes, view.codes, out=out)}, seconds)
    read = statistics.median(found["read"])
    for kind, label in (("ours", "exact top 10"), ("bare", "int8 sums alone")):
        slower = 1 / ratio_of(found["read"], found[kind])
        goal = "<= 1.5x reading" if kind == "ours" and name == "1M" else None
        met = None if goal is None else slower <= 1.5
        yield Row(f"retrieval/{name}/against reading", f"p50, {label}", statistics.median(found[kind]), "us",
                  spread(found[kind]), "reading the int8 table", read, 1 / slower, goal, met,
                  f"{slower:.2f}x the time of reading {view.codes.nbytes / 1e6:.1f} MB ({view.codes.nbytes / read / 1e3:.1f} "
                  "GB/s by NumPy's max of 64-bit words)")


def masked(name: str, view: Any, queries: np.ndarray, rng: np.random.Generator, seconds: float) -> Iterator[Row]:
    """With half of the items blocked, drawn one by one and in runs of a thousand, against none."""
    n = len(view.floats)
    half = np.packbits(rng.random(n) < 0.5, bitorder="little")
    runs = np.packbits(np.arange(n) // 1000 % 2 == 0, bitorder="little")
    found = interleaved({"none": in_turn(queries, Settled(view)), "half": in_turn(queries, Settled(view, half)),
                         "runs": in_turn(queries, Settled(view, runs))}, seconds)
    for kind, label in (("half", "half blocked, drawn"), ("runs", "half blocked, in runs")):
        ratio = ratio_of(found["none"], found[kind])
        yield Row(f"retrieval/{name}/{label}", "p50 of top 10", statistics.median(found[kind]), "us", spread(found[kind]),
                  "none blocked", statistics.median(found["none"]), ratio, "not slower than none blocked", ratio >= 0.97,
                  "within 3 % counts as not slower: turns of the same code differ by as much")


def many(name: str, view: Any, queries: np.ndarray, index: Any, about: str, seconds: float) -> Iterator[Row]:
    """A batch of 16 queries, which reads the table once."""
    codes, gain = quantised(queries[:MANY])
    out = np.empty((MANY, K), np.int32), np.empty((MANY, K), np.float32)
    alone = np.empty((1, K), np.int32), np.empty((1, K), np.float32)
    ways: dict[str, Callable[[], object]] = {
        "ours": lambda: packed(codes, view.codes, out=out, scale=view.scale, gain=gain),
        "one": lambda: packed(codes[:1], view.codes, out=alone, scale=view.scale, gain=gain[:1])}
    if index is not None:
        ways["faiss"] = lambda: index.search(queries[:MANY], K)
    found = interleaved(ways, seconds)
    theirs = statistics.median(found["faiss"]) if index is not None else None
    ours = statistics.median(found["ours"])
    yield Row(f"retrieval/{name}/16 queries", "p50", ours, "us", spread(found["ours"]), "faiss flat, float32", theirs,
              None if theirs is None else ratio_of(found["faiss"], found["ours"]), None, None,
              f"{ours / MANY:.0f} us a query; one alone {statistics.median(found['one']):.0f}; {about}")


def ratio_of(theirs: list[float], ours: list[float]) -> float:
    """How many times as long the peer takes: the median over turns."""
    return statistics.median(b / a for a, b in zip(ours, theirs, strict=True))


def spread(times: list[float]) -> float:
    """Half the middle half."""
    quarters = statistics.quantiles(times, n=4)
    return (quarters[2] - quarters[0]) / 2
