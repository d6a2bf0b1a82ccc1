"""Routes: ways, tables, reach and tours on a map that changes while it is asked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, perf_counter_ns
from typing import Any, Protocol

import numpy as np

from ...kernels.distance_field import FREE
from ...models.bundle import Bundle, TensorSpec
from ...models.route.floor import Floor
from ...models.route.floor_map import FloorMap
from ...models.route.router import Router, open_any
from ...models.route.site import Site, load_site
from ..deadline import due_ns
from ..errors import AisleError, Forbidden, Invalid, Late, Unsupported
from .route_answer import Seen, answer, quick
from .route_asks import Ask, AskPairs, AskUpdate, Found, FoundPairs, Refused
from .route_changes import CLOSE, NEVER, Change, due_in
from .route_live import LiveMap
from .route_site import AskAcross, AskAcrossPairs, FoundAcross, FoundAcrossPairs, Joined, across_pairs, joined
from .route_tours import AskReplan, AskTour, FoundTour, Planner
from .route_writer import Writer

ROLES = ("map",)
LIGHT_BYTES = 1 << 16     # tensors up to here become a Request in microseconds: not worth a thread
INPUTS = (
    TensorSpec("NODES", "int32", (None, 2), optional=True), TensorSpec("PLACES", "float64", (None, 4), optional=True),
    TensorSpec("CLOSE", "int32", (None,), optional=True), TensorSpec("CHANGE", "bytes", (1,), optional=True),
    TensorSpec("FOR_S", "float64", (1,), optional=True), TensorSpec("MAPS", "bytes", (None, 2), optional=True),
)
OUTPUTS = (TensorSpec("COST_MS", "uint32", (None,)), TensorSpec("FIRST", "int32", (None,)),
           TensorSpec("EDGES", "int32", (None,)), TensorSpec("VERSION", "int64", (None,)),
           TensorSpec("LEGS", "int32", (None, 4)))


SWITCHED_OFF = ("changing maps is switched off on this server; repository.updates = \"yes\" in its configuration allows it "
                "(\"control\", the default, is as repository.control says)")


Asked = Ask | AskTour | AskReplan | AskAcross | AskAcrossPairs
ONE_MAP = "from.map and to.map are for a site of several maps (`aisle map build SITE.toml`); leave them out where there is one"


class Engine(Protocol):
    """What this workload may call; see runtime/engine.py."""

    asset: Any
    threads: int
    updates: bool

    def station(self, job: str, name: str = "") -> Any:
        """The engine of another station."""

    async def offload(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Run `fn` off the event loop."""


@dataclass(frozen=True)
class Request:
    """Questions, answered in order. `batch`: a fault of one is its answer; otherwise it is the answer to all."""

    asks: tuple[Asked, ...]
    batch: bool = False


@dataclass(frozen=True)
class Verdict:
    """One answer for each question, and the map that they were asked of (of a site the first). `timings_ms` by stage."""

    request: Request
    found: tuple[Found | FoundTour | FoundAcross | FoundAcrossPairs, ...]
    live: LiveMap
    timings_ms: Mapping[str, float]


@dataclass(frozen=True)
class Asset:
    """A map that serves, the robots seen on it and the tours planned on it."""

    name: str
    live: LiveMap
    seen: Seen
    planner: Planner
    writer: Writer


def load(bundle: Bundle) -> Asset | Site:
    """The map of a bundle, with its index of places made, or the site. BundleError says what is damaged."""
    if bundle.params.get("frame") == "site":
        return load_site(bundle)
    opened = open_any(bundle.root)
    router: Router | FloorMap = FloorMap.of(opened) if isinstance(opened, Floor) else opened
    south, west, north, east = router.bounds()
    router.nearest((south + north) / 2, (west + east) / 2)
    sums = "".join(f"{name}{digest}" for name, digest in sorted(bundle.sha256.items()))
    live = LiveMap(router, hashlib.sha256(sums.encode()).hexdigest()[:16])
    return Asset(bundle.name, live, Seen(), Planner(live), Writer(live))


def restore(asset: Asset | Site, state: Path) -> None:
    """Take up the changes of this map that the folder `state` keeps, and keep later ones there."""
    if isinstance(asset, Site):
        return
    asset.live.keep_in(state / "routes" / f"{asset.name}.changes")


def canary(asset: Asset | Site) -> None:
    """ValueError unless a way along one edge costs what the edge costs at most. Of a site: its maps may come later."""
    if isinstance(asset, Site):
        return
    router = asset.live.router
    if isinstance(router, FloorMap):
        free = np.flatnonzero(router.cells.reshape(-1) == FREE)
        if not len(free) or router.cost(int(free[0]), int(free[0])):
            raise ValueError(f"floor {asset.name!r} has no free cell to stand on; build it again")
        return
    a = router.network.arrays
    if not router.network.edges:
        raise ValueError(f"map {asset.name!r} has no edges; build it again from a file with streets")
    cost, tail, head = int(a["edge_cost"][0]), int(a["edge_tail"][0]), int(a["edge_head"][0])
    got = router.cost(tail, head)
    if got > cost and not router.changes():
        raise ValueError(f"map {asset.name!r}: the way along edge 0 costs {got} ms; expected at most {cost}; build it again")


async def run(request: Request, engine: Engine) -> Verdict:
    """Answer all questions. Invalid, NotFound, TooLarge or Failed with a sentence."""
    if isinstance(engine.asset, Site):
        maps = joined(engine.asset, lambda name: engine.station("routes", name).asset)
        return await engine.offload(work_across, request, maps)
    if not any(isinstance(ask, (AskTour, AskReplan, AskUpdate)) for ask in request.asks):
        done = at_once(request, engine.asset)
        return done if done is not None else await engine.offload(work, request, engine.asset)
    start = perf_counter()
    found: list[Found | FoundTour | FoundAcross | FoundAcrossPairs] = []
    for ask in request.asks:
        try:
            found.append(await one(ask, engine))
        except AisleError as error:
            found.append(refused(error, request.batch))
    return Verdict(request, tuple(found), engine.asset.live, {"route": (perf_counter() - start) * 1e3})


async def one(ask: Asked, engine: Engine) -> Found | FoundTour:
    """One answer; tours are searched elsewhere meanwhile."""
    asset: Asset = engine.asset
    if isinstance(ask, AskTour):
        return await asset.planner.tour(ask, engine.offload)
    if isinstance(ask, AskReplan):
        return await asset.planner.replan(ask, engine.offload)
    if isinstance(ask, AskUpdate):
        if not engine.updates:
            raise Forbidden(SWITCHED_OFF)
        return await asset.writer.update(ask, engine.threads)
    if isinstance(ask, (AskAcross, AskAcrossPairs)):
        raise Invalid(ONE_MAP)
    return await engine.offload(answer, asset.live, asset.seen, ask)


def at_once(request: Request, asset: Asset) -> Verdict | None:
    """The answer to one question that is cheaper than going to another thread for it, or None."""
    ask, start = request.asks[0], perf_counter()
    if len(request.asks) > 1 or request.batch or isinstance(ask, (AskTour, AskReplan, AskAcross, AskAcrossPairs)):
        return None
    if due_ns() and perf_counter_ns() > due_ns():
        raise Late("the deadline passed before the question could be looked at")
    found = quick(asset.live, ask)
    return None if found is None else Verdict(request, (found,), asset.live, {"route": (perf_counter() - start) * 1e3})


def work(request: Request, asset: Asset) -> Verdict:
    """`run` on this thread, for questions without tours."""
    start = perf_counter()
    found: list[Found | FoundTour | FoundAcross | FoundAcrossPairs] = []
    for ask in request.asks:
        assert not isinstance(ask, (AskTour, AskReplan))
        try:
            if isinstance(ask, (AskAcross, AskAcrossPairs)):
                raise Invalid(ONE_MAP)
            found.append(answer(asset.live, asset.seen, ask))
        except AisleError as error:
            found.append(refused(error, request.batch))
    return Verdict(request, tuple(found), asset.live, {"route": (perf_counter() - start) * 1e3})


def work_across(request: Request, maps: Joined) -> Verdict:
    """The questions to a site."""
    start = perf_counter()
    found: list[Found | FoundTour | FoundAcross | FoundAcrossPairs] = []
    for ask in request.asks:
        try:
            if isinstance(ask, AskAcross):
                found.append(maps.answer(ask))
            elif isinstance(ask, AskAcrossPairs):
                found.append(maps.pairs(ask))
            else:
                raise Unsupported(f"{maps.site.name!r} is a site, which answers ways between places that name their map: "
                                  "{\"from\": {\"map\": .., ..}, \"to\": {\"map\": .., ..}}; ask its maps for all else: "
                                  + ", ".join(maps.site.maps))
        except AisleError as error:
            found.append(refused(error, request.batch))
    return Verdict(request, tuple(found), maps.lives[maps.site.maps[0]], {"route": (perf_counter() - start) * 1e3})


def refused(error: AisleError, batch: bool) -> Refused:
    """The fault of one question as its answer in a batch; raised where it is the only one."""
    if not batch:
        raise error
    return Refused(error.code, error.sentence)


def from_tensors(inputs: Mapping[str, np.ndarray], decode: Callable[[bytes], np.ndarray]) -> Request:
    """NODES or PLACES: pairs to route. CLOSE with CHANGE: close edges under that name first (none: end that change).

    MAPS with PLACES: pairs of places on the maps of a site.
    """
    asks: list[Ask] = []
    if ("CLOSE" in inputs) != ("CHANGE" in inputs) or ("FOR_S" in inputs and "CLOSE" not in inputs):
        raise Invalid("expected the inputs CLOSE (edges) and CHANGE (a name) together, and FOR_S only with them")
    if "CLOSE" in inputs:
        asks.append(closing(inputs))
    pairs = [inputs[name] for name in ("NODES", "PLACES") if name in inputs]
    if len(pairs) == 2 or not (pairs or asks):
        raise Invalid("expected one of the inputs NODES (int32 n x 2) and PLACES (float64 n x 4: latitude and longitude of "
                      f"both ends), got {'both' if pairs else 'neither'}")
    if "MAPS" in inputs:
        if "PLACES" not in inputs or asks:
            raise Invalid("expected the input MAPS only with PLACES, both ends of each row on a map of a site")
        return Request((across_pairs(inputs["MAPS"], np.array(inputs["PLACES"])),))
    return Request((*asks, *(AskPairs(np.array(rows)) for rows in pairs)))


def closing(inputs: Mapping[str, np.ndarray]) -> AskUpdate:
    """The change that the tensors ask for."""
    raw = inputs["CHANGE"][0]
    name = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)
    if not 0 < len(name) <= 128:
        raise Invalid(f"CHANGE: expected a name of 1 to 128 characters, got {len(name)}")
    edges = tuple(inputs["CLOSE"].tolist())
    if not edges:
        return AskUpdate((), (name,))
    due = due_in(float(inputs["FOR_S"][0])) if "FOR_S" in inputs else NEVER
    return AskUpdate((Change(name, CLOSE, edges=edges, due_ns=due),))


def to_tensors(verdict: Verdict) -> dict[str, np.ndarray]:
    """The ways as OIP tensors: see FoundPairs, and of a site FoundAcrossPairs; VERSION of the weights (of each map)."""
    last = verdict.found[-1]
    if isinstance(last, FoundAcrossPairs):
        lengths = np.bincount(last.legs[:, 0], last.legs[:, 3] - last.legs[:, 2], len(last.costs_ms))
        first = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        return {"COST_MS": last.costs_ms, "FIRST": first, "EDGES": last.edges, "VERSION": last.versions, "LEGS": last.legs}
    empty = FoundPairs(np.empty(0, np.uint32), np.zeros(1, np.int32), np.empty(0, np.int32), verdict.live.router.version)
    found = last if isinstance(last, FoundPairs) else empty
    return {"COST_MS": found.costs_ms, "FIRST": found.first, "EDGES": found.edges,
            "VERSION": np.array([found.version], np.int64), "LEGS": np.empty((0, 4), np.int32)}
