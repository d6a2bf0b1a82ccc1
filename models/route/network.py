"""The network of a map: its arrays, and the bundle on disk that holds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..bundle import Bundle, BundleError, digest
from ..bundle_file import read_bundle, write_bundle_toml

FORMAT = 1             # rises when older readers would misread the arrays
ROLE = "map"
INF = 2**31 - 1
EARTH_M = 6_371_008.8
FRAMES = ("wgs84", "plane")
EXTRAS = ("topology", "metric", "snap")     # arrays made of the others; files KIND_NAME.npy

# name -> (dtype, length): n nodes, e edges, a arcs, k arcs' nodes; other text: any length.
ARRAYS: dict[str, tuple[str, str]] = {
    "node_x": ("float64", "n"), "node_y": ("float64", "n"),
    "edge_tail": ("int32", "e"), "edge_head": ("int32", "e"), "edge_cost": ("uint32", "e"), "edge_length": ("uint32", "e"),
    "edge_twin": ("int32", "e"), "edge_way": ("int64", "e"), "edge_kind": ("uint8", "e"), "edge_name": ("int32", "e"),
    "shape_first": ("int32", "e+1"), "shape_x": ("float64", "points"), "shape_y": ("float64", "points"),
    "arc_tail": ("int32", "a"), "arc_head": ("int32", "a"), "arc_edge": ("int32", "a"), "state_node": ("int32", "k"),
}


@dataclass(frozen=True)
class Network:
    """Streets or aisles as directed edges between nodes.

    Frame "wgs84": x is the longitude and y the latitude in degrees; "plane": metres. An edge is one direction of one
    piece of street between two nodes: `edge_cost` in milliseconds (INF: closed in the map itself), `edge_length` in
    decimetres, `edge_twin` the other direction or -1, `edge_way` the id in the source, `edge_kind` an index into
    `kinds`, `edge_name` one into `names` or -1. `shape_first[e] : shape_first[e+1]` are its inner points.

    Arcs are what the search runs on: arc i < edges is edge i; later ones are further copies of `arc_edge`, made where
    turns are forbidden. They join states; state i < nodes is node i, later ones are "at `state_node` after a
    certain edge". `topology` is what `kernels.shortest_path.build` made of the arcs, `metric` the map's own weights on it and
    `snap` the index of places: both could be made anew, and are kept because opening a map must not take long.
    """

    arrays: Mapping[str, np.ndarray]
    topology: Mapping[str, np.ndarray] = field(default_factory=dict)
    metric: Mapping[str, np.ndarray] = field(default_factory=dict)
    snap: Mapping[str, np.ndarray] = field(default_factory=dict)
    frame: str = "wgs84"
    names: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    profile: str = ""
    source: str = ""
    attribution: str = ""
    report: Mapping[str, Any] = field(default_factory=dict)

    def __getattr__(self, name: str) -> np.ndarray:
        try:
            return self.__dict__["arrays"][name]
        except KeyError:
            raise AttributeError(name) from None

    @cached_property
    def scale(self) -> np.ndarray:
        """Metres in one unit of x and of y, in the middle of the map."""
        if self.frame == "plane" or not self.nodes:
            return np.ones(2)
        degree = EARTH_M * np.pi / 180
        middle = (float(self.arrays["node_y"].min()) + float(self.arrays["node_y"].max())) / 2
        return np.array([degree * np.cos(np.radians(middle)), degree])

    @property
    def nodes(self) -> int:
        """How many nodes the map has."""
        return len(self.arrays["node_x"])

    @property
    def edges(self) -> int:
        """How many directed edges the map has."""
        return len(self.arrays["edge_tail"])

    def points(self, edge: int) -> np.ndarray:
        """The line of an edge from its tail to its head, float64 (points, 2) of x, y."""
        a = self.arrays
        inner = slice(int(a["shape_first"][edge]), int(a["shape_first"][edge + 1]))
        ends = int(a["edge_tail"][edge]), int(a["edge_head"][edge])
        x = np.concatenate([[a["node_x"][ends[0]]], a["shape_x"][inner], [a["node_x"][ends[1]]]])
        y = np.concatenate([[a["node_y"][ends[0]]], a["shape_y"][inner], [a["node_y"][ends[1]]]])
        return np.stack([x, y], axis=1)

    def name(self, edge: int) -> str:
        """The name of the street of an edge, or ""."""
        index = int(self.arrays["edge_name"][edge])
        return self.names[index] if index >= 0 else ""


def save(network: Network, folder: Path, name: str, version: str = "1") -> Bundle:
    """Write the map as a bundle into `folder` (made if needed): arrays as .npy, the rest in bundle.toml."""
    check(network)
    folder.mkdir(parents=True, exist_ok=True)
    sums: dict[str, str] = {}
    texts = {"names.txt": "\n".join(line.replace("\n", " ") for line in network.names).encode()}
    extra = {kind: getattr(network, kind) for kind in EXTRAS}
    files = {f"{kind}_{name}": value for kind, values in extra.items() for name, value in values.items()}
    for stem, value in {**network.arrays, **files}.items():
        np.save(folder / f"{stem}.npy", np.ascontiguousarray(value))
        sums[f"{stem}.npy"] = digest(folder / f"{stem}.npy")
    for file, data in texts.items():
        (folder / file).write_bytes(data)
        sums[file] = digest(folder / file)
    params = {"format": FORMAT, "frame": network.frame, "profile": network.profile, "source": network.source,
              "names": len(network.names), "kinds": list(network.kinds), "report": dict(network.report),
              **{kind: sorted(values) for kind, values in extra.items()}}
    bundle = Bundle(name=name, version=version, role=ROLE, root=folder, params=params, sha256=sums,
                    licence=network.attribution)
    write_bundle_toml(bundle, folder)
    return bundle


def load(folder: Path) -> Network:
    """The map in `folder`, its arrays memory-mapped; BundleError if anything does not fit together.

    Lengths and indices are checked, so that a damaged file cannot lead the kernel astray. Checksums are not: that
    is `bundle.verify`, which reads everything.
    """
    bundle = read_bundle(folder)
    params = bundle.params
    if bundle.role != ROLE or params.get("format") != FORMAT:
        raise BundleError(f"{folder} is a bundle with role {bundle.role!r}, format {params.get('format')!r}; expected a "
                          f"{ROLE!r} of format {FORMAT}: build it again with `aisle map build`")
    if params.get("frame") == "floor":
        raise BundleError(f"{folder} is a floor without streets; open it with `models.route.open_any`")
    arrays = {stem: _array(bundle, stem) for stem in ARRAYS}
    extra = {kind: {stem: _array(bundle, f"{kind}_{stem}") for stem in params.get(kind, [])} for kind in EXTRAS}
    text = bundle.path("names.txt").read_text("utf-8") if bundle.path("names.txt").is_file() else ""
    names = tuple(text.split("\n")) if params.get("names") else ()
    network = Network(arrays, **extra, frame=str(params.get("frame")), names=names,
                      kinds=tuple(params.get("kinds", [])), profile=str(params.get("profile", "")),
                      source=str(params.get("source", "")), attribution=bundle.licence, report=params.get("report", {}))
    check(network, str(folder))
    return network


def _array(bundle: Bundle, stem: str) -> np.ndarray:
    path = bundle.path(f"{stem}.npy")
    try:
        if path.stat().st_size <= 128:      # an empty array cannot be mapped
            return np.load(path, allow_pickle=False)
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        raise BundleError(f"cannot read {path}: {error}; the map is damaged: copy or build it again") from error


def check(network: Network, where: str = "map") -> None:
    """BundleError unless every array has its dtype, length and range."""
    a, known = network.arrays, {"n": network.nodes, "e": network.edges, "e+1": network.edges + 1,
                                "a": len(network.arrays["arc_tail"]), "k": len(network.arrays["state_node"]),
                                "points": len(network.arrays["shape_x"])}
    if network.frame not in FRAMES:
        raise BundleError(f"{where}: expected frame {' or '.join(FRAMES)}, got {network.frame!r}")
    for name, (dtype, length) in ARRAYS.items():
        if a[name].dtype != dtype or a[name].shape != (known[length],):
            raise BundleError(f"{where}: expected {dtype} ({known[length]},), got {a[name].dtype} {a[name].shape} - at "
                              f"`{name}`; the map is damaged: copy or build it again")
    ranges = {"edge_tail": (0, known["n"]), "edge_head": (0, known["n"]), "edge_twin": (-1, known["e"]),
              "edge_name": (-1, len(network.names)), "edge_kind": (0, len(network.kinds)), "state_node": (0, known["n"]),
              "arc_tail": (0, known["k"]), "arc_head": (0, known["k"]), "arc_edge": (0, known["e"]),
              "shape_first": (0, known["points"] + 1), "edge_cost": (0, INF + 1)}
    for name, (low, high) in ranges.items():
        if len(a[name]) and not low <= int(a[name].min()) <= int(a[name].max()) < high:
            raise BundleError(f"{where}: expected numbers from {low} to {high - 1}, got {a[name].min()} to {a[name].max()}"
                              f" - at `{name}`; the map is damaged: copy or build it again")
    if known["k"] < known["n"] or known["a"] < known["e"] or not (np.diff(a["shape_first"]) >= 0).all():
        raise BundleError(f"{where}: arcs, states or shapes do not cover edges and nodes; build the map again")
    for name, count in (("arc_edge", known["e"]), ("state_node", known["n"])):
        if not np.array_equal(a[name][:count], np.arange(count)):
            raise BundleError(f"{where}: expected 0, 1, 2, ... first - at `{name}`; the map is damaged: copy or build it again")
    if not (np.isfinite(a["node_x"]).all() and np.isfinite(a["node_y"]).all()):
        raise BundleError(f"{where}: a node has no finite coordinates; build the map again")


def with_topology(network: Network) -> Network:
    """The network with the order and hierarchy of its graph (seconds for a city; weights do not matter), its own weights on
    that, and the index of its places.
    """
    from ...kernels import shortest_path
    from .snap import pieces_of
    a = network.arrays
    at = a["state_node"]
    made = shortest_path.build(a["arc_tail"], a["arc_head"], a["node_x"][at], a["node_y"][at])
    engine = shortest_path.engine(made, len(at), np.asarray(a["edge_cost"])[a["arc_edge"]])
    return replace(network, topology={k: v for k, v in made.items() if k not in ("tail", "head")},
                   metric=shortest_path.metric_arrays(engine), snap=pieces_of(network))
