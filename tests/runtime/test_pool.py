"""The pool: off the loop, bounded, earliest deadline first, hopeless work refused."""

import asyncio
import threading
import time

import pytest
from aisle.runtime.costs import ENOUGH
from aisle.runtime.deadline import within
from aisle.runtime.errors import Busy, Late
from aisle.runtime.pool import Pool


@pytest.fixture
def pool():
    made = Pool(1, max_waiting=8)
    yield made
    made.close()


async def test_it_runs_off_the_loop_and_gives_result_or_error(pool: Pool) -> None:
    assert await pool.run(threading.get_ident) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        await pool.run(divmod, 1, 0)
    assert pool.active == 0


async def test_it_refuses_beyond_its_bound_and_recovers() -> None:
    pool = Pool(1, max_waiting=1)
    gate = threading.Event()
    tasks = [asyncio.create_task(pool.run(gate.wait, 5)) for _ in range(2)]
    await asyncio.sleep(0.01)
    with pytest.raises(Busy, match="limit is 2"):
        await pool.run(int)
    gate.set()
    await asyncio.gather(*tasks)
    assert await pool.run(int) == 0 and pool.active == 0
    pool.close()


async def test_a_cancelled_caller_frees_a_waiting_place_at_once_and_a_running_one_when_it_ends(pool: Pool) -> None:
    gate = threading.Event()
    running, waiting = (asyncio.create_task(pool.run(gate.wait, 5)) for _ in range(2))
    await asyncio.sleep(0.01)
    waiting.cancel()
    running.cancel()
    await asyncio.gather(running, waiting, return_exceptions=True)
    assert pool.active == 1
    gate.set()
    while pool.active:
        await asyncio.sleep(0.01)
    assert await pool.run(int) == 0


async def test_the_earliest_deadline_goes_first(pool: Pool) -> None:
    gate, order = threading.Event(), []
    first = asyncio.create_task(pool.run(gate.wait, 5))
    await asyncio.sleep(0.01)

    async def ask(name: str, us: int) -> None:
        with within(us):
            await pool.run(order.append, name)
    rest = [asyncio.create_task(ask(name, us)) for name, us in (("none", 0), ("long", 900_000), ("short", 300_000))]
    await asyncio.sleep(0.01)
    gate.set()
    await asyncio.gather(first, *rest)
    assert order == ["short", "long", "none"]


async def test_a_deadline_that_passes_in_the_queue_is_answered_while_the_thread_is_busy(pool: Pool) -> None:
    gate = threading.Event()
    first = asyncio.create_task(pool.run(gate.wait, 5))
    await asyncio.sleep(0.01)
    with within(20_000), pytest.raises(Late, match="deadline passed"):
        await pool.run(int)
    assert pool.active == 1
    gate.set()
    await first


async def test_what_cannot_be_met_is_refused_without_waiting(pool: Pool) -> None:
    def nap() -> None:
        time.sleep(0.03)
    for _ in range(ENOUGH):
        await pool.run(nap)
    busy = asyncio.create_task(pool.run(nap))
    await asyncio.sleep(0.001)
    with within(10_000), pytest.raises(Busy, match=r"cannot be met: about .* ms of waiting"):
        await pool.run(nap)
    with within(5_000_000):
        await pool.run(nap)
    await busy


async def test_closing_drops_what_waits_and_lets_running_work_end() -> None:
    pool = Pool(1)
    gate, ended = threading.Event(), []
    running = asyncio.create_task(pool.run(lambda: (gate.wait(5), ended.append(1))))
    await asyncio.sleep(0.01)
    waiting = asyncio.create_task(pool.run(int))
    await asyncio.sleep(0.01)
    pool.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gate.set()
    await running
    assert ended == [1]
    with pytest.raises(Busy, match="shutting down"):
        await pool.run(int)
