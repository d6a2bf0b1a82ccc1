"""Is every cost the least one: against Dijkstra on every map, before and after changes; against MovingAI's optima."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ...kernels import shortest_path
from ...kernels.shortest_path import INF, reference
from ...models.route.floor import Floor
from ...models.route.floor_files import read_movingai
from ..report import Options, Row
from .maps import extracts, graph, made_city, with_questions
from .peers import Peers, peers

GOAL = "every cost equals Dijkstra's on 10,000 random queries per map, before and after 1,000 random updates"
OPTIMA = "all sampled MovingAI scenarios equal the published optimum"


def run(options: Options) -> Iterable[Row]:
    """A row a map: how many of the queries differ."""
    for name, made in extracts(options):
        if isinstance(made, str):
            yield Row(f"exact {name}", "queries that differ", None, goal=GOAL, note=made)
        else:
            yield compare(f"exact {name}", with_questions(graph(made), 20 if options.quick else 100, 1000), None)
    town = with_questions(made_city(options), 5 if options.quick else 100, 1000)
    with peers(town, options.quick) as scipy:
        yield compare(f"exact made city {len(town['x'])}", town, scipy)
    yield optima(options)


def compare(case: str, made: dict[str, np.ndarray], scipy: Peers | None) -> Row:
    """The engine against SciPy's Dijkstra, or our own plain one on small maps or where SciPy is not there."""
    nodes = len(made["x"])
    topology = shortest_path.build(made["tail"], made["head"], made["x"], made["y"])
    engine = shortest_path.engine(topology, nodes, made["weights"])
    wrong = asked = 0
    by = "own Dijkstra"
    for weights in ("weights", "after"):
        if weights == "after":
            engine.apply(made["changed"], made["after"][made["changed"]])
        table = np.empty((len(made["sources"]), len(made["targets"])), np.uint32)
        engine.matrix(made["sources"], made["targets"], table)
        answer = scipy.ask(do="truth", sources="sources", targets="targets", weights=weights) if scipy else {"error": ""}
        if "rows" in answer:
            want, by = np.array(answer["rows"], np.int64), "SciPy's Dijkstra"
            want[want < 0] = INF
        else:
            sources = made["sources"] if nodes < 20_000 else made["sources"][:3]
            rows = np.empty((len(sources), table.shape[1]), np.uint32)
            reference.Engine(topology, nodes, made[weights]).matrix(sources, made["targets"], rows)
            want = rows.astype(np.int64)
        table = table[:len(want)]
        single = [engine.way(int(s), int(t)) for s, t in zip(made["sources"], made["targets"], strict=False)][:len(want)]
        sums = [INF if cost >= INF else int(made[weights][arcs].sum(dtype=np.int64)) for cost, arcs in single]
        diagonal = [int(want[i, i]) for i in range(len(single))]
        wrong += int((table != want).sum()) + sum(a != b for a, b in zip(sums, diagonal, strict=True))
        asked += want.size
    return Row(case, "queries that differ", wrong, "queries", goal=GOAL, met=wrong == 0,
               note=f"{asked} queries, half before and half after {len(made['changed'])} updates in one batch, against {by}; "
                    "the lengths of unpacked paths checked as well")


def optima(options: Options) -> Row:
    """Distance fields on every MovingAI map of the data folder."""
    path = (options.data or Path("nowhere")) / "routes" / "movingai_maps_dev.zip"
    if not path.is_file():
        return Row("exact movingai", "scenarios that differ", None, goal=OPTIMA, note="no MovingAI maps in the data folder")
    wrong = asked = maps = 0
    with zipfile.ZipFile(path) as pack:
        names = pack.namelist()
        for name in (n for n in names if n.endswith(".map")):
            floor = Floor(read_movingai(pack.read(name), name), diagonal=True)
            own = re.compile(re.escape(name.removesuffix(".map")) + r"(\.map|-[a-z]+-\d+)\.scen")
            runs = [line.split() for scen in names if own.fullmatch(scen)
                    for line in pack.read(scen).decode().splitlines()[1:] if line.strip()]
            width, maps = floor.cells.shape[1], maps + 1
            for run in runs[::max(len(runs) // (5 if options.quick else 100), 1)]:
                sx, sy, gx, gy = map(int, run[-5:-1])
                way = floor.route((sy + 1) * width + sx + 1, (gy + 1) * width + gx + 1)
                wrong += way is None or abs(way.length_m - float(run[-1])) > printed(run[-1])
                asked += 1
    return Row("exact movingai", "scenarios that differ", wrong, "scenarios", goal=OPTIMA, met=wrong == 0,
               note=f"{asked} scenarios on {maps} maps, to 0.001 of a cell, or as many digits as were published")


def printed(number: str) -> float:
    """Half of the last digit that was printed (six in all, so two decimals for long ways), but no less than 0.001."""
    return max(0.001, 0.505 * 10.0 ** -len(number.partition(".")[2]))
