"""Recommending: what to show a visitor of this shop next, by its rules and with reasons; the catalogue's live changes."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol
from weakref import WeakValueDictionary

import numpy as np

from ...models.bundle import Bundle, BundleError, TensorSpec
from ...models.recommend.format import fitted_of, history
from ...models.shop.catalogue import Catalogue
from ...models.shop.choose import is_quick
from ...models.shop.item import MAX_ID, Item, ShopError
from ...models.shop.read import MAX_ITEMS
from ...models.shop.rules import Masks
from ...models.shop.snapshot import Snapshot
from ...models.shop.taste import Taste
from ...models.shop.together import Together
from ..errors import Forbidden, Invalid
from ..journal_lines import Lines
from . import choose, search
from .recommend_answer import answer, past_of
from .recommend_asks import (
    Ask,
    AskItems,
    AskRead,
    AskUpdate,
    AskVisitor,
    Event,
    Found,
    FoundItems,
    FoundRead,
    FoundUpdate,
    FoundVisitor,
)
from .recommend_privacy import Privacy
from .recommend_writer import Writer

ROLES = ("backbone",)
INPUTS = (
    TensorSpec("ITEMS", "bytes", (None,)), TensorSpec("COUNT", "int32", (1,), optional=True),
    TensorSpec("HIDE", "bytes", (None,), optional=True),
)
OUTPUTS = (TensorSpec("IDS", "bytes", (None,)), TensorSpec("SCORES", "float32", (None,)), TensorSpec("VERSION", "int64", (1,)))
SWITCHED_OFF = ("changing catalogues is switched off on this server; repository.updates = \"yes\" in its configuration allows "
                "it (\"control\", the default, is as repository.control says)")
OLDER = 3                  # journals of older files of a catalogue that are kept
ENCODER_US = 400           # what the encoder may take on the event loop: less than the list that follows
AT_ONCE = 200_000          # items up to which an answer takes less than a way to another thread and back is worth


# Of each shop for as long as one of its versions is open: the next one takes it over.
TOGETHER: WeakValueDictionary[str, Together] = WeakValueDictionary()


class Engine(Protocol):
    """What this workload may call; see runtime/engine.py."""

    asset: Any
    updates: bool

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that have a model."""

    def station(self, job: str, name: str = "") -> Any:
        """The engine of another station of this server."""

    async def infer(self, role: str, fill: Callable[[Any], None], read: Callable[[Any], Any], *, at_once_us: int = 0) -> Any:
        """Run one row of a model, here where it takes no longer than `at_once_us`."""

    async def offload(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Run `fn` off the event loop."""


@dataclass(frozen=True)
class Request:
    """One question."""

    ask: Ask


@dataclass(frozen=True)
class Verdict:
    """Its answer. `timings_ms` by stage."""

    request: Request
    found: Found
    timings_ms: Mapping[str, float]


@dataclass
class Asset:
    """A shop that answers. `taste` is None for a shop of which only the catalogue is known."""

    name: str
    catalogue: Catalogue
    taste: Taste | None
    privacy: Privacy
    writer: Writer
    search: search.Searcher
    masks: Masks
    together: Together = field(default_factory=Together)
    _bias: tuple[tuple[int, float], np.ndarray] | None = None

    def bias(self, snapshot: Snapshot, weight: float) -> np.ndarray | None:
        """`weight` times the margin of every row, float32 (n,); None for a weight of 0. The last one is kept."""
        if not weight:
            return None
        key, kept = (snapshot.version, weight), self._bias
        if kept is None or kept[0] != key:
            kept = self._bias = (key, (snapshot.margin * np.float32(weight)).astype(np.float32))
        return kept[1]


def load(bundle: Bundle) -> Asset:
    """The shop of a bundle: its catalogue, or the items of the fit where it has none. BundleError says what is damaged."""
    fitted = fitted_of(bundle) if "format" in bundle.params else None
    named = bundle.params.get("catalogue")
    if named is None and fitted is None:
        raise BundleError(f"bundle {bundle.name!r} has neither a catalogue (params.catalogue) nor a fit; make one with "
                          "`aisle shop make CATALOGUE` or `aisle recommend fit`")
    try:
        if named is None:
            assert fitted is not None
            digest = bundle.sha256.get("ids.txt", "")
            catalogue = Catalogue([Item(ident, ident) for ident in fitted.ids[:MAX_ITEMS]], digest[:16])
        else:
            catalogue = Catalogue.read(bundle.path(str(named)))
    except ShopError as error:
        raise BundleError(str(error)) from None
    taste, masks = None if fitted is None else Taste(fitted, catalogue), Masks()
    made = Asset(bundle.name, catalogue, taste, Privacy.of(bundle.params.get("privacy", {})), Writer(catalogue),
                 search.join(bundle, catalogue, masks, taste), masks)
    # A catalogue is some hundred thousand objects that stay: a full pass of the collector over them would hold up requests
    # for a tenth of a second, so that it is told to leave them alone. What dies is freed all the same.
    gc.collect()
    gc.freeze()
    return made


def restore(asset: Asset, state: Path) -> None:
    """Take up the changes of this catalogue that the folder `state` keeps, and keep later ones there; open the visits.

    A bundle that is loaded anew goes on with the visits in memory and with what this shop counted.
    """
    shop = state / "shop"
    mine = shop / f"{asset.name}-{asset.catalogue.ident}.changes"
    asset.catalogue.keep_in(Lines(mine))
    clean(shop, asset.name, mine)
    asset.privacy.keep_in(shop / f"{asset.name}.visits")
    asset.together = TOGETHER.setdefault(str(shop / asset.name), asset.together)
    search.restore(asset.search, state, asset.name)


def clean(shop: Path, name: str, mine: Path) -> None:
    """Remove what was told of older files of this catalogue, but for the last few."""
    own = re.compile(re.escape(name) + r"-[0-9a-f]{16}\.changes")
    others = sorted((p for p in shop.iterdir() if own.fullmatch(p.name) and p != mine), key=lambda p: p.stat().st_mtime)
    for path in others[:-OLDER] if len(others) > OLDER else ():
        path.unlink(missing_ok=True)
        path.with_suffix(".lock").unlink(missing_ok=True)


def canary(asset: Asset) -> None:
    """ValueError unless some item may be shown by the shop's own rules, or none is sold at all."""
    snapshot = asset.catalogue.now()
    if not len(snapshot):
        raise ValueError(f"shop {asset.name!r} has no items")
    if asset.taste is not None and not np.isfinite(asset.taste.vectors.floats[:len(snapshot)]).all():
        raise ValueError(f"shop {asset.name!r} has an item whose vector is not finite; fit it again")


async def run(request: Request | search.Request | choose.Request, engine: Engine) -> Verdict | search.Verdict | choose.Verdict:
    """Answer one question. Invalid, Forbidden, Busy, Late or Failed with a sentence."""
    if isinstance(request, search.Request):
        return await search.run(request, engine, engine.asset.search)
    if isinstance(request, choose.Request):
        return await choose.run(request, engine, engine.asset.search)
    start, asset, ask = perf_counter(), engine.asset, request.ask
    stages: dict[str, float] = {}
    found: Found
    if isinstance(ask, AskItems):
        found = await items(ask, asset, engine, stages)
    elif isinstance(ask, AskUpdate):
        if not engine.updates:
            raise Forbidden(SWITCHED_OFF)
        found = FoundUpdate(await asset.writer.update(ask.changes), len(ask.changes))
    elif isinstance(ask, AskVisitor):
        events, where = await asset.privacy.visitor(ask.do, ask.visitor, engine.offload)
        found = FoundVisitor(ask.do, events, where)
    else:
        found = read(ask, asset)
    return Verdict(request, found, {**stages, "recommend": (perf_counter() - start) * 1e3})


async def items(ask: AskItems, asset: Asset, engine: Engine, stages: dict[str, float]) -> FoundItems:
    """What to show; then what is sent of the visit is kept, so that what was refused is not."""
    kept = await asset.privacy.read(ask.visitor, engine.offload)
    snapshot = asset.catalogue.now()
    past = past_of(asset, snapshot, ask, kept)
    taste = None
    if asset.taste is not None and engine.roles and len(past.vectors):
        fitted, rows, at = asset.taste.fitted, history(asset.taste.fitted, past.vectors), perf_counter()
        taste = await engine.infer("backbone", lambda row: row["history"].__setitem__(..., rows),
                                   lambda row: np.array(row["taste"], np.float32).reshape(fitted.depth),
                                   at_once_us=ENCODER_US)
        stages["encode_history"] = (perf_counter() - at) * 1e3
    found: FoundItems
    if len(snapshot) <= AT_ONCE and is_quick(ask.rules, ask.count):
        found = answer(asset, snapshot, ask, past, taste)
    else:
        found = await engine.offload(answer, asset, snapshot, ask, past, taste)
    if ask.visitor is not None and ask.events:
        await asset.privacy.add(ask.visitor, ask.events, engine.offload)
        count_together(asset, kept, ask.events)
    return found


def count_together(asset: Asset, kept: tuple[Event, ...], events: tuple[Event, ...]) -> None:
    """Count what a visitor who let himself be remembered looked at; who it was is not part of it."""
    if not asset.privacy.learn:
        return
    snapshot = asset.catalogue.snapshot
    visit = [event.item for event in kept]
    for event in events[-50:]:
        if event.item in snapshot.rows:
            asset.together.add(event.item, visit)
            visit.append(event.item)


def read(ask: AskRead, asset: Asset) -> FoundRead:
    """Items by id, or what the catalogue is."""
    snapshot = asset.catalogue.now()
    rows = {ident: snapshot.row(ident) for ident in ask.ids}
    facts = {} if ask.ids else about(asset)
    return FoundRead(snapshot, {ident: None if row is None else snapshot.items[row] for ident, row in rows.items()}, facts)


def about(asset: Asset) -> dict[str, Any]:
    """What people want to know of a shop."""
    snapshot = asset.catalogue.now()
    sold = snapshot.alive & ~snapshot.blocked
    fitted = None if asset.taste is None else asset.taste.fitted
    return {
        "items": int(snapshot.alive.sum()), "shown": int((sold & (snapshot.stock != 0)).sum()), "changes": snapshot.version,
        "categories": len(snapshot.categories) - 1, "brands": len(snapshot.brands) - 1,
        "facets": {name: len(values) for name, values in snapshot.facets.items()},
        "fitted": None if fitted is None else {"items": len(fitted.ids), "depth": fitted.depth, "length": fitted.length},
        "broken_lines": list(asset.catalogue.faults[:20]), **asset.privacy.about(),
    }


def from_tensors(inputs: Mapping[str, np.ndarray], decode: Callable[[bytes], np.ndarray]) -> Request:
    """ITEMS: ids of the visit, oldest first; COUNT of items to show; HIDE: ids not to show. Nothing is kept."""
    events = tuple(Event(ident) for ident in texts(inputs["ITEMS"], "ITEMS", 10_000))
    hidden = texts(inputs["HIDE"], "HIDE", 10_000) if "HIDE" in inputs else ()
    count = int(inputs["COUNT"][0]) if "COUNT" in inputs else 10
    if not 1 <= count <= 100:
        raise Invalid(f"COUNT: expected 1 to 100 items, got {count}")
    return Request(AskItems(events, count, blocked=hidden, explain=False))


def texts(values: np.ndarray, name: str, most: int) -> tuple[str, ...]:
    """Ids of a tensor of bytes."""
    if len(values) > most:
        raise Invalid(f"{name}: expected at most {most} ids, got {len(values)}")
    made = tuple(v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values.tolist())
    for ident in made:
        if not 0 < len(ident) <= MAX_ID:
            raise Invalid(f"{name}: expected ids of 1 to {MAX_ID} characters, got one of {len(ident)}")
    return made


def to_tensors(verdict: Verdict) -> dict[str, np.ndarray]:
    """The ids and scores of what to show, best first."""
    found = verdict.found
    assert isinstance(found, FoundItems)
    ids = [found.snapshot.items[one.row].id.encode() for one in found.shown]
    return {"IDS": np.array(ids, object), "SCORES": np.array([one.score for one in found.shown], np.float32),
            "VERSION": np.array([found.snapshot.version], np.int64)}


def notes(asset: Asset) -> list[str]:
    """What somebody who looks at the server's health should know."""
    return search.notes(asset.search)
