"""How fast ways on roads are, changes to them, and tables; beside libraries that answer in process."""

from __future__ import annotations

import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ...kernels import shortest_path
from ...kernels.shortest_path import INF
from ...models.bundle import verify
from ...models.bundle_file import read_bundle
from ...models.route.assemble import assemble
from ...models.route.network import save, with_topology
from ...models.route.router import open_map
from ...runtime.workloads.route_work import shared_by
from ..report import Options, Row
from .maps import extracts, graph, made_city, with_questions
from .peers import Peers, peers

GOALS = {("distance", "local"): (13.0, "distance p50 <= 13 us"), ("path", "local"): (25.0, "local path p50 <= 25 us")}
# One query of these takes long: fewer of them a round.
SLOW = {"rustworkx": 8, "igraph": 3, "scipy": 3}
ORDER = ("routingkit_cch", "rustworkx", "igraph", "scipy")


def run(options: Options) -> Iterable[Row]:
    """The largest extract of the data folder, then the made city."""
    networks = [(name, made) for name, made in extracts(options) if not isinstance(made, str)]
    graphs = [(name, graph(made)) for name, made in sorted(networks, key=lambda pair: -pair[1].edges)[:1]]
    for name, made in [*graphs, (None, made_city(options))]:
        full = with_questions(made, 100, 1000)
        case = name or f"made city of {len(made['x']) / 1000:.0f} k nodes"
        with peers(full, options.quick) as others:
            yield from measure(f"roads {case}", full, others, options, goals=name is None)


def measure(case: str, made: dict[str, np.ndarray], others: Peers, options: Options, goals: bool) -> Iterable[Row]:
    """Every figure on one graph. Goals are for the large one."""
    nodes, before = len(made["x"]), _memory_mb()
    begin = time.thread_time()
    topology = shortest_path.build(made["tail"], made["head"], made["x"], made["y"])
    built = time.thread_time() - begin
    begin = time.thread_time()
    engine = shortest_path.engine(topology, nodes, made["weights"])
    opened = (time.thread_time() - begin) * 1000
    rk = others.ask(do="timed", peer="routingkit_cch", what="distance", pairs="local", start=0, count=5)
    yield _row(case, "order and hierarchy", built, "s", "routingkit_cch", rk.get("prepared"),
               note=rk.get("error") or "CPU time; the peer's includes its first customisation")
    yield Row(case, "open, check and customise", opened, "ms")
    yield opening(case, made, 2 if options.quick else 5)
    held = sum(v.nbytes for v in topology.values()) + 2 * (4 * len(made["tail"]) + 16 * len(topology["up_head"]))
    yield Row(case, "memory of hierarchy and both metrics", held / 2**20, "MiB",
              note=f"the process grew to {_memory_mb():.0f} MiB at its highest, from {before:.0f}")
    for pairs in ("local", "random"):
        for what in ("distance", "path"):
            yield from queries(case, engine, made, what, pairs, others, options, goals)
    yield from changes(case, engine, made, others, options, goals)


def queries(case: str, engine: shortest_path.Engine, made: dict[str, np.ndarray], what: str, pairs: str, others: Peers,
            options: Options, goals: bool) -> Iterable[Row]:
    """Rounds of ours, peer, peer, ...: medians over all queries; costs are compared on the way."""
    rounds, count = (2, 100) if options.quick else (5, 400)
    times: dict[str, list[float]] = {name: [] for name in ("own", *ORDER)}
    faults: dict[str, str] = {}
    for turn in range(rounds):
        part = made[pairs][turn * count:(turn + 1) * count]
        own, costs = _timed(engine.distance if what == "distance" else engine.way, part)
        times["own"] += own
        for peer in ORDER:
            few = min(SLOW.get(peer, count), len(part)) if len(made["x"]) > 10_000 else len(part) // 4
            answer: dict[str, Any] = {"error": faults[peer]} if peer in faults else \
                others.ask(do="timed", peer=peer, what=what, pairs=pairs, start=turn * count, count=few)
            times[peer] += answer.get("times", [])
            if "error" in answer:
                faults[peer] = answer["error"]
            elif what == "distance" and not _same(costs, answer["costs"]):
                faults[peer] = "its costs differ from ours"
    own50 = statistics.median(times["own"])
    limit, goal = GOALS.get((what, pairs), (0.0, None)) if goals and not options.quick else (0.0, None)
    for peer in ORDER:
        first = peer == ORDER[0]
        theirs = statistics.median(times[peer]) if times[peer] else None
        yield Row(f"{case}, {pairs}", f"{what} p50", own50, "us", spread=float(np.percentile(times["own"], 99)), peer=peer,
                  peer_value=theirs, ratio=theirs / own50 if theirs else None, goal=goal if first else None,
                  met=own50 <= limit if first and goal else None,
                  note=faults.get(peer) or ("spread is p99" if first else f"{len(times[peer])} queries of the peer"))


def _timed(ask: Callable[[int, int], object], pairs: np.ndarray) -> tuple[list[float], list[float]]:
    times, costs = [], []
    for source, target in pairs.tolist():
        begin = time.perf_counter()
        answer = ask(source, target)
        times.append((time.perf_counter() - begin) * 1e6)
        costs.append(float(answer if isinstance(answer, int) else answer[0]))  # type: ignore[index]
    return times, costs


def _same(own: list[float], theirs: list[float | None]) -> bool:
    return all(a == (INF if b is None or b == float("inf") else b) for a, b in zip(own, theirs, strict=False))


def changes(case: str, engine: shortest_path.Engine, made: dict[str, np.ndarray], others: Peers, options: Options,
            goals: bool) -> Iterable[Row]:
    """All weights anew, one closure, a table; the peer does the same in between."""
    every, rounds = np.arange(len(made["tail"]), dtype=np.int32), 3 if options.quick else 9
    whole = [_cpu(engine.apply, every, made["weights"]) / 1000 for _ in range(rounds)]
    one, closed = [], np.array([INF], np.uint32)
    for arc in made["arcs"]:
        name = np.array([arc], np.int32)
        one.append(_once(engine.apply, name, closed))
        engine.apply(name, made["weights"][name])
    table = np.empty((len(made["sources"]), len(made["targets"])), np.uint32)
    tables = [_cpu(engine.matrix, made["sources"], made["targets"], table) / 1000 for _ in range(rounds)]
    yield from shared(case, engine, every, made["weights"], rounds)
    yield from metres(case, engine, made, table, rounds)
    peer = others.ask(do="changes", count=rounds)
    note = peer.get("error") or "CPU time of the one thread, ours and the peer's"
    goal = {"w": "<= 40 ms per core and 900 k arcs", "c": "one closure applied <= 0.05 ms", "t": "table 100 x 100 <= 10 ms"}
    scaled = statistics.median(whole) * 900_000 / len(every)
    strict = goals and not options.quick
    yield _row(case, "customise all weights", statistics.median(whole), "ms", "routingkit_cch", _ms(peer, "whole"), note,
               goal["w"] if strict else None, scaled <= 40)
    yield _row(case, "one arc closed, p50", statistics.median(one) / 1000, "ms", "routingkit_cch", _ms(peer, "one"),
               peer.get("error"), goal["c"] if strict else None, statistics.median(one) <= 50)
    yield Row(case, "one arc closed, p99", float(np.percentile(one, 99)) / 1000, "ms",
              note="arcs drawn from the whole map; a main road changes more of the hierarchy than a side street")
    yield _row(case, "table 100 x 100", statistics.median(tables), "ms", "routingkit_cch",
               peer["table"] / 1000 if "table" in peer else None, note, goal["t"] if strict else None,
               statistics.median(tables) <= 10)


def shared(case: str, engine: shortest_path.Engine, every: np.ndarray, weights: np.ndarray, rounds: int) -> Iterable[Row]:
    """All weights anew by one thread and by two in turn; and in how far the parts could be shared among more."""
    parts: list[float] = []

    def timed(jobs: list[Callable[[], None]]) -> None:
        parts[:] = [_cpu(job) / 1000 for job in jobs]
    one, two, run = list[float](), list[float](), shared_by(2)
    for _ in range(rounds):
        one.append(_once(engine.apply, every, weights) / 1000)
        two.append(_once(engine.apply, every, weights, run) / 1000)
    whole = _cpu(engine.apply, every, weights, timed) / 1000
    yield Row(case, "customise all weights, two threads, wall", statistics.median(two), "ms", peer="one thread",
              peer_value=statistics.median(one), ratio=statistics.median(one) / statistics.median(two),
              note=f"{len(parts)} parts take {sum(parts):.1f} of {whole:.1f} ms CPU, the longest "
                   f"{max(parts, default=0):.1f}; what is left is one thread's; the result is the same to the bit")


def opening(case: str, made: dict[str, np.ndarray], rounds: int) -> Row:
    """A map from its bundle to the first answer, in a process that has the libraries loaded and files in the system's cache."""
    plain = assemble(made["x"], made["y"], made["tail"], made["head"], made["weights"], np.maximum(made["weights"] // 80, 1),
                     frame="plane", kinds=("street",))
    with tempfile.TemporaryDirectory() as folder:
        save(with_topology(plain), Path(folder), "map")

        def once() -> None:
            router = open_map(Path(folder))
            router.nearest(float(made["y"][0]), float(made["x"][0]))
            router.cost(0, 1)
        spent = [_cpu(once) / 1000 for _ in range(rounds)]
        begin = time.thread_time()
        verify(read_bundle(Path(folder)))
        checked = (time.thread_time() - begin) * 1000
    return Row(case, "map opened, to its first answer", statistics.median(spent), "ms", spread=max(spent),
               note=f"CPU time; mapped, every index checked; a server compares checksums before, {checked:.0f} ms")


def metres(case: str, engine: shortest_path.Engine, made: dict[str, np.ndarray], table: np.ndarray,
           rounds: int) -> Iterable[Row]:
    """A table of costs with what the ways are long."""
    lengths = np.maximum(made["weights"] // 80, 1).astype(np.uint32)
    sums = np.empty(table.shape, np.int64)
    spent = [_cpu(engine.matrix, made["sources"], made["targets"], table, lengths, sums) / 1000 for _ in range(rounds)]
    yield Row(case, "table 100 x 100 with metres", statistics.median(spent), "ms", note="most of it once, whatever its size")


def _ms(answer: dict, key: str) -> float | None:
    return statistics.median(answer[key]) / 1000 if key in answer else None


def _once(work: Callable[..., object], *arguments: object) -> float:
    begin = time.perf_counter()
    work(*arguments)
    return (time.perf_counter() - begin) * 1e6


def _cpu(work: Callable[..., object], *arguments: object) -> float:
    """Microseconds of this thread alone: long single-threaded work on a machine that others use as well."""
    begin = time.thread_time()
    work(*arguments)
    return (time.thread_time() - begin) * 1e6


def _row(case: str, metric: str, value: float, unit: str, peer: str, theirs: float | None, note: str | None = None,
         goal: str | None = None, met: bool | None = None) -> Row:
    return Row(case, metric, value, unit, peer=peer, peer_value=theirs, ratio=theirs / value if theirs and value else None,
               goal=goal, met=met if goal else None, note=note)


def _memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
