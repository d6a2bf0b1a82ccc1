"""Who gets a pool thread next: the earliest deadline, and before it a job that has had less than its reserved share."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

MEMORY_NS = 1_000_000_000         # what a job used fades within about this time
MOST = 0.9                        # of the pool may be reserved in all; the rest is anybody's
_job: ContextVar[str] = ContextVar("aisle_job", default="")


@contextmanager
def asking(job: str) -> Iterator[None]:
    """What runs inside works for that job; it travels with the task as the deadline does."""
    token = _job.set(job)
    try:
        yield
    finally:
        _job.reset(token)


def asked_job() -> str:
    """The job of the request that is being answered; "" outside of one."""
    return _job.get()


def parse_reserve(texts: tuple[str, ...], jobs: Iterable[str]) -> dict[str, float]:
    """Shares such as "routes=0.3", by job. ValueError with a sentence for an unknown job or too large a share."""
    known, found = tuple(jobs), {}
    for text in texts:
        job, _, share = text.partition("=")
        try:
            value = float(share)
        except ValueError:
            value = math.nan
        if job not in known or job in found or not 0 < value <= MOST:
            raise ValueError(f"{text!r}: expected JOB=SHARE with a share above 0 and at most {MOST}, each job once; the jobs "
                             f"are {', '.join(known)}")
        found[job] = value
    if sum(found.values()) > MOST:
        raise ValueError(f"the shares add up to {sum(found.values()):g}; at most {MOST} can be reserved in all")
    return found


class Entry(Protocol):
    """What waits: for which job, due when (perf_counter_ns), at what expected cost in ns; `taken` once it is not to run."""

    job: str
    due: int
    cost: int
    taken: bool


class PoolLine:
    """The waiting calls of a pool. Not thread-safe: the pool holds its lock."""

    def __init__(self, threads: int, reserve: Mapping[str, float] | None = None) -> None:
        self.reserve = dict(reserve or {})
        self._threads = threads
        self._heaps: dict[str, list[tuple[int, int, Entry]]] = {job: [] for job in ("", *self.reserve)}
        self._used = dict.fromkeys(self.reserve, 0.0)      # share of the threads' time, as it was at _told
        self._told = dict.fromkeys(self.reserve, 0)
        self._sequence = 0

    def add(self, entry: Entry, order: int) -> None:
        """Let it wait; `order` is when it should be done, ns."""
        self._sequence += 1
        heapq.heappush(self._heap(entry.job), (order, self._sequence, entry))

    def take(self, now: int) -> Entry | None:
        """The one that goes next, marked as taken; None where nothing waits."""
        heads = []
        for job, heap in self._heaps.items():
            while heap and heap[0][2].taken:
                heapq.heappop(heap)
            if heap:
                heads.append((not self.short(job, now), *heap[0][:2], job))
        if not heads:
            return None
        entry = heapq.heappop(self._heaps[min(heads)[3]])[2]
        entry.taken = True
        return entry

    def spent(self, job: str, ns: int, now: int) -> None:
        """A call for that job took `ns` of a thread."""
        if job in self.reserve:
            self._used[job] = self._lately(job, now) + ns / (MEMORY_NS * self._threads)
            self._told[job] = now

    def short(self, job: str, now: int) -> bool:
        """True where the job has a reserved share and has had less of late."""
        return job in self.reserve and self._lately(job, now) < self.reserve[job]

    def ahead(self, job: str, due: int, now: int) -> int:
        """Expected ns of what waits and would go before a call of that job due then."""
        mine, total = self.short(job, now), 0
        for owner, heap in self._heaps.items():
            theirs = self.short(owner, now)
            if theirs >= mine:
                total += sum(entry.cost for order, _, entry in heap
                             if not entry.taken and (theirs > mine or order <= due))
        return total

    def clear(self) -> list[Entry]:
        """Everything that waited, which now waits no more."""
        dropped = [entry for heap in self._heaps.values() for _, _, entry in heap if not entry.taken]
        for heap in self._heaps.values():
            heap.clear()
        return dropped

    def _lately(self, job: str, now: int) -> float:
        return self._used[job] * math.exp(-max(0, now - self._told[job]) / MEMORY_NS)

    def _heap(self, job: str) -> list[tuple[int, int, Entry]]:
        return self._heaps[job if job in self.reserve else ""]
