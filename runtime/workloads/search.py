"""Search: what a phrase asks for, in English or Chinese, found by words, attributes and meaning, under the shop's rules.

It is answered by a shop (`recommend`), whose catalogue it follows; see `join`.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import numpy as np

from ...models.bundle import Bundle, BundleError
from ...models.search import kept as disk
from ...models.search.ask import Understood
from ...models.search.fuse import Fused, Liking, cheaper, weight_of
from ...models.search.index import Index
from ...models.search.lexicon import LANGUAGES, read_lexicon
from ...models.search.likeness import BATCH, Likeness
from ...models.search.meaning import question_text
from ...models.search.why import Why, Whys
from ...models.shop.catalogue import Catalogue
from ...models.shop.choose import by_facts, choose, is_quick
from ...models.shop.rules import Masks, Rules, why_none
from ...models.shop.snapshot import Snapshot
from ...models.shop.taste import Taste
from ..errors import AisleError, NotFound
from . import text
from .phrasing import phrasing

log = logging.getLogger("aisle.search")
MAX_EVENTS, MAX_COUNT, MAX_QUESTION = 200, 100, 20_000
AT_ONCE = 5_000            # items up to which a search takes less than a millisecond
LATER = 2_000              # items from which on the index is kept on the disk: it takes half a second to make
MOST_CATEGORIES = 1_000    # that are told in another language
NEWEST = 10                # events that count as taste
SAVE_EVERY = 2_000         # vectors made before they are kept on the disk, for a catalogue that is long in the making
LEXICON = "lexicon.toml"
OFF, ABSENT, FOREIGN, FILLING = "off", "absent", "foreign", "filling"      # why meaning does not count, or not in full


class Engine(Protocol):
    """What this workload may call; see runtime/engine.py."""

    asset: Any

    def station(self, job: str, name: str = "") -> Any:
        """The engine of another station of this server."""

    async def offload(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Run `fn` off the event loop."""


@dataclass(frozen=True)
class Request:
    """`question` of any length (what is read of it is bounded). `events`: ids that the visitor looked at, newest last;
    `taste` 0 to 1: how much they count. `language` of the reasons, "" for that of the question."""

    question: str
    count: int = 10
    rules: Rules = field(default_factory=Rules)
    language: str = ""
    events: tuple[str, ...] = ()
    taste: float = 0.2
    meaning: bool = True


@dataclass(frozen=True)
class Hit:
    """One item found, with what of the question it is."""

    row: int
    score: float
    reasons: Sequence[Why]


@dataclass(frozen=True)
class Verdict:
    """`hits` best first. `price_ignored`: the currency of the question where it is not the shop's. `meaning`: "" where
    meaning counted, else why it did not: OFF, ABSENT (no encoder serves), FOREIGN (it does not read the question), or
    FILLING (some items are still to be encoded). `none`: the rule that left nothing, and how many items each rule left."""

    request: Request
    asked: Understood
    hits: Sequence[Hit]
    snapshot: Snapshot
    searcher: Searcher
    language: str
    meaning: str
    price_ignored: str
    none: tuple[str, Mapping[str, int]] | None
    timings_ms: Mapping[str, float]


@dataclass
class Searcher:
    """What a shop needs to be searched."""

    catalogue: Catalogue
    masks: Masks
    taste: Taste | None
    index: Index
    likeness: Likeness
    currency: str = ""
    encoder_name: str = ""
    phrase: Callable[[str, Sequence[str], str], str] | None = None      # puts the questions of "help me choose" into words
    lexicons: Sequence[Path] = ()                                       # the shop's own
    filling: asyncio.Task[None] | None = field(default=None, repr=False)


def join(bundle: Bundle, catalogue: Catalogue, masks: Masks, taste: Taste | None) -> Searcher:
    """Index a shop's catalogue, and follow it from now on. BundleError where its lexicon is damaged."""
    own = [path] if (path := bundle.path(LEXICON)).is_file() else []
    index = Index(read_lexicon(*own), LATER)
    likeness = Likeness(index)
    catalogue.listen(index.follow)
    catalogue.listen(likeness.follow)
    currency, encoder = bundle.params.get("currency", ""), bundle.params.get("encoder", "")
    if not isinstance(currency, str) or not isinstance(encoder, str):
        raise BundleError(f"bundle {bundle.name!r}: params.currency and params.encoder: expected texts such as \"CNY\" and "
                          f"\"text-encoder\", got {currency!r} and {encoder!r}")
    return Searcher(catalogue, masks, taste, index, likeness, currency.upper(), encoder, phrasing(bundle), own)


def restore(searcher: Searcher, state: Path, name: str) -> None:
    """Keep the index and the vectors of items in the folder `state`, so that a restart does not make them again."""
    searcher.likeness.file = state / "shop" / f"{name}.vectors.npz"
    file, key = state / "shop" / f"{name}.index.npz", disk.key_of(searcher.catalogue.ident, searcher.lexicons)
    made = searcher.index.settle(disk.load(file, key))
    if made is not None:
        try:
            disk.save(file, key, made)
        except OSError as error:
            log.warning("the index cannot be kept in %s and is made again at each start: %s", file, error.strerror or error)
    gc.collect()                    # what was made stays; see recommend.load
    gc.freeze()


async def run(request: Request, engine: Engine, searcher: Searcher) -> Verdict:
    """Answer one question. NotFound, Busy, Late or Failed with a sentence."""
    start = perf_counter()
    asked = read(request.question, searcher)
    stages = {"understand": (perf_counter() - start) * 1e3}
    query, meaning = (await encode(asked, engine, searcher, stages)) if request.meaning else (None, OFF)
    at = perf_counter()
    if len(searcher.catalogue.snapshot) <= AT_ONCE and is_quick(request.rules, request.count):
        verdict = answer(request, asked, query, meaning, searcher)
    else:
        verdict = await engine.offload(answer, request, asked, query, meaning, searcher)
    return replace(verdict, timings_ms={**stages, "search": (perf_counter() - at) * 1e3})


def read(question: str, searcher: Searcher) -> Understood:
    """What a question asks for; words that the text encoder knows are no typing mistakes."""
    encoder = searcher.likeness.encoder
    return searcher.index.understand(question) if encoder is None else searcher.index.understand(question, encoder.is_word)


async def encode(asked: Understood, engine: Engine, searcher: Searcher,
                 stages: dict[str, float]) -> tuple[np.ndarray | None, str]:
    """(the question's vector or None, what keeps meaning from counting in full); encodes new items meanwhile."""
    other = encoder_of(engine, searcher)
    if other is None:
        return None, ABSENT
    keep_filling(engine, searcher)
    if not asked.typed.strip():
        return None, OFF
    told = question_text(asked, searcher.index.lexicon, other.asset)
    if not told:
        return None, FOREIGN
    at = perf_counter()
    found = await text.run(text.Request((told,), query=True), other)
    stages["encode_question"] = (perf_counter() - at) * 1e3
    return found.vectors[0], FILLING if searcher.likeness.waiting else ""


def encoder_of(engine: Engine, searcher: Searcher) -> Any:
    """The engine of the text encoder that serves now, None where there is none."""
    try:
        other = engine.station(text.ROLE, searcher.encoder_name)
    except NotFound:
        searcher.likeness.use(None)
        return None
    searcher.likeness.use(other.asset)
    return other


# ---- the vectors of the items

def keep_filling(engine: Engine, searcher: Searcher) -> None:
    """Encode what waits, beside everything else; one task at a time."""
    if searcher.likeness.waiting and (searcher.filling is None or searcher.filling.done()):
        searcher.filling = asyncio.get_running_loop().create_task(fill(engine, searcher))


async def fill(engine: Engine, searcher: Searcher) -> None:
    """Encode until nothing waits, or until the encoder refuses; the next question goes on."""
    likeness, since = searcher.likeness, 0
    while likeness.waiting:
        other = encoder_of(engine, searcher)
        if other is None:
            return
        rows, texts = await engine.offload(likeness.take)
        if not rows:
            continue
        began = perf_counter()
        try:
            found = await text.run(text.Request(texts), other)
        except AisleError as error:
            likeness.again(rows)
            log.warning("items could not be encoded, the next question tries again: %s", error.sentence)
            return
        except BaseException:
            likeness.again(rows)
            raise
        await engine.offload(likeness.put, other.asset, rows, found.vectors)
        await asyncio.sleep(perf_counter() - began)      # half of the encoder's time is for questions
        since += BATCH
        if since >= SAVE_EVERY or not likeness.waiting:
            since = 0
            await keep(engine, likeness)


async def keep(engine: Engine, likeness: Likeness) -> None:
    """Write the vectors to the disk; where that fails they are made again after a restart, and it is said."""
    try:
        await engine.offload(likeness.save)
    except OSError as error:
        log.warning("the vectors of items cannot be kept in %s: %s", likeness.file, error.strerror or error)


# ---- the answer

def answer(request: Request, asked: Understood, query: np.ndarray | None, meaning: str, searcher: Searcher) -> Verdict:
    """The exact best of what the rules, the exclusions and the price allow."""
    snapshot, index = searcher.catalogue.now(), searcher.index
    language = request.language or asked.language
    found = index.find(asked)
    size = min(len(snapshot), len(found.scores))
    ignored = asked.band.currency if asked.band and asked.band.currency not in ("", searcher.currency) else ""
    allowed = searcher.masks.allowed(snapshot, request.rules.filters)
    out = np.ones(len(snapshot), bool)
    out[:size] = found.excluded[:size]
    if asked.band is not None and not ignored:
        price = snapshot.price.astype(np.float64)          # NaN fits no band
        out |= ~((price >= asked.band.low) & (price <= asked.band.high))
    free = allowed.but(out)
    words = np.zeros(len(snapshot), np.float32)
    words[:size] = found.scores[:size]
    only_rules = not (asked.terms or asked.wanted or asked.measures) and not asked.empty
    if only_rules:                                         # "under 50", "not leather": all that is left, in the shop's order
        words[:] = 1.0
    words /= max(1.0 if only_rules else found.most, 1e-9)
    view = searcher.likeness.view(len(snapshot)) if query is not None and not only_rules and len(snapshot) else None
    low_price = cheaper(snapshot.price, words, free) if asked.cheap else None
    ranking = Fused(words, free, view, query if view is not None else None, low_price, weight_of(index.grasp(asked)),
                    liked(request, snapshot, searcher))
    rows, scores = choose(ranking, snapshot, request.rules, request.count, by_facts(snapshot)) if not asked.empty else ([], [])
    whys = Whys(asked, index, language, view, query, asked.band is not None and not ignored)
    hits = [Hit(row, score, whys(row)) for row, score in zip(rows, scores, strict=True)]
    none = why_none(snapshot, request.rules.filters, 0) if not hits and not allowed.count else None
    return Verdict(request, asked, hits, snapshot, searcher, language, meaning, ignored, none, {})


def liked(request: Request, snapshot: Snapshot, searcher: Searcher) -> Liking | None:
    """What the visitor's taste adds to rows, 0 to `request.taste`; None without one.

    The taste is the mean of what the fitted recommender knows of the items looked at last.
    """
    taste = searcher.taste
    if taste is None or not request.events or not request.taste:
        return None
    vectors = [vector for ident in request.events[-NEWEST:]
               if (vector := taste.vector(ident, snapshot.row(ident))) is not None]
    if not vectors:
        return None
    return Liking(taste.vectors.view(len(snapshot)), np.mean(vectors, axis=0).astype(np.float32), request.taste)


def notes(searcher: Searcher) -> list[str]:
    """What somebody who looks at the server's health should know."""
    if searcher.likeness.encoder is None:
        return ["search goes by words and attributes alone: no text encoder has answered yet; where there is none, make one "
                "with `aisle search encoder`"]
    left = searcher.likeness.waiting
    return [f"search by meaning is still to learn {left} items"] if left else []


def about(searcher: Searcher) -> dict[str, Any]:
    """What people want to know of a shop's search."""
    likeness = searcher.likeness
    searcher.index.settle()
    parts = {path.rpartition("/")[2] for path in searcher.catalogue.now().categories[:MOST_CATEGORIES]}
    encoder = None if likeness.encoder is None else {"name": likeness.encoder.name, "version": likeness.encoder.version,
                                                     "languages": list(likeness.encoder.languages)}
    return {"items": searcher.index.postings.items, "terms": len(searcher.index.terms), "currency": searcher.currency,
            "facets": len(searcher.index.lexicon.values), "encoder": encoder,
            "categories": {language: searcher.index.lexicon.called(parts, language) for language in LANGUAGES},
            "items_to_encode": likeness.waiting if encoder else None}
