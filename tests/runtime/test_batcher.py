"""The queue in front of a session: order, bounds, deadlines, cancellation, one bad row alone, drain."""

import asyncio
import threading
import time
from typing import Any

import numpy as np
import pytest
from aisle.models.bundle import QueuePolicy, TensorSpec
from aisle.runtime.batcher import CALM, CHEAP_NS, DEAR, MOST_CALM, Batcher, Limits
from aisle.runtime.errors import Busy, Failed, Late
from aisle.runtime.shares import Member, Shares
from aisle.runtime.stats import Stats
from aisle.runtime.worker import Ran

SPEC = (TensorSpec("x", "float32", (2,)),)


class Doubling:
    """A static session of capacity 4 that doubles rows, waits at a gate and remembers its batches."""

    inputs = SPEC
    outputs = (TensorSpec("y", "float32", (2,)),)
    capacity = 4

    def __init__(self) -> None:
        self.x = np.zeros((4, 2), np.float32)
        self.y = np.zeros((4, 2), np.float32)
        self.gate = threading.Event()
        self.gate.set()
        self.batches: list[int] = []
        self.threads: set[int] = set()
        self.closed = False

    def row(self, i: int) -> dict[str, np.ndarray]:
        return {"x": self.x[i], "y": self.y[i]}

    def rows(self, i: int, n: int) -> dict[str, np.ndarray]:
        return {"x": self.x[i:i + n], "y": self.y[i:i + n]}

    def run(self, n: int) -> None:
        self.gate.wait(5)
        self.threads.add(threading.get_ident())
        self.batches.append(n)
        if (self.x[:n] == 13).any():
            raise RuntimeError("thirteen")
        self.y[:n] = 2 * self.x[:n]

    def close(self) -> None:
        self.closed = True


def put(value: float) -> Any:
    def fill(row: Any) -> None:
        row["x"][...] = value
    return fill


def get(row: Any) -> float:
    return float(row["y"].flat[0])


@pytest.fixture
async def made():
    session = Doubling()
    batcher = Batcher(session, "m", Stats(), limits=Limits(max_requests=8, max_bytes=1000))
    yield session, batcher
    session.gate.set()
    await batcher.drain()


async def blocked(session: Doubling, batcher: Batcher) -> asyncio.Task[Any]:
    """Close the gate and put one job behind it, so that everything after it waits in the queue."""
    session.gate.clear()
    task = asyncio.create_task(batcher.call(put(0), get))
    while batcher.waiting or not task:
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.01)
    return task


async def test_a_result_comes_back_and_one_thread_does_it_all(made) -> None:
    session, batcher = made
    assert await asyncio.gather(*(batcher.call(put(i), get) for i in range(8))) == [2 * i for i in range(8)]
    assert len(session.threads) == 1


async def test_waiting_jobs_form_batches_up_to_the_capacity(made) -> None:
    session, batcher = made
    first = await blocked(session, batcher)
    rest = [asyncio.create_task(batcher.call(put(i), get)) for i in range(6)]
    await asyncio.sleep(0.01)
    session.gate.set()
    await asyncio.gather(first, *rest)
    assert session.batches == [1, 4, 2]
    assert batcher.stats.execution_count == 3


async def test_a_request_of_several_rows_keeps_them_together(made) -> None:
    session, batcher = made
    first = await blocked(session, batcher)
    async def three() -> Any:
        return await batcher.call(lambda row: row["x"].__setitem__(..., [[1, 1], [2, 2], [3, 3]]),
                                  lambda row: row["y"].copy(), rows=3)
    tasks = [asyncio.create_task(three()) for _ in range(2)]
    await asyncio.sleep(0.01)
    session.gate.set()
    for result in await asyncio.gather(*tasks):
        assert result.tolist() == [[2, 2], [4, 4], [6, 6]]
    await first
    assert session.batches == [1, 3, 3]


async def test_one_bad_row_fails_alone_in_fill_and_in_run(made) -> None:
    session, batcher = made
    first = await blocked(session, batcher)
    def bad(row: Any) -> None:
        raise ValueError("bad picture")
    tasks = [asyncio.create_task(batcher.call(fill, get)) for fill in (put(1), bad, put(13), put(2))]
    await asyncio.sleep(0.01)
    session.gate.set()
    one, two, three, four = await asyncio.gather(*tasks, return_exceptions=True)
    await first
    assert (one, four) == (2.0, 4.0)
    assert isinstance(two, ValueError)
    assert isinstance(three, Failed) and "thirteen" in str(three)


async def test_a_full_queue_says_busy_at_once_with_its_limit(made) -> None:
    session, batcher = made
    first = await blocked(session, batcher)
    jobs = [batcher.submit(put(1), get) for _ in range(8)]
    with pytest.raises(Busy, match="maximum queue size: 8 "):
        batcher.submit(put(1), get)
    session.gate.set()
    await asyncio.gather(first, *(job.future for job in jobs))


async def test_the_queue_is_bounded_in_bytes_too(made) -> None:
    session, batcher = made
    first = await blocked(session, batcher)
    big = batcher.submit(put(1), get, nbytes=5000)     # alone it is let in: it could never be served otherwise
    with pytest.raises(Busy, match="MiB"):
        batcher.submit(put(1), get, nbytes=10)
    session.gate.set()
    await asyncio.gather(first, big.future)


async def test_priority_goes_first_then_arrival(made) -> None:
    session, batcher = made
    session.capacity = batcher.capacity = 1
    first = await blocked(session, batcher)
    order: list[str] = []
    def note(name: str) -> Any:
        return lambda row: order.append(name)
    jobs = [batcher.submit(put(0), note(name), priority=p) for name, p in
            (("a", 0), ("b", 2), ("c", 1), ("d", 0), ("e", 1))]
    session.gate.set()
    await asyncio.gather(first, *(job.future for job in jobs))
    assert order == ["c", "e", "b", "a", "d"]


async def test_a_deadline_fires_while_a_batch_runs_and_frees_the_place(made) -> None:
    session, batcher = made
    first = await blocked(session, batcher)
    job = batcher.submit(put(1), get, timeout_us=20_000)
    start = time.monotonic()
    with pytest.raises(Late, match="20000 us"):
        await asyncio.wait_for(job.future, 4)
    assert not session.gate.is_set() and time.monotonic() - start < 4      # the batch before it is still running
    assert batcher.waiting == 0
    session.gate.set()
    await first
    assert session.batches == [1]


async def test_a_cancelled_caller_is_dropped_before_fill(made) -> None:
    session, batcher = made
    first = await blocked(session, batcher)
    filled: list[int] = []
    task = asyncio.create_task(batcher.call(lambda row: filled.append(1), get, nbytes=7))
    await asyncio.sleep(0.01)
    assert (batcher.waiting, batcher.waiting_bytes) == (1, 7)
    task.cancel()
    await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (batcher.waiting, batcher.waiting_bytes) == (0, 0)
    session.gate.set()
    await first
    await asyncio.sleep(0.02)
    assert filled == []


async def test_forgotten_jobs_do_not_pile_up_behind_a_slow_run(made) -> None:
    session, batcher = made
    first = await blocked(session, batcher)
    for _ in range(1000):
        batcher.forget(batcher.submit(put(1), get))
    assert len(batcher.line._heap) < 200
    session.gate.set()
    await first


async def test_drain_answers_the_queue_and_refuses_the_rest() -> None:
    session = Doubling()
    batcher = Batcher(session, "m", Stats())
    first = await blocked(session, batcher)
    waiting = [asyncio.create_task(batcher.call(put(i), get)) for i in range(3)]
    await asyncio.sleep(0.01)
    drained = asyncio.create_task(batcher.drain())
    await asyncio.sleep(0.01)
    with pytest.raises(Busy, match="unloaded"):
        batcher.submit(put(1), get)
    session.gate.set()
    await drained
    assert await asyncio.gather(first, *waiting) == [0, 0, 2, 4]
    assert session.closed


async def test_the_policy_decides_about_timeouts_and_priorities() -> None:
    policy = QueuePolicy(default_timeout_us=1000, allow_timeout_override=True, priority_levels=3, default_priority=2)
    batcher = Batcher(Doubling(), "m", Stats(), policy=policy)
    assert [batcher._timeout(us) for us in (0, 500, 5000)] == [1000, 500, 1000]
    assert [batcher._level(p) for p in (0, 1, 3, 9)] == [2, 1, 3, 2]
    await batcher.drain()
    batcher = Batcher(Doubling(), "m", Stats(), policy=QueuePolicy(default_timeout_us=7, allow_timeout_override=False))
    assert batcher._timeout(3) == 7
    await batcher.drain()
    batcher = Batcher(Doubling(), "m", Stats(), policy=QueuePolicy(default_timeout_us=7, timeout_action="DELAY"))
    assert batcher._timeout(3) == 0
    await batcher.drain()


async def test_wait_us_gathers_a_batch_for_a_lone_first_request() -> None:
    session = Doubling()
    batcher = Batcher(session, "m", Stats(), policy=QueuePolicy(wait_us=2_000_000))
    tasks = []
    for i in range(4):
        tasks.append(asyncio.create_task(batcher.call(put(i), get)))
        await asyncio.sleep(0.01)
    assert await asyncio.gather(*tasks) == [0, 2, 4, 6]
    assert session.batches == [4]
    await batcher.drain()


def one_run(own: int, rows: int = 1, jobs: int = 1) -> Ran:
    return Ran(rows, 0, 0, own, 0, False, jobs)


async def test_a_cheap_model_stays_cheap_over_single_dear_rounds_and_not_over_many(made) -> None:
    _, batcher = made
    batcher._calm = 0
    for _ in range(CALM):
        batcher._count(one_run(CHEAP_NS // 2))
    assert batcher._calm == CALM
    for _ in range(MOST_CALM):
        batcher._count(one_run(CHEAP_NS // 2))
    batcher._count(one_run(50 * CHEAP_NS))
    assert CALM <= batcher._calm == MOST_CALM - DEAR, "another process may have had the core"
    for _ in range(2):
        batcher._count(one_run(50 * CHEAP_NS))
    assert batcher._calm < CALM, "three dear rounds in a row are the model's own"


async def test_a_full_batch_does_not_make_a_cheap_model_dear(made) -> None:
    _, batcher = made
    for _ in range(CALM):
        batcher._count(one_run(CHEAP_NS // 2))
    batcher._calm = 0
    for _ in range(CALM):
        batcher._count(one_run(2 * CHEAP_NS, rows=4, jobs=4))
    assert batcher._calm == CALM, "each of the four alone is cheap, as earlier runs said"
    batcher._count(one_run(2 * CHEAP_NS, rows=4, jobs=1))
    assert batcher._calm == CALM - DEAR, "one request of four rows is dear"


async def test_how_long_a_run_may_take_decides_for_a_caller_that_says_so(made) -> None:
    _, batcher = made
    assert not batcher.ready_within(10**9), "nothing is known of it"
    assert await batcher.call(put(1), get) == 2
    for _ in range(20):
        batcher._count(one_run(2 * CHEAP_NS))
    async with asyncio.timeout(10):
        while not batcher.ready_within(2 * CHEAP_NS // 1000 + 100):
            await asyncio.sleep(0.001)
    assert not batcher.ready_within(CHEAP_NS // 1000) and not batcher.ready_now


async def until_ready(batcher: Batcher) -> None:
    async with asyncio.timeout(10):
        while not batcher.ready_now:
            await asyncio.sleep(0.001)


class Cheap(Doubling):
    """Computes for 0.3 ms on the device, and counts how long that really took."""

    def __init__(self) -> None:
        super().__init__()
        self.threads, self.spent = 1, 0      # type: ignore[assignment]

    def run(self, n: int) -> None:
        start = time.perf_counter_ns()
        self.y[:n] = 2 * self.x[:n]
        while time.perf_counter_ns() < start + 300_000:
            pass
        self.spent += time.perf_counter_ns() - start


async def test_a_cheap_model_rests_too_while_the_device_is_hot() -> None:
    """Whatever the machine does meanwhile, the runs take no more than the share of the time that they may have."""
    session, shares = Cheap(), Shares(2)
    batcher = Batcher(session, "m", Stats(), shares=shares)
    batcher._calm = MOST_CALM
    await until_ready(batcher)
    shares.duty = 0.2
    assert not batcher.ready_now, "the short way knows no turns"
    begun = time.perf_counter_ns()
    for _ in range(40):
        assert await batcher.call(put(1), get) == 2
        batcher._calm = MOST_CALM
    last = session.spent / 40
    assert session.spent - 5 * last <= 0.2 * (time.perf_counter_ns() - begun)
    shares.duty = 1.0
    await until_ready(batcher)
    await batcher.drain()


async def test_a_model_that_uses_no_device_is_not_held_back(made) -> None:
    _, batcher = made
    batcher._calm, batcher._shares, batcher.member = MOST_CALM, Shares(1), Member("m", 0)
    batcher._shares.duty = 0.5
    await until_ready(batcher)
