"""What a shop can be asked, and what it answers: plain data, without bytes and without a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ...models.shop.catalogue import Change
from ...models.shop.item import Item
from ...models.shop.reasons import Reason
from ...models.shop.rules import Rules
from ...models.shop.snapshot import Snapshot

HIDE = ("seen", "bought", "none")
MAX_EVENTS, MAX_COUNT, MAX_HIDDEN = 10_000, 100, 10_000


class Event(NamedTuple):
    """`kind`: view, cart or buy. `time`: seconds, only to order events."""

    item: str
    kind: str = "view"
    time: float | None = None


@dataclass(frozen=True)
class AskItems:
    """What to show a visitor.

    `events` oldest first (or all with a time). Without `visitor` nothing of them is kept; with one they are added to what
    is kept. `hide`: items of the history that are not shown again. `blocked`: ids never shown. `item`: what the visitor has
    before him now; counts as the newest event and is never shown.
    """

    events: tuple[Event, ...] = ()
    count: int = 10
    rules: Rules = field(default_factory=Rules)
    visitor: str | None = field(default=None, repr=False)
    hide: str = "seen"
    blocked: tuple[str, ...] = ()
    item: str | None = None
    language: str = "en"
    explain: bool = True


@dataclass(frozen=True)
class AskUpdate:
    """Changes of the catalogue, all or none."""

    changes: tuple[Change, ...]


@dataclass(frozen=True)
class AskRead:
    """Items of the catalogue by id; none: what the catalogue is."""

    ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class AskVisitor:
    """What is kept of a visitor: `do` is export or erase."""

    do: str
    visitor: str = field(repr=False)


Ask = AskItems | AskUpdate | AskRead | AskVisitor


@dataclass(frozen=True)
class Shown:
    """One item of the answer. `margin` is the part of the score that the shop's own interest made."""

    row: int
    score: float
    margin: float
    reasons: Sequence[Reason]


@dataclass(frozen=True)
class FoundItems:
    """`basis`: taste (the fitted model), together (what goes together), or trend. `allowed` items fit the rules.

    `given` events, of which the last `used` counted; `unknown` of them were not of this shop. `none` says why nothing could
    be shown: the rule that left nothing, and how many items each rule left.
    """

    shown: Sequence[Shown]
    snapshot: Snapshot
    basis: str
    allowed: int
    given: int
    used: int
    unknown: Sequence[str] = ()
    none: tuple[str, Mapping[str, int]] | None = None


@dataclass(frozen=True)
class FoundUpdate:
    """The catalogue that has the changes."""

    snapshot: Snapshot
    changes: int


@dataclass(frozen=True)
class FoundRead:
    """Items, None for one that is not sold."""

    snapshot: Snapshot
    items: Mapping[str, Item | None]
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class FoundVisitor:
    """`events` kept (after an erasure: that were kept)."""

    do: str
    events: Sequence[Event]
    where: str


Found = FoundItems | FoundUpdate | FoundRead | FoundVisitor
