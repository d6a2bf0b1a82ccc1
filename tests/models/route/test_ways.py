"""Many ways and tables in one go are what each question alone finds, metres and turns included."""

import numpy as np
import pytest
from aisle.kernels.shortest_path import INF, grid
from aisle.models.route import Network, Router
from aisle.models.route.assemble import assemble
from aisle.models.route.network import with_topology
from aisle.models.route.tables import BLOCK
from hypothesis import given, settings
from hypothesis import strategies as st


def town(seed: int) -> Router:
    """Streets with closures, one-ways and forbidden turns, lengths that are no costs."""
    rng = np.random.default_rng(seed)
    case = grid(rng, 7, 8)
    keep = rng.random(len(case["tail"])) > 0.15
    tail, head, cost = (case[k][keep] for k in ("tail", "head", "weights"))
    follow = [(e, f) for e in range(len(tail)) for f in np.flatnonzero(tail == head[e]).tolist()]
    forbidden = {follow[i] for i in rng.integers(0, len(follow), 20)}
    network: Network = assemble(case["x"] * 100, case["y"] * 100, tail, head, cost, rng.integers(500, 3000, len(tail)),
                                frame="plane", forbidden=forbidden)
    router = Router(with_topology(network))
    router.close(rng.integers(0, len(tail), 5).tolist())
    return router


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_many_nodes_are_as_each(seed: int) -> None:
    router, rng = town(seed), np.random.default_rng(seed + 1)
    rows = rng.integers(-2, 58, (90, 2), dtype=np.int32)
    found, bare = router.ways(rows), router.ways(rows, paths=False)
    assert (found.costs_ms == bare.costs_ms).all() and not len(bare.edges) and found.version == router.version == 1
    for i, (a, b) in enumerate(rows.tolist()):
        edges = found.edges[found.first[i]:found.first[i + 1]]
        if not (0 <= a < 56 and 0 <= b < 56):
            assert found.costs_ms[i] == INF and not len(edges)
            continue
        alone = router.route(a, b)
        assert found.costs_ms[i] == (INF if alone is None else alone.cost_ms) == router.cost(a, b)
        assert alone is None or edges.tolist() == alone.edges.tolist()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_many_places_are_as_each(seed: int) -> None:
    router, rng = town(seed), np.random.default_rng(seed + 1)
    rows = rng.uniform(-50, 800, (60, 4))
    rows[:20, 2:] = rows[:20, :2] + rng.uniform(-15, 15, (20, 2))      # near: some on one edge
    rows[3, 0], rows[4, 2:], rows[5, 1] = np.nan, 1e7, np.inf
    found, bare = router.ways(rows, 60.0), router.ways(rows, 60.0, paths=False)
    assert (found.costs_ms == bare.costs_ms).all() and not len(bare.edges)
    for i, row in enumerate(rows.tolist()):
        snaps = [router.nearest(*row[k:k + 2], 60.0) if np.isfinite(row[k:k + 2]).all() else None for k in (0, 2)]
        alone = None if None in snaps else router.route(*snaps)
        edges = found.edges[found.first[i]:found.first[i + 1]]
        assert found.costs_ms[i] == (INF if alone is None else alone.cost_ms)
        assert edges.tolist() == ([] if alone is None else alone.edges.tolist())


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_tables_of_metres_are_those_of_the_ways(seed: int) -> None:
    router, rng = town(seed), np.random.default_rng(seed + 1)
    places = [int(v) for v in rng.integers(0, 56, 8)] + [router.nearest(*rng.uniform(0, 700, 2)) for _ in range(8)]
    near = router.nearest(places[-1].y + 5, places[-1].x + 5)
    places.append(near)
    costs, metres = router.lengths(places, places[3:])
    assert (costs == router.matrix(places, places[3:])).all()
    for i, source in enumerate(places):
        for j, target in enumerate(places[3:]):
            way = router.route(source, target)
            assert costs[i, j] == (INF if way is None else way.cost_ms)
            # Parts of edges are rounded apart, and of equally dear ways another may have been taken.
            assert way is None or abs(metres[i, j] - way.length_m * 10) <= 2 or (costs == costs[i, j]).sum() > 0
            assert metres[i, j] == 0 or way is not None


def test_a_large_table_is_made_in_blocks() -> None:
    router = town(3)
    many = np.random.default_rng(0).integers(0, 56, BLOCK + 37).tolist()
    costs, metres = router.lengths(many, [4, 9])
    again = router.lengths(range(56), [4, 9])
    assert (costs == again[0][many]).all() and (metres == again[1][many]).all()


def test_nothing_asked_is_nothing_answered() -> None:
    router = town(1)
    assert not len(router.ways(np.empty((0, 2), np.int32)).costs_ms) and not len(router.ways(np.empty((0, 4))).costs_ms)
    assert router.matrix([], [1]).shape == (0, 1) and router.lengths([1], [])[1].shape == (1, 0)
    with pytest.raises(ValueError, match="expected a node"):
        router.lengths([1], [99])
