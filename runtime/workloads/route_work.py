"""Where the work of a map is done: what is quick enough for the event loop, and what many threads share."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from ...kernels.shortest_path import Run

SHARED = 100_000            # edges of a map from which threads are worth their start where most of it changes


class Pace:
    """What a pair has cost of late, to decide where the next are answered."""

    def __init__(self) -> None:
        self._pair_us = 50.0

    def expect_us(self, pairs: int) -> float:
        """What so many will take."""
        return pairs * self._pair_us

    def add(self, pairs: int, ns: int) -> None:
        """Learn from some; one that was interrupted weighs little."""
        self._pair_us += 0.05 * (min(ns / 1e3 / max(pairs, 1), 20 * self._pair_us) - self._pair_us)


def shared_by(threads: int) -> Run:
    """How a kernel's jobs are shared by so many threads, which end with them."""
    def run(jobs: list[Callable[[], None]]) -> None:
        waiting = iter(jobs)       # of a list: its steps are whole under the GIL, so each job goes to one thread

        def work() -> None:
            for job in waiting:
                job()
        with ThreadPoolExecutor(threads, "aisle-weights") as pool:
            for done in [pool.submit(work) for _ in range(threads)]:
                done.result()
    return run
