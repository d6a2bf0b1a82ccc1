"""A deadline travels with its request and with nobody else's."""

import asyncio
import time

import pytest
from aisle.runtime.deadline import due_ns, left_us, parse_ms, within
from aisle.runtime.errors import Invalid


def test_milliseconds_are_read() -> None:
    assert parse_ms("20") == 20_000 and parse_ms("12.5") == 12_500 and parse_ms("1e-9") == 1


@pytest.mark.parametrize("text", ["", "soon", "-1", "0", "nan", "inf", "3600001", "1e400"])
def test_anything_else_is_a_sentence(text: str) -> None:
    with pytest.raises(Invalid, match="expected milliseconds from now"):
        parse_ms(text)


async def test_each_task_has_its_own() -> None:
    async def one(us: int) -> int:
        with within(us):
            await asyncio.sleep(0.01)
            return due_ns() - time.perf_counter_ns()
    long, short, none = await asyncio.gather(one(60_000_000), one(1_000_000), one(0))
    assert 50e9 < long < 60e9 and 0 < short < 1e9 and none < 0
    assert due_ns() == 0 and left_us() == 0


def test_a_deadline_that_passed_leaves_the_least() -> None:
    with within(1):
        time.sleep(0.001)
        assert left_us() == 1
