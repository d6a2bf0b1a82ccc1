"""A shop's catalogue: read once, changed while it is asked, and nothing that was confirmed is lost by a crash.

    catalogue = Catalogue.read(Path("corner.csv"))
    catalogue.keep_in(journal)                  # runtime/journal_lines.py: Lines(path)
    snapshot = catalogue.now()                  # immutable; ask it once a query
    catalogue.update([Price("boot-7", 59.0), Stock("boot-7", 3), Put(item), Remove("cap-1")])
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .item import Item, ShopError, make_item, plain_item
from .read import MAX_ITEMS, read_items
from .snapshot import EMPTY, Draft, Snapshot

MAX_CHANGES = 10_000       # of one update
COMPACT = 4096             # records in the journal before it is looked at
CHUNK = 500                # items of one record of a compacted journal


@dataclass(frozen=True)
class Put:
    """Add an item, or replace the one with its id."""

    item: Item


@dataclass(frozen=True)
class Remove:
    """Take an item out of the shop."""

    id: str


@dataclass(frozen=True)
class Price:
    """A new price; None: not said."""

    id: str
    price: float | None


@dataclass(frozen=True)
class Stock:
    """How many there are now; None: nobody counts."""

    id: str
    stock: int | None


@dataclass(frozen=True)
class Block:
    """Never show an item, or show it again."""

    id: str
    blocked: bool


@dataclass(frozen=True)
class Margin:
    """A new margin."""

    id: str
    margin: float


Change = Put | Remove | Price | Stock | Block | Margin
Listener = Callable[[Snapshot, np.ndarray, np.ndarray], None]


class Journal(Protocol):
    """Where changes are kept; see runtime/journal_lines.py."""

    def stale(self) -> bool:
        """True where there are records that `new` has not given."""

    def locked(self) -> AbstractContextManager[None]:
        """One writer at a time."""

    def new(self) -> tuple[bool, list[Any]]:
        """(True where all records follow again, records since the last look)."""

    def append(self, records: Sequence[Any]) -> None:
        """Add records; they are on the disk when this returns."""

    def rewrite(self, records: Sequence[Any]) -> None:
        """Replace all records."""


class Catalogue:
    """All methods are safe from any thread. Queries take `now()` once and work on that."""

    def __init__(self, items: Sequence[Item], ident: str = "") -> None:
        draft = Draft(EMPTY)
        for item in items:
            if draft.row(item.id) is not None:
                raise ShopError(f"id {item.id!r} is given twice; expected an id of its own for each item")
            draft.put(item)
        self.ident = ident                        # of the file: changes kept for another file no longer hold
        self.snapshot = draft.done(0)
        self.faults: tuple[str, ...] = ()         # lines of the file that were left out
        self.dropped = 0                          # records kept for another file
        self._base = self.snapshot
        self._listeners: list[Listener] = []
        self._journal: Journal | None = None
        self._records = 0
        self._writing = False
        self._lock = threading.Lock()

    @classmethod
    def read(cls, path: Path, *, skip_broken: bool = False) -> Catalogue:
        """The catalogue of a csv or JSON lines file; see `read_items`. ShopError names what is wrong by line."""
        items, faults = read_items(path, skip_broken=skip_broken)
        made = cls(items, hashlib.sha256(path.read_bytes()).hexdigest()[:16])
        made.faults = tuple(faults)
        return made

    def keep_in(self, journal: Journal) -> None:
        """Take up the changes kept there, and keep all later ones there. OSError as the disk says it."""
        with self._lock:
            self._journal = journal
            with journal.locked():
                self._catch_up()

    def listen(self, listener: Listener) -> None:
        """Call `listener(snapshot, rows, told)` at each change, before a query sees the snapshot: the rows touched and, of
        these, those whose texts or facets differ (new, changed, removed), both int32, rising. It runs on the thread that
        changes the catalogue, must not raise, and is called for all rows at once when it begins to listen."""
        with self._lock:
            self._listeners.append(listener)
            every = np.arange(len(self.snapshot), dtype=np.int32)
            listener(self.snapshot, every, every)

    def now(self) -> Snapshot:
        """The catalogue at this moment."""
        if self._journal is not None and not self._writing and self._journal.stale():
            with self._lock, self._journal.locked():
                self._catch_up()
        return self.snapshot

    def update(self, changes: Sequence[Change]) -> Snapshot:
        """Make all of the changes, in order, or none; on the disk before any query sees them. The snapshot that has them.

        ShopError names the place of a change that cannot be made; OSError where the disk fails, and nothing is changed.
        """
        if not 0 < len(changes) <= MAX_CHANGES:
            raise ShopError(f"expected 1 to {MAX_CHANGES} changes in one update, got {len(changes)}")
        with self._lock, self._journal.locked() if self._journal else nullcontext():
            self._catch_up()
            draft = Draft(self.snapshot)
            for at, change in enumerate(changes):
                apply(draft, change, f"changes[{at}]")
            version = self.snapshot.version + 1
            self._keep(draft, version)
            self._publish(draft, version)
            return self.snapshot

    # ---- under the lock

    def _keep(self, draft: Draft, version: int) -> None:
        """One record with the items as they are now."""
        if self._journal is None:
            return
        self._writing = True                      # queries do not wait for the disk, they see what was before
        try:
            self._journal.append([self._record(draft.items, draft.alive, draft.changed().tolist(), version)])
            self._records += 1
        finally:
            self._writing = False

    def _record(self, items: Sequence[Item], alive: Callable[[int], bool], rows: Sequence[int], version: int) -> dict[str, Any]:
        return {"file": self.ident, "version": version, "put": [plain_item(items[row]) for row in rows if alive(row)],
                "gone": [items[row].id for row in rows if not alive(row)]}

    def _publish(self, draft: Draft, version: int) -> None:
        made, rows = draft.done(version), draft.changed()
        told = np.array(sorted(draft.told), np.int32)
        try:
            for listener in self._listeners:
                listener(made, rows, told)
        finally:
            self.snapshot = made

    def _catch_up(self) -> None:
        """Read what is kept and not yet known; write the journal anew where it is mostly history."""
        if self._journal is None or not self._journal.stale():
            return
        replaced, records = self._journal.new()
        if replaced:
            self._records = 0
        self._records += len(records)
        mine = [record for record in records if record["file"] == self.ident]
        self.dropped += len(records) - len(mine)
        if mine:
            draft = Draft(self.snapshot)
            for record in mine:
                for table in record["put"]:
                    draft.put(make_item(table))
                for ident in record["gone"]:
                    row = draft.row(ident)
                    if row is not None:
                        draft.remove(row)
            self._publish(draft, max(self.snapshot.version, mine[-1]["version"]))
        if self._records > COMPACT:
            self._compact(self._journal)

    def _compact(self, journal: Journal) -> None:
        """One record for each few items that are not as the file has them."""
        now, base = self.snapshot, self._base
        same = [row < len(base) and now.alive[row] and now.items[row] == base.items[row] for row in range(len(now))]
        rows = [row for row, alike in enumerate(same) if not alike and (row < len(base) or now.alive[row])]
        chunks = [rows[at:at + CHUNK] for at in range(0, len(rows), CHUNK)] or [[]]
        alive = now.alive.tolist()
        journal.rewrite([self._record(now.items, alive.__getitem__, chunk, now.version) for chunk in chunks])
        self._records = len(chunks)


def apply(draft: Draft, change: Change, place: str) -> None:
    """Make one change in a draft. ShopError with its place."""
    if isinstance(change, Put):
        if draft.row(change.item.id) is None and len(draft.items) >= MAX_ITEMS:
            raise ShopError(f"{place}: the catalogue has {MAX_ITEMS} items and takes no more; remove some and restart")
        draft.put(change.item)
        return
    row = draft.row(change.id)
    if row is None or not draft.alive(row):
        raise ShopError(f"{place}: no item has the id {change.id!r}; add it first")
    if isinstance(change, Remove):
        draft.remove(row)
    else:
        draft.put(replace(draft.items[row], **settled(change)))


def settled(change: Price | Stock | Block | Margin) -> Mapping[str, Any]:
    """The field that a change sets."""
    name = type(change).__name__.lower()
    name = "blocked" if name == "block" else name
    return {name: getattr(change, name)}
