"""Live changes of a map: atomic, newest first, ending by themselves, and there again after any kind of restart."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from aisle.models.route.assemble import assemble
from aisle.models.route.network import INF, with_topology
from aisle.models.route.router import Router
from aisle.runtime.errors import Failed, Invalid, TooLarge
from aisle.runtime.workloads import route_changes, route_live
from aisle.runtime.workloads.route_changes import Change
from aisle.runtime.workloads.route_live import LiveMap


def router(n: int = 5) -> Router:
    """A row of n nodes 100 m apart, both ways: edge 2i goes from i to i + 1, edge 2i + 1 back."""
    tail = np.repeat(np.arange(n - 1), 2) + np.tile([0, 1], n - 1)
    head = np.repeat(np.arange(n - 1), 2) + np.tile([1, 0], n - 1)
    full = np.full(len(tail), 1000)
    return Router(with_topology(assemble(np.arange(n) * 100.0, np.zeros(n), tail, head, full * 100, full,
                                         way=np.repeat(np.arange(n - 1), 2), frame="plane")))


def live(path: Path | None = None, ident: str = "a", n: int = 5) -> LiveMap:
    made = LiveMap(router(n), ident)
    if path:
        made.keep_in(path)
    return made


def cost(map_: LiveMap) -> int:
    """From the first node to the last."""
    return map_.now().cost(0, map_.router.network.nodes - 1)


def test_the_newest_change_of_an_edge_holds() -> None:
    map_ = live()
    assert cost(map_) == 400_000
    map_.update([Change("slow", "speed", 1.8, edges=(0,))])
    assert cost(map_) == 500_000
    map_.update([Change("shut", "close", edges=(0, 2))])
    assert cost(map_) == INF
    map_.update([Change("again", "open", edges=(0, 2))])
    assert cost(map_) == 400_000
    map_.update([], drop=["again", "shut"])
    assert cost(map_) == 500_000
    map_.update([], drop=["slow"])
    assert cost(map_) == 400_000 and map_.router.changes() == {}


def test_a_change_of_the_same_name_replaces_the_old_one() -> None:
    map_ = live()
    map_.update([Change("x", "close", edges=(0,))])
    map_.update([Change("x", "close", edges=(1,))])
    assert map_.closed().tolist() == [1] and list(map_.changes) == ["x"]


def test_ways_and_areas_name_edges() -> None:
    map_ = live()
    map_.update([Change("", "close", ways=(1, 3))])
    assert map_.closed().tolist() == [2, 3, 6, 7]
    map_.update([Change("", "open", area=((-1, 150), (-1, 160), (1, 160), (1, 150)))])
    assert map_.closed().tolist() == [6, 7]
    assert [c.name for c in map_.closers([2, 6, 7])] == ["change-1"]


@pytest.mark.parametrize(("change", "drop", "words"), [
    (Change("x", "close", edges=(0, 8)), [], "edge 8 is unknown: the map has the edges 0 to 7"),
    (Change("x", "close", ways=(0, 77)), [], "way 77 is unknown"),
    (Change("x", "close", area=((50, 50), (50, 60), (60, 60))), [], "touches no edge"),
    (Change("x", "close", area=((50, 50), (50, 60))), [], "three"),
    (Change("x", "close", edges=(0,)), ["nobody"], "no change is called 'nobody'"),
])
def test_an_update_with_a_fault_changes_nothing(tmp_path: Path, change: Change, drop: list[str], words: str) -> None:
    map_ = live(tmp_path / "m.changes")
    map_.update([Change("before", "close", edges=(1,))])
    with pytest.raises(Invalid, match=words):
        map_.update([Change("fine", "close", edges=(0,)), change], drop)
    assert map_.closed().tolist() == [1] and live(tmp_path / "m.changes").closed().tolist() == [1]


def test_changes_end_by_themselves() -> None:
    map_ = live()
    map_.update([Change("short", "close", edges=(0,), due_ns=time.monotonic_ns() + 50_000_000)])
    assert cost(map_) == INF
    time.sleep(0.06)
    assert cost(map_) == 400_000 and map_.changes == {}


def test_changes_are_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "state" / "m.changes"
    map_ = live(path)
    due = time.monotonic_ns() + 60_000_000_000
    map_.update([Change("shut", "close", edges=(0,)), Change("gone", "close", edges=(4,))])
    map_.update([Change("slow", "speed", 1.8, ways=(1,), due_ns=due)], drop=["gone"])
    again = live(path)
    assert again.changes == map_.changes and again.router.changes() == map_.router.changes()


def test_a_torn_tail_is_cut_and_written_over(tmp_path: Path) -> None:
    path = tmp_path / "m.changes"
    live(path).update([Change("one", "close", edges=(0,))])
    whole = path.read_bytes()
    live(path).update([Change("two", "close", edges=(2,))])
    torn = path.read_bytes()
    for cut in range(len(whole) + 1, len(torn)):
        path.write_bytes(torn[:cut])
        map_ = live(path)
        assert list(map_.changes) == ["one"], cut
    map_.update([Change("three", "close", edges=(4,))])
    assert list(live(path).changes) == ["one", "three"]


def test_a_damaged_line_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "m.changes"
    map_ = live(path)
    for edge in (0, 2, 4):
        map_.update([Change(f"c{edge}", "close", edges=(edge,))])
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1].replace(b"close", b"clOse") + lines[2])
    assert list(live(path).changes) == ["c0", "c4"]


def test_two_processes_see_each_other(tmp_path: Path) -> None:
    path = tmp_path / "m.changes"
    one, two = live(path), live(path)
    one.update([Change("a", "close", edges=(0,))])
    assert cost(two) == INF
    two.update([], drop=["a"])
    assert cost(one) == 400_000
    one.update([Change("b", "close", edges=(2,))])
    two.update([Change("c", "close", edges=(4,))])
    assert list(one.now() and one.changes) == list(two.changes) == ["b", "c"]


def test_the_file_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route_live, "COMPACT", 8)
    path = tmp_path / "m.changes"
    one, two = live(path), live(path)
    one.update([Change("stays", "close", edges=(0,))])
    for _ in range(60):
        one.update([Change("x", "close", edges=(2,))])
        two.update([], drop=["x"])
    assert len(path.read_bytes().splitlines()) < 20
    assert list(live(path).changes) == list(one.now() and one.changes) == ["stays"]


def test_another_boot_counts_on_from_what_was_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.changes"
    live(path).update([Change("long", "close", edges=(0,), due_ns=time.monotonic_ns() + 3600 * 10**9),
                       Change("short", "close", edges=(2,), due_ns=time.monotonic_ns() + 10 * 10**9),
                       Change("ever", "close", edges=(4,))])
    monkeypatch.setattr(route_changes, "boot_id", lambda: "another")
    later = time.time_ns() + 60 * 10**9
    monkeypatch.setattr(time, "time_ns", lambda: later)
    map_ = live(path)
    assert list(map_.changes) == ["long", "ever"]
    assert 3500 < (map_.changes["long"].due_ns - time.monotonic_ns()) / 1e9 < 3541
    monkeypatch.setattr(time, "time_ns", lambda: 0)      # a box that woke up in 1970 keeps the closures
    assert list(live(path).changes) == ["long", "short", "ever"]


def test_numbers_of_edges_do_not_outlive_their_map(tmp_path: Path) -> None:
    path = tmp_path / "m.changes"
    live(path).update([Change("edge", "close", edges=(0,)), Change("way", "close", ways=(2,))])
    assert list(live(path, ident="newer").changes) == ["way"]


def test_bounds_and_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    map_ = live(tmp_path / "m.changes")
    monkeypatch.setattr(route_live, "MAX_CHANGES", 2)
    map_.update([Change("a", "close", edges=(0,)), Change("b", "close", edges=(1,))])
    with pytest.raises(TooLarge, match="holds at most 2"):
        map_.update([Change("c", "close", edges=(2,))])
    with pytest.raises(Invalid, match="same name"):
        map_.update([Change("b", "open", edges=(0,)), Change("b", "close", edges=(1,))])

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(route_live.Lines, "append", full)
    with pytest.raises(Failed, match="No space left on device"):
        map_.update([], drop=["a"])
    assert map_.closed().tolist() == [0, 1]


def test_a_change_of_most_of_the_map_is_shared_by_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route_live, "SHARED", 10)
    seen: list[str] = []

    def spied(threads: int) -> object:
        run = route_live_shared_by(threads)
        return lambda jobs: run([lambda job=job: (seen.append(threading.current_thread().name), job()) for job in jobs])
    route_live_shared_by = route_live.shared_by
    monkeypatch.setattr(route_live, "shared_by", spied)
    alone, many = live(n=60), live(n=60)
    slow = [Change("slow", "speed", 1.8, edges=tuple(range(0, 118, 2)))]
    alone.update_all([(slow, ())])
    assert not seen
    many.update_all([(slow, ())], threads=3)
    assert seen and all(name.startswith("aisle-weights") for name in seen)
    assert cost(many) == cost(alone) == 59 * 200_000
