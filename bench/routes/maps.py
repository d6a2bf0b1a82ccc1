"""The maps that the bench runs on: every OSM extract of the data folder, and a made city."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ...models.route.build import build_map
from ...models.route.network import Network
from ...models.route.osm_data import OsmError
from ..cities import city, pairs
from ..report import Options

CITY = 404_000          # nodes, as the real city of the issue has
SMALL_CITY = 40_000     # for --quick


def extracts(options: Options, profile: str = "van") -> Iterator[tuple[str, Network | str]]:
    """Name and network of each extract, or why it could not be built."""
    folder = (options.data or Path("nowhere")) / "routes" / "osm"
    for path in sorted(p for p in folder.glob("*") if p.name.endswith((".pbf", ".osm", ".osm.gz", ".osm.bz2"))):
        try:
            made = build_map(path, profile)
        except OsmError as error:
            yield path.name, str(error)
            continue
        assert isinstance(made, Network)
        yield path.name, made


def graph(network: Network) -> dict[str, np.ndarray]:
    """A network as the graph that its engine runs on, x and y in metres."""
    a = network.arrays
    at, per = a["state_node"], network.scale
    return {"tail": np.asarray(a["arc_tail"]), "head": np.asarray(a["arc_head"]), "x": a["node_x"][at] * per[0],
            "y": a["node_y"][at] * per[1], "weights": np.asarray(a["edge_cost"])[a["arc_edge"]]}


def made_city(options: Options) -> dict[str, np.ndarray]:
    """The made city; a small one for a quick run."""
    return city(SMALL_CITY if options.quick else CITY)


def with_questions(made: dict[str, np.ndarray], sources: int, updates: int, seed: int = 5) -> dict[str, np.ndarray]:
    """The graph with what will be asked of it: pairs, sources x targets, arcs to change and the weights after that."""
    rng = np.random.default_rng(seed)
    nodes, arcs = len(made["x"]), len(made["tail"])
    changed = rng.permutation(arcs)[:min(updates, arcs)].astype(np.int32)
    after = made["weights"].copy()
    new = (after[changed] * rng.uniform(0.3, 4, len(changed))).astype(np.uint32) + 1
    new[rng.random(len(new)) < 0.3] = 2**31 - 1
    after[changed] = new
    length = np.hypot(made["x"][made["tail"]] - made["x"][made["head"]], made["y"][made["tail"]] - made["y"][made["head"]])
    bound = float((made["weights"] / np.maximum(length, 1e-9)).min())      # cost of a metre at the least, for A*
    return {**made, "bound": np.array(bound), "changed": changed, "after": after,
            "sources": rng.integers(0, nodes, sources, dtype=np.int32), "targets": rng.integers(0, nodes, 100, dtype=np.int32),
            "random": pairs(made, 2000, False), "local": pairs(made, 2000, True) if _wide(made) else pairs(made, 2000, False),
            "arcs": rng.integers(0, arcs, 200, dtype=np.int32)}


def _wide(made: dict[str, np.ndarray]) -> bool:
    """Whether pairs 0.5 to 5 km apart can be found by drawing."""
    return float(np.ptp(made["x"]) + np.ptp(made["y"])) > 2000


def member(path: Path, name: str) -> bytes:
    """A file of an archive."""
    with zipfile.ZipFile(path) as pack, pack.open(name) as file:
        return io.BytesIO(file.read()).getvalue()
