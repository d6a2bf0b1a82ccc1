"""A map is built, kept, opened and asked; every answer is Dijkstra's, and what is damaged or wrong is said."""

import heapq
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from aisle.kernels.shortest_path import INF, grid
from aisle.models.bundle import BundleError, verify
from aisle.models.bundle_file import read_bundle
from aisle.models.route import Network, Router, open_map, save
from aisle.models.route.assemble import assemble
from aisle.models.route.network import ARRAYS, load, with_topology
from hypothesis import given, settings
from hypothesis import strategies as st


def town(forbidden: tuple = (), rows: int = 10, columns: int = 12, topology: bool = True) -> Network:
    case = grid(np.random.default_rng(0), rows, columns)
    made = assemble(case["x"] * 100, case["y"] * 100, case["tail"], case["head"], case["weights"], case["weights"],
                    frame="plane", forbidden=forbidden)
    return with_topology(made) if topology else made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("town")
    save(town(forbidden=((0, 1), (1, 2), (5, 120))), made, "town")
    return made


@pytest.fixture
def router(folder: Path) -> Router:
    return open_map(folder)


def edge_costs(router: Router) -> np.ndarray:
    return router.edge_costs().astype(np.int64)


def dijkstra_edges(router: Router, forbidden: set, source: int, target: int) -> int:
    """Costs over edges as states, which needs no copies of nodes: an independent truth for turns."""

    a, cost = router.network.arrays, edge_costs(router)
    tail, head = a["edge_tail"].tolist(), a["edge_head"].tolist()
    out: dict = {}
    for e, t in enumerate(tail):
        out.setdefault(t, []).append(e)
    heap = [(int(cost[e]), e) for e in out.get(source, []) if cost[e] < INF]
    heapq.heapify(heap)
    done = set()
    while heap and source != target:
        c, e = heapq.heappop(heap)
        if e in done:
            continue
        done.add(e)
        if head[e] == target:
            return c
        for n in out.get(head[e], []):
            if (e, n) not in forbidden and cost[n] < INF:
                heapq.heappush(heap, (c + int(cost[n]), n))
    return 0 if source == target else INF


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_turns_and_closures_are_honoured(seed: int) -> None:
    rng = np.random.default_rng(seed)
    plain = town(rows=5, columns=5, topology=False)
    tail, head = np.asarray(plain.arrays["edge_tail"]), np.asarray(plain.arrays["edge_head"])
    follow = [(e, f) for e in range(len(tail)) for f in np.flatnonzero(tail == head[e]).tolist()]
    forbidden = {follow[i] for i in rng.integers(0, len(follow), 25)}
    router = Router(with_topology(town(forbidden=tuple(forbidden), rows=5, columns=5, topology=False)))
    router.close(rng.integers(0, len(tail), 6).tolist())
    for source, target in rng.integers(0, 25, (12, 2)).tolist():
        want = dijkstra_edges(router, forbidden, source, target)
        way = router.route(source, target)
        assert router.cost(source, target) == want == (INF if way is None else way.cost_ms)
        assert router.matrix([source], [target])[0, 0] == want
        if way is not None and len(way.edges):
            assert edge_costs(router)[way.edges].sum() == want
            assert way.nodes[0] == source and way.nodes[-1] == target
            assert not forbidden & set(zip(way.edges[:-1].tolist(), way.edges[1:].tolist(), strict=True))


def walk_edges(router: Router, forbidden: set, source: int, target: int) -> int:
    """Costs with the last edges gone along as states: an independent truth for forbidden sequences of any length."""
    a, cost = router.network.arrays, edge_costs(router)
    tail, head, longest = a["edge_tail"].tolist(), a["edge_head"].tolist(), max(map(len, forbidden), default=1)
    heap, done = [(0, (), source)], set()
    while heap:
        c, gone, at = heapq.heappop(heap)
        if at == target:
            return c
        if (gone, at) in done:
            continue
        done.add((gone, at))
        for e in (e for e, t in enumerate(tail) if t == at and cost[e] < INF):
            new = (*gone, e)[-longest:]
            if not any(new[i:] in forbidden for i in range(len(new))):
                heapq.heappush(heap, (c + int(cost[e]), new, head[e]))
    return INF


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_forbidden_sequences_are_honoured(seed: int) -> None:
    """Sequences of two to four edges that overlap, begin and end in each other, and share their ways."""
    rng = np.random.default_rng(seed)
    plain = town(rows=3, columns=4, topology=False)
    tail, head = plain.arrays["edge_tail"].tolist(), plain.arrays["edge_head"].tolist()
    forbidden = set()
    for _ in range(14):
        walked = [int(rng.integers(0, len(tail)))]
        for _ in range(int(rng.integers(1, 4))):
            walked.append(int(rng.choice([e for e, t in enumerate(tail) if t == head[walked[-1]]])))
        forbidden.add(tuple(walked))
    router = Router(town(forbidden=tuple(forbidden), rows=3, columns=4))
    router.close(rng.integers(0, len(tail), 2).tolist())
    for source, target in rng.integers(0, 12, (12, 2)).tolist():
        want, way = walk_edges(router, forbidden, source, target), router.route(source, target)
        assert router.cost(source, target) == want == (INF if way is None else way.cost_ms)
        edges = () if way is None else tuple(way.edges.tolist())
        assert not any(edges[i:i + len(one)] == one for one in forbidden for i in range(len(edges)))


def test_a_map_survives_its_bundle(folder: Path, router: Router) -> None:
    kept, made = router.network, town(forbidden=((0, 1), (1, 2), (5, 120)))
    assert all((kept.arrays[n] == made.arrays[n]).all() for n in ARRAYS)
    verify(read_bundle(folder))


@pytest.mark.parametrize("stem", ["edge_tail", "arc_head", "node_x", "topology_up_head", "topology_rank", "edge_cost",
                                  "metric_up", "metric_over", "snap_ax", "snap_first"])
@pytest.mark.parametrize("keep", [0.0, 0.3, 0.99])
def test_a_truncated_file_is_refused(tmp_path: Path, stem: str, keep: float) -> None:
    save(town(), tmp_path, "town")
    path = tmp_path / f"{stem}.npy"
    data = path.read_bytes()
    path.write_bytes(data[:int(len(data) * keep)])
    with pytest.raises((BundleError, ValueError), match="again"):
        open_map(tmp_path).nearest(0, 0)


def test_flipped_bytes_never_crash(tmp_path: Path) -> None:
    """Damage that no check sees may give wrong ways (its checksum says so), but never reads outside the arrays."""
    save(town(), tmp_path, "town")
    rng = np.random.default_rng(4)
    for stem in ("edge_tail", "arc_tail", "arc_head", "arc_edge", "topology_up_head", "topology_arc_slot", "topology_rank",
                 "topology_next_same", "topology_slot_arc", "shape_first", "metric_up", "metric_down", "metric_over",
                 "snap_edge", "snap_ax", "snap_first", "snap_pieces", "snap_grid"):
        path = tmp_path / f"{stem}.npy"
        data = path.read_bytes()
        for _ in range(6):
            spoiled = bytearray(data)
            spoiled[int(rng.integers(128, len(data)))] ^= 1 << int(rng.integers(0, 8))
            path.write_bytes(spoiled)
            try:
                damaged = open_map(tmp_path)
                damaged.matrix(list(range(0, 120, 7)), list(range(0, 120, 9)))
                damaged.route(0, 119)
                damaged.close([3, 4])
                damaged.route(3, 100)
                damaged.nearest(300, 400)
            except ValueError:
                pass
        path.write_bytes(data)


def test_missing_files_and_other_bundles_are_said(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"bundle\.toml"):
        load(tmp_path)
    save(town(), tmp_path, "town")
    (tmp_path / "edge_twin.npy").unlink()
    with pytest.raises(BundleError, match="edge_twin"):
        load(tmp_path)


def test_a_map_built_without_the_compiled_kernels_opens_with_them(tmp_path: Path) -> None:
    save(town(topology=False), tmp_path, "town")
    assert open_map(tmp_path).cost(0, 119) == Router(town()).cost(0, 119)
    save(town(), tmp_path, "town")
    text = (tmp_path / "bundle.toml").read_text().replace('"up_head", ', "")
    (tmp_path / "bundle.toml").write_text(text)
    with pytest.raises(ValueError, match="up_head"):
        open_map(tmp_path)


def test_what_is_kept_is_what_would_be_made(folder: Path) -> None:
    """Weights and the index of places come from the bundle, and an older bundle without them gives the same answers."""
    kept = load(folder)
    assert set(kept.metric) == {"up", "down", "over"} and "grid" in kept.snap
    quick, anew = Router(kept), Router(replace(kept, metric={}, snap={}))
    rng = np.random.default_rng(3)
    for source, target in rng.integers(0, 120, (40, 2)).tolist():
        assert quick.route(source, target).edges.tolist() == anew.route(source, target).edges.tolist()
    for lat, lon in rng.uniform(0, 900, (40, 2)).tolist():
        assert quick.nearest(lat, lon) == anew.nearest(lat, lon)


def test_snapping_finds_edge_side_and_part(router: Router) -> None:
    points = router.network.points(26)
    middle, step = points.mean(axis=0), points[-1] - points[0]
    left = middle + np.array([-step[1], step[0]]) * 0.1
    snap = router.nearest(left[1], left[0])
    assert (snap is not None and snap.fraction == pytest.approx(0.5, abs=0.01)) or snap.edge != 26
    one, other = router.nearest(*left[::-1]), router.nearest(*(2 * middle - left)[::-1])
    assert {one.side, other.side} == {"left", "right"}
    assert router.nearest(1e7, 1e7) is None
    brute = min(np.hypot(*(router.network.points(e)[0] * (1 - t) + router.network.points(e)[1] * t - np.array([500, 333])))
                for e in range(router.network.edges) for t in np.linspace(0, 1, 201))
    assert router.nearest(333, 500).distance_m == pytest.approx(brute, abs=0.6)


@pytest.mark.parametrize("place", [(float("nan"), 0.0), (0.0, float("inf"))])
def test_coordinates_that_are_not_finite_are_refused(router: Router, place: tuple) -> None:
    with pytest.raises(ValueError, match="finite"):
        router.nearest(*place)


def test_ways_between_places_on_edges(router: Router) -> None:
    rng = np.random.default_rng(1)
    for _ in range(30):
        s, t = (router.nearest(*rng.uniform(50, 850, 2)) for _ in "st")
        way = router.route(s, t)
        assert way is not None and router.matrix([s], [t])[0, 0] == way.cost_ms
        assert abs(router.true_cost(way).cost_ms - way.cost_ms) <= 2      # parts of edges are rounded apart
    assert router.route(s, s).cost_ms == 0 and router.route(7, 7).nodes.tolist() == [7]


def test_changes_are_seen_and_undone(router: Router) -> None:
    before = router.route(0, 119)
    edges = before.edges[3:6].tolist()
    assert router.close(edges) == 1 and router.changes() == dict.fromkeys(edges, INF)
    after = router.route(0, 119)
    assert not set(edges) & set(after.edges.tolist()) and after.cost_ms > before.cost_ms and after.version == 1
    router.set_speed(after.edges.tolist(), 500.0)
    assert router.route(0, 119).cost_ms < before.cost_ms
    router.reopen(list(router.changes()))
    assert router.changes() == {} and router.route(0, 119).cost_ms == before.cost_ms


def test_an_unreachable_goal_names_the_closure_that_cuts_it(router: Router) -> None:
    into = np.flatnonzero(router.network.arrays["edge_head"] == 119).tolist()
    router.close(into)
    assert router.route(0, 119) is None and router.cost(0, 119) == INF
    cut = router.cut_by(0, 119)
    assert len(cut) == 1 and cut[0] in into
    router.reopen(into)
    assert router.cut_by(0, 119) == []


@pytest.mark.parametrize("wrong", [
    lambda r: r.apply({10**6: 5}), lambda r: r.apply({-1: 5}), lambda r: r.apply({0: -5}), lambda r: r.apply({0: 2**31}),
    lambda r: r.set_speed([0], 0), lambda r: r.set_speed([0], float("nan")), lambda r: r.route(-1, 0),
    lambda r: r.route(0, 120), lambda r: r.inside([(0, 0), (1, 1)]), lambda r: r.inside([(0, 0), (1, 1), (float("nan"), 2)]),
])
def test_wrong_questions_change_nothing(router: Router, wrong: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        wrong(router)
    assert router.version == 0 and router.changes() == {}


def test_areas_and_reach(router: Router) -> None:
    inside = router.inside([(-100, -100), (-100, 2000), (2000, 2000), (2000, -100)])
    assert len(inside) == router.network.edges
    assert len(router.inside([(-99, -99), (-99, -98), (-98, -98)])) == 0
    reach = router.reach(0, 3000)
    costs = router.matrix([0], range(120))[0]
    assert set(reach.nodes.tolist()) == set(np.flatnonzero(costs <= 3000).tolist())
    back = router.reach(0, 3000, arriving=True)
    assert set(back.nodes.tolist()) == set(np.flatnonzero(router.matrix(range(120), [0])[:, 0] <= 3000).tolist())


def test_alternatives_differ_and_are_priced_truly(router: Router) -> None:
    found = router.alternatives(0, 119, 3)
    assert len(found) == 3 and found[0].stretch == 1
    for other in found[1:]:
        assert other.stretch <= 1.4 and other.shared <= 0.7
        assert edge_costs(router)[other.route.edges].sum() == other.route.cost_ms >= found[0].route.cost_ms


def test_the_report_is_kept(tmp_path: Path) -> None:
    made = assemble(np.zeros(2), np.arange(2.0), np.array([0]), np.array([1]), np.array([5]), np.array([10]), frame="plane",
                    report={"dropped": {"way: too steep": 3}})
    save(with_topology(made), tmp_path, "two")
    assert json.loads(json.dumps(dict(load(tmp_path).report))) == {"dropped": {"way: too steep": 3}}
