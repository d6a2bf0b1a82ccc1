"""Who goes next: deadlines in order, reserved shares kept, nobody starved. On a simulated clock."""

from dataclasses import dataclass

import pytest
from aisle.runtime.pool_line import MOST, PoolLine, asked_job, asking, parse_reserve
from hypothesis import given, settings
from hypothesis import strategies as st

MS = 1_000_000


@dataclass
class Call:
    job: str
    due: int
    cost: int
    taken: bool = False


def drain(line: PoolLine, now: int = 0) -> list[Call]:
    found = []
    while (entry := line.take(now)) is not None:
        found.append(entry)
    return found


def test_without_shares_the_earliest_goes_first_and_equal_ones_in_their_order() -> None:
    line = PoolLine(2)
    calls = [Call("a", due, 1) for due in (5, 3, 9, 3)]
    for call in calls:
        line.add(call, call.due)
    calls[2].taken = True
    assert [id(c) for c in drain(line)] == [id(calls[i]) for i in (1, 3, 0)]


def test_a_job_that_had_less_than_its_share_goes_before_and_then_waits_its_turn() -> None:
    line = PoolLine(1, {"routes": 0.3})
    for i in range(3):
        line.add(Call("inspect", 10, MS), 10 + i)
        line.add(Call("routes", 100, MS), 100 + i)
    first = line.take(0)
    assert first is not None and first.job == "routes"
    line.spent("routes", 500 * MS, 0)                      # half of the last second: over its share
    assert [line.take(0).job for _ in range(3)] == ["inspect"] * 3
    assert line.short("routes", 0) is False and line.short("routes", 1000 * MS), "what it used fades"


def test_what_is_ahead_is_what_would_go_before() -> None:
    line = PoolLine(1, {"routes": 0.3})
    for order in (10, 20, 30):
        line.add(Call("inspect", order, 5), order)
    line.add(Call("routes", 40, 7), 40)
    assert line.ahead("inspect", 20, 0) == 5 + 5 + 7, "two of its own and the job that is short"
    assert line.ahead("routes", 50, 0) == 7 and line.ahead("routes", 30, 0) == 0
    line.spent("routes", 900 * MS, 0)
    assert line.ahead("routes", 25, 0) == 10 and line.ahead("inspect", 25, 0) == 10


def test_clearing_tells_what_waited() -> None:
    line = PoolLine(1, {"routes": 0.3})
    calls = [Call(job, 1, 1) for job in ("routes", "other", "routes")]
    for call in calls:
        line.add(call, 1)
    calls[0].taken = True
    assert {id(c) for c in line.clear()} == {id(calls[1]), id(calls[2])} and line.take(0) is None


@pytest.mark.parametrize(("texts", "says"), [
    (("routes",), "JOB=SHARE"), (("fly=0.2",), "the jobs are"), (("routes=2",), "at most"), (("routes=nan",), "expected"),
    (("routes=0",), "above 0"), (("routes=0.2", "routes=0.2"), "each job once"), (("routes=0.6", "inspect=0.6"), "add up")])
def test_wrong_shares_are_refused(texts: tuple[str, ...], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_reserve(texts, ("routes", "inspect"))


def test_right_shares_are_read() -> None:
    assert parse_reserve(("routes=0.3", "inspect=0.25"), ("inspect", "routes")) == {"routes": 0.3, "inspect": 0.25}


def test_the_job_travels_with_the_task() -> None:
    assert asked_job() == ""
    with asking("routes"):
        assert asked_job() == "routes"
        with asking("inspect"):
            assert asked_job() == "inspect"
        assert asked_job() == "routes"
    assert asked_job() == ""


@settings(deadline=None, max_examples=60)
@given(st.floats(0.05, MOST), st.integers(1, 20), st.integers(1, 20))
def test_a_saturated_pool_gives_a_job_its_share_and_the_others_the_rest(share: float, own_ms: int, other_ms: int) -> None:
    """Both always have work, and the other job's is always due earlier: the share alone lets this one in."""
    line, now, used = PoolLine(1, {"kept": share}), 0, {"kept": 0, "other": 0}
    line.add(Call("kept", 10**15, own_ms * MS), 10**15)
    line.add(Call("other", 0, other_ms * MS), 0)
    while now < 12_000 * MS:
        call = line.take(now)
        assert call is not None
        now += call.cost
        line.spent(call.job, call.cost, now)
        line.add(Call(call.job, call.due, call.cost), call.due)
        if now > 6_000 * MS:                               # it begins with nothing used and may catch up
            used[call.job] += call.cost
    found = used["kept"] / sum(used.values())
    assert found == pytest.approx(share, abs=0.05) and used["other"] > 0
