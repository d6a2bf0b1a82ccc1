"""The bench of routes: its city is a city, its judge finds a planted fault, and it runs without peers."""

import numpy as np
import pytest
from aisle.bench.cities import city, pairs
from aisle.bench.report import Options
from aisle.bench.routes import exact, indoors, peers, roads
from aisle.bench.routes.maps import with_questions
from aisle.bench.routes.peers import Peers
from aisle.kernels.distance_field import FREE
from aisle.kernels.shortest_path import reference
from aisle.models.route.prune import strongest


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
