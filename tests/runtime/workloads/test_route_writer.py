"""Updates that come together are written together, each with its own outcome."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aisle.models.make import blocks_map
from aisle.models.route.router import Router
from aisle.runtime.errors import AisleError, Busy, Failed, Invalid
from aisle.runtime.workloads import route_live, route_writer
from aisle.runtime.workloads.route_asks import AskUpdate, FoundChanges
from aisle.runtime.workloads.route_changes import Change
from aisle.runtime.workloads.route_live import LiveMap
from aisle.runtime.workloads.route_writer import Writer


@pytest.fixture
def live(tmp_path: Path) -> LiveMap:
    made = LiveMap(Router(blocks_map.blocks(4, 4)), "a")
    made.keep_in(tmp_path / "m.changes")
    return made


def shut(name: str, edge: int) -> AskUpdate:
    return AskUpdate((Change(name, "close", edges=(edge,)),))


async def gathered(writer: Writer, asks: list[AskUpdate]) -> list[FoundChanges | AisleError]:
    return await asyncio.gather(*(writer.update(ask) for ask in asks), return_exceptions=True)  # type: ignore[return-value]


async def test_a_group_costs_few_flushes_and_faults_stay_alone(live: LiveMap, monkeypatch: pytest.MonkeyPatch) -> None:
    flushes = []
    append = route_live.Lines.append
    monkeypatch.setattr(route_live.Lines, "append", lambda self, records: (flushes.append(len(records)), append(self, records)))
    asks = [shut(f"c{i}", i) for i in range(30)]
    asks[7] = shut("wrong", 999)
    asks.append(AskUpdate((), ("c3",)))
    got = await gathered(Writer(live), asks)
    assert isinstance(got[7], Invalid) and "edge 999 is unknown" in got[7].sentence
    assert sum(isinstance(g, FoundChanges) for g in got) == 30 and sum(flushes) == 30 and len(flushes) < 5
    assert live.closed().tolist() == [i for i in range(30) if i not in (3, 7)]
    again = LiveMap(Router(blocks_map.blocks(4, 4)), "a")
    again.keep_in(live._lines.path)
    assert again.changes == live.changes and again.closed().tolist() == live.closed().tolist()


async def test_a_full_disk_undoes_the_whole_group(live: LiveMap, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Writer(live)
    await writer.update(shut("before", 0))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")
    with monkeypatch.context() as broken:
        broken.setattr(route_live.Lines, "append", full)
        got = await gathered(writer, [shut("one", 1), shut("before", 2), shut("x", 999)])
    assert [type(g) for g in got] == [Failed, Failed, Invalid]
    assert live.closed().tolist() == [0] and list(live.changes) == ["before"]
    await writer.update(shut("after", 3))
    assert live.closed().tolist() == [0, 3]


async def test_too_many_are_refused_at_once(live: LiveMap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route_writer, "MAX_WAITING", 2)
    got = await gathered(Writer(live), [shut(f"c{i}", i) for i in range(4)])
    assert [type(g) for g in got] == [FoundChanges, FoundChanges, Busy, Busy]
