"""The pool's bound, and what an engine says of a role it has not."""

import asyncio
import threading

import pytest
from aisle.runtime.engine import Engine, Pool
from aisle.runtime.errors import Busy, Failed


async def test_the_pool_runs_off_the_loop_and_gives_the_result() -> None:
    pool = Pool(1)
    assert await pool.run(threading.get_ident) != threading.get_ident()
    pool.close()


async def test_the_pool_refuses_beyond_its_bound_and_recovers() -> None:
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


async def test_a_cancelled_caller_still_counts_until_the_work_ends() -> None:
    pool = Pool(1, max_waiting=0)
    gate = threading.Event()
    task = asyncio.create_task(pool.run(gate.wait, 5))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.set()
    for _ in range(100):
        if pool.active == 0:
            break
        await asyncio.sleep(0.01)
    assert pool.active == 0
    pool.close()


async def test_an_unbound_role_is_a_sentence() -> None:
    with pytest.raises(Failed, match="no model is bound to the role 'surface'"):
        await Engine(None, {}, Pool(1)).infer("surface", lambda row: None, lambda row: None)
