"""Who waits for a session and who goes next: earliest deadline first within a priority, refused where it is hopeless.

Pure decisions: the time comes in as an argument, nothing here sleeps, locks or starts threads, so that the rules are
tested on a simulated clock. The batcher calls every method under its lock.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .costs import Costs
from .errors import Busy

Fill = Callable[[Any], None]
Read = Callable[[Any], Any]
FOREVER = 1 << 62                 # the deadline of a job that has none
PATIENCE_NS = 1_000_000_000       # a job without a deadline is ordered as if it had this much time, so that it never starves
SPARE = 16                        # a job is planned to be done with a 16th of its time left: sockets and loop take some
LOWEST = 1 << 30                  # level of a job without a priority where the model states no levels


@dataclass
class Limits:
    """Bounds of one queue: requests and bytes waiting."""

    max_requests: int = 256
    max_bytes: int = 256 << 20


class Job:
    """One request on its way. `rows` None means a single row without its batch axis.

    `due` is when it is planned to be done, ns of perf_counter: its deadline less what the rest of the way may take.
    """

    __slots__ = ("born", "done", "due", "fill", "future", "level", "nbytes", "outputs", "quiet", "read", "rows",
                 "timer", "times", "way")

    def __init__(self, fill: Fill, read: Read, rows: int | None, nbytes: int, outputs: Sequence[str],
                 future: asyncio.Future[Any], *, born: int, due: int = FOREVER, level: int = LOWEST,
                 quiet: bool = False) -> None:
        self.fill = fill
        self.read = read
        self.rows = rows
        self.nbytes = nbytes
        self.outputs = outputs
        self.future = future
        self.born = born
        self.due = due
        self.level = level
        self.quiet = quiet                    # ours, not a client's: not counted
        self.done = False                     # taken, cancelled or expired
        self.timer: asyncio.TimerHandle | None = None
        self.times = (0, 0, 0, 0)             # queue, fill, run, read in ns; set with the result
        self.way = ""                         # which variant answers, as its batcher is called

    @property
    def size(self) -> int:
        """Rows that it takes of a batch."""
        return self.rows or 1

    @property
    def order(self) -> tuple[int, int]:
        """Smaller goes first: priority, then deadline."""
        return self.level, self.due if self.due < FOREVER else self.born + PATIENCE_NS


class Line:
    """The jobs that wait for `workers` sessions of `capacity` rows each; `count` jobs with `nbytes` bytes."""

    def __init__(self, name: str, capacity: int, costs: Costs, limits: Limits, max_requests: int = 0,
                 workers: int = 1) -> None:
        self.name = name
        self.capacity = capacity
        self.workers = workers
        self.costs = costs
        self.limits = limits
        self.max_requests = max_requests or limits.max_requests
        self.count = 0
        self.nbytes = 0
        self.busy_until = 0               # when the first of its workers should be free, ns; 0 while one is
        self._sequence = 0
        self._heap: list[tuple[tuple[int, int], int, Job]] = []

    def admit(self, job: Job, now: int) -> None:
        """Take `job` into the line; Busy where the line is full or the job could not be answered before it is due."""
        if self.count >= self.max_requests:
            raise Busy(f"Exceeds maximum queue size: {self.max_requests} requests already wait for model '{self.name}'")
        if self.nbytes + job.nbytes > self.limits.max_bytes and self.count:
            raise Busy(f"Exceeds maximum queue size: {self.nbytes >> 20} MiB already wait for model '{self.name}' and the "
                       f"limit is {self.limits.max_bytes >> 20} MiB")
        if job.due < FOREVER:
            wait, cost = self.ahead(job, now)
            if wait + cost > job.due - now:
                raise Busy(f"model '{self.name}' could not answer within the deadline of {(job.due - now) / 1e6:.3g} ms: "
                           f"about {wait / 1e6:.3g} ms of waiting and {cost / 1e6:.3g} ms of work are ahead; ask again "
                           "later or allow more time", wait * 1e-9)
        self._sequence += 1
        heapq.heappush(self._heap, (job.order, self._sequence, job))
        self.count += 1
        self.nbytes += job.nbytes

    def ahead(self, job: Job, now: int) -> tuple[int, int]:
        """(ns until `job` would start if it came now, ns of the run it would be part of).

        Before it come the batch that runs and the full ones ahead. Where there is one ahead, its own is counted as full
        too: later jobs will fill it. Counted as small, jobs would be let in that only small batches can answer in time,
        and small batches waste the machine just when it is short (a simulation of 150 % load kept half of the capacity).
        """
        running = max(0, self.busy_until - now)
        if not self.count:
            return running, self.costs.expect(job.size)
        order = job.order
        rows = sum(other.size for at, _, other in self._heap if at <= order and not other.done)
        batches, left = divmod(rows, self.capacity)
        if left + job.size > self.capacity:
            batches, left = batches + 1, 0
        own = self.capacity if batches else left + job.size
        return running + batches // self.workers * self.costs.expect(self.capacity), self.costs.expect(own)

    def leave(self, job: Job) -> bool:
        """Give a waiting job's place back; False once it was taken or has left."""
        if job.done:
            return False
        job.done = True
        self.count -= 1
        self.nbytes -= job.nbytes
        if len(self._heap) > 4 * self.count + 64:     # jobs that left must not pile up behind a slow run
            self._heap = [item for item in self._heap if not item[2].done]
            heapq.heapify(self._heap)
        return True

    def clear(self) -> list[Job]:
        """Everybody who waits, taken out of the line."""
        waiting = [job for _, _, job in self._heap if not job.done]
        for job in waiting:
            self.leave(job)
        self._heap.clear()
        return waiting

    def take(self, now: int, jobs: list[Job]) -> tuple[int, list[Job]]:
        """Add to the batch `jobs` what fits; return its rows and the jobs that are too late to be worth a run.

        A batch grows only while its dearest estimate still meets the tightest deadline in it.
        """
        rows, late = sum(job.size for job in jobs), []
        due = min((job.due for job in jobs), default=FOREVER)
        while self._heap and rows < self.capacity:
            job = self._heap[0][2]
            if not job.done and jobs:
                tightest = min(due, job.due)
                over = tightest < FOREVER and now + self.costs.expect(rows + job.size) > tightest
                if over or rows + job.size > self.capacity:
                    break
            heapq.heappop(self._heap)
            if not self.leave(job) or job.future.cancelled():
                continue
            if not jobs and job.due < FOREVER and now + self.costs.expect(job.size, 50) > job.due:
                late.append(job)      # even an ordinary run alone would end after its deadline: spend the time on others
                continue
            jobs.append(job)
            rows += job.size
            due = min(due, job.due)
        return rows, late
