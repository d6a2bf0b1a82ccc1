"""Every variant of the shortest-path kernel gives Dijkstra's costs, before and after changes, and paths that cost them."""

import threading
from concurrent.futures import ThreadPoolExecutor

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


def questions(case: dict, count: int, seed: int) -> list[np.ndarray]:
    """Both sides of random questions: none to three ends each, some within arcs."""
    rng = np.random.default_rng(seed)
    nodes, arcs, sides = len(case["x"]), len(case["tail"]), []
    for end in ("head", "tail"):
        each = rng.integers(0 if seed % 2 else 1, 4, count)
        first = np.concatenate([[0], np.cumsum(each)]).astype(np.int32)
        node, arc = rng.integers(0, nodes, first[-1], dtype=np.int32), np.full(first[-1], -1, np.int32)
        part = rng.random(first[-1])
        within = rng.random(first[-1]) < (0.6 if arcs else 0)
        arc[within] = rng.integers(0, max(arcs, 1), int(within.sum()))
        node[within] = case[end][arc[within]]
        sides += [first, node, arc, part]
    return sides


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{len(c['x'])}-{len(c['tail'])}")
@pytest.mark.parametrize("seed", [1, 2])
def test_many_ways_are_each_the_best(case: dict, seed: int) -> None:
    quick, plain = both(case)
    asked = questions(case, 150, seed)
    costs, starts, goals, first, arcs, version = quick.ways(*asked)
    want = plain.ways(*asked)
    assert (costs == want[0]).all() and version == 0 and first[-1] == len(arcs)
    assert (quick.ways(*asked, paths=False)[0] == costs).all() and not len(quick.ways(*asked, paths=False)[4])
    weights = case["weights"].astype(np.int64)
    for q in np.flatnonzero(costs < INF).tolist():
        i, j = int(starts[q]), int(goals[q])
        assert asked[0][q] <= i < asked[0][q + 1] and asked[4][q] <= j < asked[4][q + 1]
        paid = sum(round(int(weights[a]) * p) for a, p in ((asked[2][i], asked[3][i]), (asked[6][j], asked[7][j])) if a >= 0)
        inner = cost_of(case, case["weights"], int(asked[1][i]), int(asked[5][j]), arcs[first[q]:first[q + 1]])
        assert inner + paid == costs[q]
    assert ((starts < 0) == (costs == INF)).all() and ((goals < 0) == (costs == INF)).all()


@pytest.mark.parametrize("spoil", [
    (0, lambda a: a + 1), (0, lambda a: a[::-1].copy()), (1, lambda a: a - 1000), (2, lambda a: a + 10**6),
    (3, lambda a: a + 1), (3, lambda a: a * np.nan), (5, lambda a: a[:-1]), (4, lambda a: a[:0]), (4, lambda a: a[:-1]),
])
def test_many_ways_refuse_what_does_not_fit(spoil: tuple) -> None:
    quick, _ = both(CASES[-1])
    asked = questions(CASES[-1], 20, 2)
    asked[spoil[0]] = spoil[1](asked[spoil[0]])
    with pytest.raises(ValueError, match="expected"):
        quick.ways(*asked)


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{len(c['x'])}-{len(c['tail'])}")
def test_sums_are_those_of_a_cheapest_way(case: dict) -> None:
    """With values that are the weights themselves the sums are the costs; with others, those of the way (ties aside)."""
    quick, plain = both(case)
    nodes = len(case["x"])
    every, want = np.arange(nodes, dtype=np.int32), full(plain, nodes)
    out, sums = np.empty((nodes, nodes), np.uint32), np.empty((nodes, nodes), np.int64)
    values = np.where(case["weights"] < INF, case["weights"], 0).astype(np.uint32)
    quick.matrix(every, every, out, values, sums)
    assert (out == want).all() and (sums == np.where(want < INF, want, 0)).all()
    rng = np.random.default_rng(4)
    weights = (rng.permutation(len(values)).astype(np.uint32) + 1) * 1000 + rng.integers(0, 999, len(values), dtype=np.uint32)
    values = rng.integers(0, 2**32, len(values), dtype=np.uint32)
    arcs = np.arange(len(values), dtype=np.int32)
    other = np.empty_like(sums)
    for engine, into in ((quick, sums), (plain, other)):
        engine.apply(arcs, weights)
        engine.matrix(every, every, out, values, into)
    assert (sums == other).all()


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{len(c['x'])}-{len(c['tail'])}")
def test_parts_change_no_bit(case: dict) -> None:
    nodes = len(case["x"])
    topology = fast.build(case["tail"], case["head"], case["x"], case["y"])
    counts = []

    def backwards(jobs: list) -> None:
        counts.append(len(jobs))
        for job in jobs[::-1]:
            job()

    def threads(jobs: list) -> None:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda job: job(), jobs))
    alone = fast.Engine(topology, nodes, case["weights"])
    rng = np.random.default_rng(8)
    every = np.arange(len(case["tail"]), dtype=np.int32)
    shared = [fast.Engine(topology, nodes, case["weights"], run=run) for run in (backwards, threads)]
    assert counts and (nodes != 117 or counts[0] > 3)      # a dense graph is one line of nodes, with nothing to share
    for _ in range(3):
        for engine in shared:
            assert all((engine.metric_arrays()[k] == v).all() for k, v in alone.metric_arrays().items())
        weights = rng.integers(0, 5000, len(every), dtype=np.uint32)
        for engine, run in zip((alone, *shared), (None, backwards, threads), strict=True):
            engine.apply(every, weights, run=run)


@pytest.mark.parametrize("run", [lambda jobs: None, lambda jobs: [job() for job in jobs[:-1]]])
def test_jobs_that_were_not_called_change_nothing(run: object) -> None:
    case = CASES[-1]
    quick, plain = both(case)
    every = np.arange(len(case["tail"]), dtype=np.int32)
    with pytest.raises(RuntimeError, match="nothing was changed"):
        quick.apply(every, case["weights"] * 2, run=run)
    assert quick.version == 0
    agree(case, quick, plain)
    few = every[:3], np.array([5, 6, 7], np.uint32)
    quick.apply(*few), plain.apply(*few)
    agree(case, quick, plain)


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{len(c['x'])}-{len(c['tail'])}")
def test_a_kept_metric_is_the_same_engine(case: dict) -> None:
    nodes = len(case["x"])
    topology = fast.build(case["tail"], case["head"], case["x"], case["y"])
    kept = shortest_path.metric_arrays(fast.Engine(topology, nodes, case["weights"]))
    quick, plain = fast.Engine(topology, nodes, case["weights"], metric=kept), both(case)[1]
    agree(case, quick, plain)
    if len(case["tail"]):
        quick.apply(np.array([0], np.int32), np.array([3], np.uint32))
        plain.apply(np.array([0], np.int32), np.array([3], np.uint32))
        agree(case, quick, plain)


def test_a_damaged_metric_is_refused() -> None:
    """Whatever single number is changed: a way that is promised is there, and nothing is read outside the arrays."""
    case = CASES[-1]
    nodes = len(case["x"])
    topology = fast.build(case["tail"], case["head"], case["x"], case["y"])
    kept = fast.Engine(topology, nodes, case["weights"]).metric_arrays()
    rng = np.random.default_rng(0)
    refused = 0
    for name in kept:
        for value in (*rng.integers(0, 2**32, 40), 0, INF, INF + 1, 2**32 - 1):
            spoiled = {k: v.copy() for k, v in kept.items()}
            spoiled[name][rng.integers(0, len(kept[name]))] = value
            try:
                engine = fast.Engine(topology, nodes, case["weights"], metric=spoiled)
                for s, t in rng.integers(0, nodes, (20, 2)).tolist():
                    cost, arcs = engine.way(s, t)
                    assert cost == INF or cost_of(case, case["weights"], s, t, arcs) == cost
            except ValueError as error:
                refused += 1
                assert "build it again" in str(error)
    assert refused > 60
    with pytest.raises(ValueError, match="again"):
        fast.Engine(topology, nodes, case["weights"], metric={k: v[:-1] for k, v in kept.items()})


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


ONE = np.zeros(1, np.int32), np.zeros(1, np.int32), np.empty((1, 1), np.uint32)


@pytest.mark.parametrize("wrong", [
    lambda e: e.distance(-1, 0), lambda e: e.distance(0, 117), lambda e: e.way(0, 10**6),
    lambda e: e.apply(np.array([-1], np.int32), np.array([1], np.uint32)),
    lambda e: e.apply(np.array([0], np.int32), np.array([INF + 1], np.uint32)),
    lambda e: e.apply(np.array([0, 1], np.int32), np.array([1], np.uint32)),
    lambda e: e.matrix(np.array([0, 500], np.int32), np.array([0], np.int32), np.empty((2, 1), np.uint32)),
    lambda e: e.matrix(np.array([0], np.int32), np.array([0], np.int32), np.empty((2, 1), np.uint32)),
    lambda e: e.path(*[np.empty(0, np.int32), np.empty(0, np.uint32)] * 2),
    lambda e: e.matrix(*ONE, e.weights()[:3], np.empty((1, 1), int)),
    lambda e: e.matrix(*ONE, e.weights(), np.empty((1, 2), int)),
    lambda e: e.matrix(*ONE, e.weights()),
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
