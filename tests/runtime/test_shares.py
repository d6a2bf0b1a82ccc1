"""Turns on a device: by weight, background last, no more threads than there are, nothing stuck behind a hang."""

from __future__ import annotations

import threading
import time

import pytest
from aisle.runtime.shares import HOLD_S, Member, Shares


def compete(shares: Shares, members: list[Member], seconds: float, turn_s: float = 0.002) -> dict[str, float]:
    """Each member takes turns as fast as it can; seconds that each had."""
    had = {member.name: 0.0 for member in members}
    end = time.monotonic() + seconds

    def run(member: Member) -> None:
        while time.monotonic() < end:
            turn = shares.take(member)
            begin = time.monotonic()
            time.sleep(turn_s)
            had[member.name] += time.monotonic() - begin
            shares.give_back(turn, again=True)
    threads = [threading.Thread(target=run, args=(member,)) for member in members]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return had


def test_time_goes_by_weight() -> None:
    had = compete(Shares(2), [Member("light", 2, 1), Member("heavy", 2, 3)], 1.0)
    assert had["heavy"] / had["light"] == pytest.approx(3, rel=0.25)


def test_the_background_gets_only_spare_time() -> None:
    shares = Shares(1)
    # Two in front always leave one waiting: there is no spare time at all, but for the very first turn.
    had = compete(shares, [Member("a", 1), Member("b", 1), Member("shadow", 1, 1000, background=True)], 0.5)
    assert had["shadow"] <= 0.05 * (had["a"] + had["b"])
    assert compete(shares, [Member("shadow", 1, background=True)], 0.1)["shadow"] > 0.05


def test_no_more_threads_run_than_there_are() -> None:
    shares, running, most, lock = Shares(4), 0, 0, threading.Lock()

    def run(member: Member) -> None:
        nonlocal running, most
        for _ in range(50):
            turn = shares.take(member)
            with lock:
                running += member.threads
                most = max(most, running)
            time.sleep(0.0005)
            with lock:
                running -= member.threads
            shares.give_back(turn)
    threads = [threading.Thread(target=run, args=(Member(str(n), n),)) for n in (1, 2, 3, 1, 4, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most <= 4 and running == 0


def test_who_asks_for_more_threads_than_there_are_gets_all() -> None:
    shares = Shares(2)
    turn = shares.take(Member("wide", 16))
    shares.give_back(turn)
    shares.give_back(turn)                            # a second time changes nothing
    turn = shares.take(Member("wide", 16))
    assert turn.called.is_set()


def test_a_hanging_member_is_dropped_and_the_others_go_on() -> None:
    shares, stuck = Shares(1), Member("stuck", 1)
    turn = shares.take(stuck)
    went_on = threading.Event()
    other = threading.Thread(target=lambda: (shares.take(Member("other", 1)), went_on.set()))
    other.start()
    assert not went_on.wait(0.05)
    shares.drop(stuck)
    assert went_on.wait(5)
    shares.give_back(turn)                            # the hanging thread comes back at last: its turn is long over
    other.join()


def test_who_was_idle_has_saved_nothing_up() -> None:
    shares, busy, late = Shares(1), Member("busy", 1), Member("late", 1)
    for _ in range(20):
        turn = shares.take(busy)
        time.sleep(0.001)
        shares.give_back(turn)
    turn = shares.take(late)
    shares.give_back(turn)
    assert late.used >= 15e6                          # it starts where the others are, about 20 ms in


def test_a_rest_shorter_than_a_hold_is_not_waited_for_as_long(monkeypatch) -> None:
    shares, clock = Shares(1), [100.0]
    monkeypatch.setattr("aisle.runtime.shares.time.monotonic", lambda: clock[0])
    assert shares._patience == HOLD_S
    shares._rests = 100.0 + HOLD_S / 8
    assert abs(shares._patience - HOLD_S / 8) < 1e-9
    shares._rests = 200.0
    assert shares._patience == HOLD_S, "a rest may be cut short"
