"""The variants of a model that are open at once, and which of them answers: the preferred one, or by deadline, or by heat."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .answered import note
from .batcher import Batcher, Fill, Read
from .choice import this_machine
from .waiting_line import Job
from .ways import Way


@dataclass
class Step:
    """One variant with its queue; `answered` counts what it was given to answer."""

    way: Way
    batcher: Batcher
    answered: int = 0

    @property
    def agreement(self) -> float:
        """The share of verdicts that are FP32's; what was not measured counts as exact in FP32 and as nothing else."""
        return self.way.agreement or 0.0

    def cost_ns(self, rows: int) -> int:
        """What a run of so many rows costs, learnt here, else as the bundle's table has it of this machine; 0: unknown."""
        learnt = self.batcher.costs.expect(rows)
        row = self.way.measured
        if learnt or row is None or row.on not in ("", this_machine()):
            return learnt
        return int((row.p99_ms or row.p50_ms or 0.0) * 1e6) * rows

    def expected_ns(self, rows: int, now: int) -> int:
        """When `rows` rows given now would be answered, as far as can be told."""
        line = self.batcher.line
        return max(0, line.busy_until - now) + line.count // line.capacity * self.cost_ns(line.capacity) + self.cost_ns(rows)


class Ladder:
    """Takes the place of a model's batcher where several of its variants are open; `steps[0]` is the device's choice.

    A request without a deadline goes to the preferred variant. One with a deadline goes to the variant with the best
    agreement of those that should answer in time, or to the fastest where none should. While `cooling` everything goes to
    the fastest, because that is the one which heats least for its work.
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = tuple(steps)
        self._exact = sorted(self.steps, key=lambda step: -step.agreement)
        self.cooling = False
        self.session = self.steps[0].batcher.session
        self.way = self.steps[0].way.name
        self.capacity = self.steps[0].batcher.capacity

    def pick(self, timeout_us: int, rows: int = 1) -> Step:
        """The variant for a request of `rows` rows with so much time left; 0: no deadline."""
        if self.cooling:
            return self.fastest(rows)
        if not timeout_us:
            return self.steps[0]
        now = time.perf_counter_ns()
        for step in self._exact:
            if step.expected_ns(rows, now) <= timeout_us * 1000:
                return step
        return self.fastest(rows)

    def fastest(self, rows: int = 1) -> Step:
        """The variant whose runs cost least; the preferred one while nothing is known."""
        known = [step for step in self.steps if step.cost_ns(rows)]
        return min(known, key=lambda step: step.cost_ns(rows), default=self.steps[0])

    # ---- what a batcher is asked for

    @property
    def ready_now(self) -> bool:
        """Never: which variant answers is decided in the queue."""
        return False

    def ready_within(self, most_us: int) -> bool:
        """Never, as `ready_now`."""
        return False

    def run_now(self, fill: Fill, read: Read, rows: int | None = None) -> tuple[Any, tuple[int, int, int, int]]:
        """Not to be called, see `ready_now`."""
        raise AssertionError("a ladder is never ready now")

    def submit(self, fill: Fill, read: Read, *, rows: int | None = None, timeout_us: int = 0, **how: Any) -> Job:
        """Queue one job with the variant that `pick` chooses; its `way` says which, as its batcher is called."""
        step = self.pick(timeout_us, rows or 1)
        job = step.batcher.submit(fill, read, rows=rows, timeout_us=timeout_us, **how)
        step.answered += 1
        return job

    async def call(self, fill: Fill, read: Read, **how: Any) -> Any:
        """Submit and wait; a cancelled caller gives its place back at once."""
        job = self.submit(fill, read, **how)
        try:
            value = await job.future
        except asyncio.CancelledError:
            self.forget(job)
            raise
        note(job.way)
        return value

    def forget(self, job: Job) -> None:
        """Drop a job whose caller went away."""
        next(step.batcher for step in self.steps if step.batcher.way == job.way).forget(job)

    def table(self) -> list[dict[str, Any]]:
        """What each variant is and did, for people and metrics."""
        return [{"variant": s.way.name, "agreement": s.agreement, "expected_ms": round(s.cost_ns(1) / 1e6, 3),
                 "answered": s.answered} for s in self.steps]
