"""The bench of routes: its city is a city, its judge finds a planted fault, and it runs without peers."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from aisle.bench.cities import city, pairs
from aisle.bench.report import Options
from aisle.bench.routes import engines, exact, indoors, peers, roads, steady
from aisle.bench.routes.maps import with_questions
from aisle.bench.routes.peers import Peers
from aisle.kernels.distance_field import FREE
from aisle.kernels.shortest_path import reference
from aisle.models.route.assemble import assemble
from aisle.models.route.network import with_topology
from aisle.models.route.prune import strongest
from aisle.models.route.router import Router
from aisle.runtime.codec.route_told import packed
from aisle.runtime.workloads.route_asks import FoundPairs


@pytest.fixture(scope="module")
def town() -> dict:
    return with_questions(city(3000), 4, 100)


def test_the_city_is_whole_and_mostly_bends(town: dict) -> None:
    degree = np.bincount(town["tail"])
    assert 1500 < len(degree) < 4000 and 0.55 < (degree == 2).mean() < 0.8 and degree.min() >= 1
    assert strongest(len(degree), town["tail"], town["head"]).all()
    away = pairs(town, 50, near=True)
    length = np.hypot(*(town[k][away[:, 0]] - town[k][away[:, 1]] for k in "xy"))
    assert (length >= 500).all() and (length <= 5000).all()


def test_exactness_is_judged(town: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    good = exact.compare("exact town", town, None)
    assert good.met and good.value == 0 and "800 queries" in good.note

    class Off(reference.Engine):
        def matrix(self, sources: np.ndarray, targets: np.ndarray, out: np.ndarray) -> None:
            super().matrix(sources, targets, out)
            out[0, 0] += 1
    monkeypatch.setattr(exact.reference, "Engine", Off)
    assert exact.compare("exact town", town, None).met is False


def test_roads_and_floors_are_measured_without_peers(town: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = list(roads.measure("roads town", town, Peers(None, "none here"), Options(quick=True), goals=True))
    assert {"distance p50", "path p50", "customise all weights", "table 100 x 100"} <= {row.metric for row in rows}
    assert all(row.value > 0 for row in rows) and any(row.note == "none here" for row in rows)
    monkeypatch.setattr(peers, "prepare", lambda quick: "none here")
    cells = indoors.warehouse(20, 60)
    assert (cells == FREE).sum() > 300
    rows = list(indoors.measure("indoors town", cells, Options(quick=True)))
    assert "agree" in next(row.note for row in rows if "hierarchy" in row.metric)
    assert next(row.met for row in rows if "closed" in row.metric) is True


@pytest.mark.parametrize(("number", "limit"), [("12.5", 0.0505), ("1003.63", 0.00505), ("3.14159265", 0.001), ("7", 0.505)])
def test_a_published_number_is_as_exact_as_it_was_printed(number: str, limit: float) -> None:
    assert exact.printed(number) == pytest.approx(limit)


class FakeWay:
    """Answers at once; closes an edge only when it is told the second time, if it is `stale`."""

    def __init__(self, network: object, stale: bool) -> None:
        self.router, self.stale, self.late = Router(network), stale, list[int]()

    async def batch(self, rows: np.ndarray) -> tuple:
        found = self.router.ways(rows.astype(np.int32))
        return found.version, found.costs_ms, found.edges

    async def close_edge(self, name: str, edge: int) -> int:
        self.late.append(edge)
        return self.router.close(self.late[:-1] if self.stale else self.late)


@pytest.mark.parametrize("stale", [False, True])
async def test_a_stale_answer_is_seen(town: dict, stale: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steady, "QUERIES", 400)
    network = with_topology(assemble(town["x"], town["y"], town["tail"], town["head"], town["weights"], town["weights"],
                                     frame="plane"))
    way = FakeWay(network, stale)
    seen = await steady.steady([way] * 3, network, town["random"], 0.3)
    assert len(seen.queries) == 6 and len(seen.updates) == len(seen.closed) == 30 and not seen.failed
    assert (seen.stale > 20) if stale else seen.stale == 0


def test_ways_over_the_wire_are_read_as_they_are_sent() -> None:
    """The client of the load reads what the codec packs."""
    found = FoundPairs(np.array([5, 7], np.uint32), np.array([0, 1, 3], np.int32), np.array([4, 9, 8], np.int32), 12)
    body = packed(found)

    async def told() -> tuple:
        reader = asyncio.StreamReader()
        reader.feed_data(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        return await steady.Http(reader, Sink()).batch(np.zeros((2, 2)))
    version, costs, edges = asyncio.run(told())
    assert version == 12 and costs.tolist() == [5, 7] and edges.tolist() == [4, 9, 8]


class Sink:
    """Takes what is written."""

    def write(self, data: bytes) -> None:
        assert data.startswith(b"POST /v1/routes?pairs=nodes HTTP/1.1")


def test_engines_say_why_they_cannot_be_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(engines, "FOLDER", tmp_path / "none")
    monkeypatch.setattr(engines, "newer", lambda: None)
    assert "makes it" in engines.prepare(quick=True) and "no Python 3.12 or later here" in engines.prepare(quick=False)
    rows = list(engines.run(Options(data=tmp_path, quick=True)))
    assert [row.note for row in rows] == ["no *.osm.pbf in the data folder"]
