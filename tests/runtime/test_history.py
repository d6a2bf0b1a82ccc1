"""The history keeps the newest and nothing beyond its bounds."""

from __future__ import annotations

from aisle.runtime.history import Entry, History
from hypothesis import given
from hypothesis import strategies as st


def test_newest_first_and_no_more_than_asked():
    history = History()
    for n in range(5):
        history.add("a", Entry({"n": n}))
    assert [e.verdict["n"] for e in history.recent("a", 3)] == [4, 3, 2]
    assert history.recent("b", 3) == []


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 60)), max_size=200))
def test_bounds_hold_whatever_arrives(arrivals):
    history = History(per_station=7, max_bytes=100, stations=3)
    for n, (station, size) in enumerate(arrivals):
        history.add(station, Entry({"n": n}, bytes(size)))
    kept = {name: history.recent(name, 1000) for name in "abcd"}
    assert sum(bool(entries) for entries in kept.values()) <= 3
    for entries in kept.values():
        assert len(entries) <= 7 and sum(len(e.thumbnail) for e in entries) <= 100
        assert [e.verdict["n"] for e in entries] == sorted((e.verdict["n"] for e in entries), reverse=True)
    if arrivals:
        assert kept[arrivals[-1][0]][0].verdict["n"] == len(arrivals) - 1


def test_a_thumbnail_larger_than_the_bound_is_not_kept():
    history = History(max_bytes=10)
    history.add("a", Entry({}, bytes(11)))
    assert history.recent("a", 5) == []
