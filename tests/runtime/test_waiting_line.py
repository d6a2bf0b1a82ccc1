"""The scheduler's rules on a simulated clock: who goes first, who is refused, how large a batch may grow."""

import asyncio
import heapq
from itertools import pairwise
from typing import Any

import pytest
from aisle.runtime.costs import ENOUGH, Costs
from aisle.runtime.errors import Busy
from aisle.runtime.waiting_line import FOREVER, LOWEST, PATIENCE_NS, Job, Limits, Line
from hypothesis import given, settings
from hypothesis import strategies as st

MS = 1_000_000


class Future:
    """As much of a future as the line looks at."""

    def cancelled(self) -> bool:
        return False


def job(born: int = 0, within: int | None = None, *, level: int = LOWEST, rows: int = 1, nbytes: int = 0) -> Job:
    future: Any = Future()
    return Job(lambda row: None, lambda row: None, rows, nbytes, (), future, born=born,
               due=FOREVER if within is None else born + within, level=level)


def learnt(base: int = 2 * MS, each: int = 1 * MS, capacity: int = 8) -> Costs:
    costs = Costs()
    for rows in range(1, capacity + 1):
        for _ in range(ENOUGH):
            costs.add(rows, base + each * rows)
    return costs


def line(costs: Costs | None = None, capacity: int = 8, **limits: int) -> Line:
    return Line("m", capacity, costs or learnt(capacity=capacity), Limits(**limits))


def test_priority_then_deadline_then_arrival() -> None:
    waiting = line()
    jobs = [job(within=900 * MS), job(within=100 * MS), job(), job(within=500 * MS, level=1), job(within=100 * MS)]
    for one in jobs:
        waiting.admit(one, 0)
    batch: list[Job] = []
    waiting.take(0, batch)
    assert [jobs.index(one) for one in batch] == [3, 1, 4, 0, 2]


def test_a_job_without_a_deadline_does_not_starve() -> None:
    waiting = line(capacity=1)
    old = job(0)
    waiting.admit(old, 0)
    waiting.admit(job(PATIENCE_NS, 10 * MS), PATIENCE_NS)
    batch: list[Job] = []
    waiting.take(PATIENCE_NS, batch)
    assert batch == [old]


def test_what_cannot_be_met_is_refused_at_once_with_the_wait() -> None:
    waiting = line(capacity=1)
    waiting.busy_until = 10 * MS
    waiting.admit(job(within=14 * MS), 0)                 # 10 of waiting, 3 of work
    with pytest.raises(Busy, match=r"deadline of 12 ms: about 10 ms of waiting and 3 ms of work") as caught:
        waiting.admit(job(within=12 * MS), 0)
    assert caught.value.retry_after_s == pytest.approx(0.010)
    assert waiting.count == 1


def test_nothing_is_refused_by_a_guess_while_costs_are_unknown() -> None:
    line(Costs()).admit(job(within=1), 0)


def test_the_tightest_deadline_bounds_the_batch() -> None:
    waiting = line()
    for _ in range(8):
        waiting.admit(job(within=40 * MS), 0)
    late: list[Job] = []
    rows, late = waiting.take(40 * MS - 5 * MS, batch := [])    # 5 ms left: base 2 + 1 a row
    assert rows == len(batch) == 3 and late == []


def test_a_job_that_even_an_ordinary_run_would_answer_late_is_not_run() -> None:
    waiting = line()
    hopeless, fine = job(within=10 * MS), job(within=50 * MS)
    waiting.admit(hopeless, 0)
    waiting.admit(fine, 0)
    rows, late = waiting.take(8 * MS, batch := [])
    assert (rows, batch, late) == (1, [fine], [hopeless])


def test_bounds_in_requests_and_bytes() -> None:
    waiting = line(max_requests=2, max_bytes=100)
    waiting.admit(job(nbytes=1000), 0)                    # alone it may pass: nothing else is held
    with pytest.raises(Busy, match="MiB already wait"):
        waiting.admit(job(nbytes=1), 0)
    waiting = line(max_requests=2)
    waiting.admit(job(), 0)
    waiting.admit(job(), 0)
    with pytest.raises(Busy, match="maximum queue size: 2 requests"):
        waiting.admit(job(), 0)


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 3), st.one_of(st.none(), st.integers(1, 200)), st.integers(1, 8),
                          st.booleans()), max_size=40))
def test_nobody_is_lost_or_served_twice(plan: list[tuple[int, int | None, int, bool]]) -> None:
    waiting, admitted, left = line(Costs()), [], []
    for level, within, rows, leaves in plan:
        one = job(within=within and within * MS, level=level, rows=rows)
        waiting.admit(one, 0)
        admitted.append(one)
        if leaves:
            assert waiting.leave(one) and not waiting.leave(one)
            left.append(one)
    served: list[Job] = []
    while waiting.count:
        rows, late = waiting.take(0, batch := [])
        assert batch and rows == sum(one.size for one in batch) <= 8 and not late
        assert all(a.order <= b.order for a, b in pairwise(batch))
        served += batch
    assert len(served) == len({id(one) for one in served}) == len(admitted) - len(left)
    assert waiting.nbytes == 0


def simulate(gaps: list[int], deadline: int, capacity: int = 8) -> tuple[int, int, int]:
    """(answered in time, answered late, refused) of arrivals at those gaps, on a clock that is only numbers."""
    waiting, now, free_at = line(capacity=capacity), 0, 0
    good = late = refused = 0
    arrivals = []
    for gap in gaps:
        now += gap
        arrivals.append(now)
    events = [(at, 0) for at in arrivals]
    heapq.heapify(events)
    while events:
        now, kind = heapq.heappop(events)
        if kind == 0:
            try:
                waiting.admit(job(now, deadline), now)
            except Busy:
                refused += 1
                continue
        if now >= free_at and waiting.count:
            rows, dropped = waiting.take(now, batch := [])
            refused += len(dropped)
            if rows:
                free_at = waiting.busy_until = now + waiting.costs.expect(rows)
                good += sum(free_at <= one.due for one in batch)
                late += sum(free_at > one.due for one in batch)
                heapq.heappush(events, (free_at, 1))
    return good, late, refused


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 4 * MS), min_size=1, max_size=200), st.integers(15, 100))
def test_who_is_admitted_is_answered_in_time_where_costs_are_exact(gaps: list[int], deadline_ms: int) -> None:
    good, late, refused = simulate(gaps, deadline_ms * MS)
    assert late == 0 and good + refused == len(gaps)


@pytest.mark.parametrize("load", [1.5, 3.0])
def test_overload_leaves_the_capacity_to_answers_in_time(load: float) -> None:
    batch_ns = learnt().expect(8)
    gap = int(batch_ns / 8 / load)
    good, late, _ = simulate([gap] * 4000, 20 * learnt().expect(1))
    assert late == 0
    assert good >= 0.9 * 4000 / load                      # nine tenths of what the capacity can answer


async def test_jobs_hold_real_futures_too() -> None:
    waiting = line()
    future = asyncio.get_running_loop().create_future()
    one = Job(lambda row: None, lambda row: None, 1, 0, (), future, born=0)
    waiting.admit(one, 0)
    future.cancel()
    assert waiting.take(0, batch := []) == (0, []) and batch == [] and waiting.count == 0
