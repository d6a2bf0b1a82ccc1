"""Every variant of the shortest-path kernel gives Dijkstra's costs, before and after changes, and paths that cost them."""

import threading

import numpy as np
import pytest
from aisle.kernels import shortest_path
from aisle.kernels.shortest_path import INF, reference
from hypothesis import given, settings
from hypothesis import strategies as st

fast = pytest.importorskip("aisle.kernels.shortest_path.fast", reason="the compiled kernels are not built here")
CASES = list(shortest_path.cases(np.random.default_rng(7)))


def both(case: dict) -> tuple:
    nodes = len(case["x"])
    topology = fast.build(case["tail"], case["head"], case["x"], case["y"])
    return fast.Engine(topology, nodes, case["weights"]), reference.Engine(topology, nodes, case["weights"])


def full(engine: object, nodes: int) -> np.ndarray:
    every = np.arange(nodes, dtype=np.int32)
    out = np.empty((nodes, nodes), np.uint32)
    engine.matrix(every, every, out)
    return out


def cost_of(case: dict, weights: np.ndarray, source: int, target: int, arcs: np.ndarray) -> int:
    """What a path costs; it must join the two nodes."""
    at = source
    for arc in arcs.tolist():
        assert case["tail"][arc] == at
        at = case["head"][arc]
    assert at == target
    return int(weights[arcs].sum(dtype=np.int64))


def agree(case: dict, quick: object, plain: object) -> None:
    """All pairs, by table, one by one, in a batch, as paths and as trees."""
    nodes = len(case["x"])
    want = full(plain, nodes)
    assert (full(quick, nodes) == want).all()
    rng = np.random.default_rng(1)
    pairs = rng.integers(0, nodes, (200, 2), dtype=np.int32)
    out = np.empty(len(pairs), np.uint32)
    quick.batch(np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1]), out)
    for (s, t), batched in zip(pairs.tolist(), out.tolist(), strict=True):
        cost, arcs = quick.way(s, t)
        assert quick.distance(s, t) == cost == batched == want[s, t]
        assert cost == INF or cost_of(case, quick.weights(), s, t, arcs) == cost
    for reverse in (False, True):
        tree = np.empty(nodes, np.uint32)
        quick.tree(np.array([0], np.int32), np.zeros(1, np.uint32), reverse, tree)
        assert (tree == (want[:, 0] if reverse else want[0])).all()


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{len(c['x'])}-{len(c['tail'])}")
def test_costs_are_dijkstras(case: dict) -> None:
    agree(case, *both(case))


@pytest.mark.parametrize("case", CASES[5:], ids=lambda c: f"{len(c['x'])}-{len(c['tail'])}")
def test_costs_are_dijkstras_after_changes(case: dict) -> None:
    quick, plain = both(case)
    rng = np.random.default_rng(3)
    for share in (1, 2, 3, len(case["tail"]) // 2, 1, 4):
        arcs = rng.integers(0, len(case["tail"]), max(share, 1), dtype=np.int32)
        arcs = np.unique(arcs)
        weights = rng.choice(np.array([0, 1, 7, 900, 5000, INF], np.uint32), len(arcs))
        assert quick.apply(arcs, weights) == plain.apply(arcs, weights) == quick.version
        assert (quick.weights() == plain.weights()).all()
        agree(case, quick, plain)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_graph(data: st.DataObject) -> None:
    nodes = data.draw(st.integers(1, 14))
    node = st.integers(0, nodes - 1)
    arcs = data.draw(st.lists(st.tuples(node, node, st.sampled_from([0, 1, 2, 3, 50, 2**30, INF])), min_size=1, max_size=40))
    tail, head = (np.array([a[i] for a in arcs], np.int32) for i in (0, 1))
    spot = st.sampled_from([0.0, 1.0, 2.5])
    x, y = (np.array(data.draw(st.lists(spot, min_size=nodes, max_size=nodes))) for _ in "xy")
    case = {"tail": tail, "head": head, "x": x, "y": y, "weights": np.array([a[2] for a in arcs], np.uint32)}
    quick, plain = both(case)
    agree(case, quick, plain)
    changed = np.array([data.draw(st.integers(0, len(arcs) - 1))], np.int32)
    weight = np.array([data.draw(st.sampled_from([0, 4, INF]))], np.uint32)
    quick.apply(changed, weight), plain.apply(changed, weight)
    agree(case, quick, plain)


def test_many_ends_take_the_cheapest_pair() -> None:
    case = CASES[-1]
    quick, plain = both(case)
    rng = np.random.default_rng(5)
    for _ in range(50):
        ends = [rng.integers(0, len(case["x"]), 3, dtype=np.int32) for _ in "ab"]
        offsets = [rng.integers(0, 3000, 3, dtype=np.uint32) for _ in "ab"]
        cost, i, j, arcs = quick.path(ends[0], offsets[0], ends[1], offsets[1])
        assert cost == plain.path(ends[0], offsets[0], ends[1], offsets[1])[0]
        inner = cost_of(case, case["weights"], int(ends[0][i]), int(ends[1][j]), arcs)
        assert inner + int(offsets[0][i]) + int(offsets[1][j]) == cost
    nowhere = np.array([INF], np.uint32)
    assert quick.path(ends[0][:1], nowhere, ends[1][:1], nowhere)[:3] == (INF, -1, -1)


def test_readers_see_one_version_while_weights_change() -> None:
    """All weights become 1, then 2, and so on: a path of k arcs costs k times one number, never a mixture."""
    case = shortest_path.grid(np.random.default_rng(2), 12, 12)
    case["weights"][:] = 1
    quick, _ = both(case)
    steps, wrong, stop = 22, [], threading.Event()

    def read() -> None:
        while not stop.is_set():
            cost, arcs = quick.way(0, 143)
            if len(arcs) != steps or cost % steps:
                wrong.append((cost, len(arcs)))
    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    every = np.arange(len(case["tail"]), dtype=np.int32)
    for weight in range(2, 200):
        quick.apply(every, np.full(len(every), weight, np.uint32))
        assert quick.distance(0, 143) == steps * weight
    stop.set()
    for reader in readers:
        reader.join()
    assert wrong == []


@pytest.mark.parametrize("engine", [fast.Engine, reference.Engine])
def test_a_closed_arc_is_not_taken(engine: type) -> None:
    case = {"tail": np.array([0, 1, 0], np.int32), "head": np.array([1, 2, 2], np.int32)}
    topology = fast.build(case["tail"], case["head"], np.arange(3.0), np.zeros(3))
    one = engine(topology, 3, np.array([1, 1, 5], np.uint32))
    assert one.way(0, 2)[1].tolist() == [0, 1]
    one.apply(np.array([1], np.int32), np.array([INF], np.uint32))
    assert one.way(0, 2) == (5, [2])
    one.apply(np.array([2], np.int32), np.array([INF], np.uint32))
    assert one.distance(0, 2) == INF and len(one.way(0, 2)[1]) == 0


@pytest.mark.parametrize(("name", "spoil"), [
    ("up_head", lambda a: a[::-1]), ("up_head", lambda a: a + 1000), ("rank", lambda a: a * 0), ("up_first", lambda a: a - 1),
    ("down_arc", lambda a: a + 10**6), ("slot_arc", lambda a: a * 0 + 10**6), ("next_same", lambda a: a - 10**6),
    ("depth", lambda a: a + 1), ("up_depth", lambda a: -a), ("arc_slot", lambda a: a + 10**6), ("up_tail", lambda a: a + 1),
    ("up_head", lambda a: a[:-1]), ("rank", lambda a: a[:0]),
])
def test_a_damaged_topology_is_refused(name: str, spoil: object) -> None:
    case = CASES[-1]
    topology = fast.build(case["tail"], case["head"], case["x"], case["y"])
    topology[name] = np.ascontiguousarray(spoil(topology[name]), np.int32)
    with pytest.raises(ValueError, match="again"):
        fast.Engine(topology, len(case["x"]), case["weights"])


def test_a_ring_of_parallel_arcs_that_never_closes_is_refused() -> None:
    ends = np.zeros(3, np.int32)
    topology = fast.build(ends, ends + 1, np.arange(2.0), np.zeros(2))
    assert sorted(topology["next_same"]) == [0, 1, 2] and len(set(topology["arc_slot"])) == 1
    topology["next_same"] = np.array([1, 2, 1], np.int32)
    with pytest.raises(ValueError, match="next_same"):
        fast.Engine(topology, 2, np.ones(3, np.uint32))


@pytest.mark.parametrize("wrong", [
    lambda e: e.distance(-1, 0), lambda e: e.distance(0, 117), lambda e: e.way(0, 10**6),
    lambda e: e.apply(np.array([-1], np.int32), np.array([1], np.uint32)),
    lambda e: e.apply(np.array([0], np.int32), np.array([INF + 1], np.uint32)),
    lambda e: e.apply(np.array([0, 1], np.int32), np.array([1], np.uint32)),
    lambda e: e.matrix(np.array([0, 500], np.int32), np.array([0], np.int32), np.empty((2, 1), np.uint32)),
    lambda e: e.matrix(np.array([0], np.int32), np.array([0], np.int32), np.empty((2, 1), np.uint32)),
    lambda e: e.path(*[np.empty(0, np.int32), np.empty(0, np.uint32)] * 2),
    lambda e: e.tree(np.array([0], np.int32), np.zeros(1, np.uint32), False, np.empty(3, np.uint32)),
])
def test_wrong_arguments_are_refused(wrong: object) -> None:
    quick, _ = both(CASES[-1])
    with pytest.raises(ValueError, match="expected"):
        wrong(quick)
    assert quick.version == 0


@pytest.mark.parametrize("spoil", [
    {"tail": np.array([5], np.int32)}, {"tail": np.array([-1], np.int32)}, {"x": np.array([0, np.nan])},
    {"tail": np.array([0, 1], np.int32)}, {"x": np.empty(0)}, {"tail": np.array([0.0])},
])
def test_build_refuses_what_does_not_fit(spoil: dict) -> None:
    good = {"tail": np.array([0], np.int32), "head": np.array([1], np.int32), "x": np.zeros(2), "y": np.zeros(2)}
    with pytest.raises(ValueError, match="expected"):
        shortest_path.build(**{**good, **spoil})
