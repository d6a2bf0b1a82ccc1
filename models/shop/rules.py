"""By which rules items may be shown: hard rules become the bitmap of the exact top-k, soft ones a bias, list rules a choice."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from threading import Lock

import numpy as np

from .item import ShopError
from .snapshot import NO_STOCK, Snapshot

CACHED = 32                # masks of the same filters on the same catalogue


@dataclass(frozen=True)
class Filters:
    """Hard rules: what does not fit is never shown. Empty means any.

    `categories` and `not_categories` are paths and take what lies below them too. `attributes`: (name, values), of which
    the item has one; `not_attributes` likewise, of which it has none. `ranges`: (name, least, most) of attributes that are
    numbers. With a bound on the price, items without a price do not fit.
    """

    in_stock: bool = True
    price_least: float | None = None
    price_most: float | None = None
    categories: tuple[str, ...] = ()
    not_categories: tuple[str, ...] = ()
    brands: tuple[str, ...] = ()
    not_brands: tuple[str, ...] = ()
    attributes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    not_attributes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    ranges: tuple[tuple[str, float, float], ...] = ()


@dataclass(frozen=True)
class Rules:
    """All rules of one question. `per_brand` and `per_category`: at most so many in the list, 0 for any number; items
    without a brand (category) are not counted. `diversity` 0 to 1: how much likeness to what is already in the list counts
    against an item. `window`: how many of the best are looked at for that, at least the count asked for.
    `margin_weight` times its margin is added to an item's score.
    """

    filters: Filters = Filters()
    margin_weight: float = 0.0
    per_brand: int = 0
    per_category: int = 0
    diversity: float = 0.0
    window: int = 100

    def __post_init__(self) -> None:
        if not 0 <= self.diversity <= 1 or self.per_brand < 0 or self.per_category < 0 or self.window < 1:
            raise ShopError(f"expected diversity from 0 to 1, caps from 0, a window from 1, got {self}")


@dataclass(frozen=True)
class Allowed:
    """The rows that may be shown: `bitmap` uint8 ((n + 7) // 8,) with a 1 for each row that may not, and how many may."""

    bitmap: np.ndarray
    count: int

    @classmethod
    def of(cls, mask: np.ndarray) -> Allowed:
        """The rows where bool (n,) is true."""
        return cls(np.packbits(~mask, bitorder="little"), int(mask.sum()))

    def without(self, rows: Iterable[int]) -> Allowed:
        """The same without some rows."""
        bitmap, count = self.bitmap.copy(), self.count
        for row in rows:
            bit = 1 << (row & 7)
            if not bitmap[row >> 3] & bit:
                bitmap[row >> 3] |= bit
                count -= 1
        return Allowed(bitmap, count)

    def but(self, mask: np.ndarray) -> Allowed:
        """The same without the rows where bool (n,) is true."""
        bitmap = self.bitmap | np.packbits(mask, bitorder="little")
        return Allowed(bitmap, int((np.unpackbits(bitmap, count=len(mask), bitorder="little") == 0).sum()))

    def rows(self, size: int) -> np.ndarray:
        """The rows themselves, int64, rising, of a catalogue with so many rows."""
        return np.flatnonzero(np.unpackbits(self.bitmap, count=size, bitorder="little") == 0)

    def has(self, rows: np.ndarray) -> np.ndarray:
        """Which of these rows may be shown, bool."""
        free: np.ndarray = self.bitmap[rows >> 3] >> (rows & 7).astype(np.uint8) & 1 == 0
        return free


class Masks:
    """What filters allow, kept for the last few filters while the catalogue does not change. Safe from any thread."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, Filters], Allowed] = OrderedDict()
        self._lock = Lock()

    def allowed(self, snapshot: Snapshot, filters: Filters) -> Allowed:
        """The rows of the snapshot that fit."""
        key = (snapshot.version, filters)
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
                return found
        found = Allowed.of(fitting(snapshot, filters))
        with self._lock:
            self._kept[key] = found
            while len(self._kept) > CACHED:
                self._kept.popitem(last=False)
        return found


def fitting(snapshot: Snapshot, filters: Filters) -> np.ndarray:
    """Which rows fit, bool (n,)."""
    mask = np.ones(len(snapshot), bool)
    for _, one in steps(snapshot, filters):
        mask &= one
    return mask


def steps(snapshot: Snapshot, filters: Filters) -> Iterable[tuple[str, np.ndarray]]:
    """(the rule's name, which rows fit it) for each rule that is asked for, the shop's own first."""
    yield "sold", snapshot.alive & ~snapshot.blocked
    if filters.in_stock:
        yield "stock", (snapshot.stock > 0) | (snapshot.stock == NO_STOCK)
    if filters.price_least is not None or filters.price_most is not None:
        least = -np.inf if filters.price_least is None else filters.price_least
        most = np.inf if filters.price_most is None else filters.price_most
        price = snapshot.price.astype(np.float64)             # NaN fits nothing
        yield "price", (np.float32(least) <= price) & (price <= np.float32(most))
    for name, paths, wanted in (("category", filters.categories, True), ("not_category", filters.not_categories, False)):
        if paths:
            below = np.any([snapshot.below(path) for path in paths], axis=0)
            yield name, below[snapshot.category] == wanted
    for name, brands, wanted in (("brand", filters.brands, True), ("not_brand", filters.not_brands, False)):
        if brands:
            named = np.array([brand in brands for brand in snapshot.brands], bool)
            yield name, named[snapshot.brand] == wanted
    for name, values in filters.attributes:
        yield f"attributes.{name}", having(snapshot, name, values)
    for name, values in filters.not_attributes:
        yield f"not_attributes.{name}", ~having(snapshot, name, values)
    for name, low, high in filters.ranges:
        numbers = snapshot.numbers(name)
        yield f"ranges.{name}", (np.float32(low) <= numbers) & (numbers <= np.float32(high))


def having(snapshot: Snapshot, name: str, values: Iterable[str]) -> np.ndarray:
    """Which rows have one of these values of an attribute, bool (n,)."""
    mask = np.zeros(len(snapshot), bool)
    for value in values:
        mask[snapshot.having(name, value)] = True
    return mask


def why_none(snapshot: Snapshot, filters: Filters, hidden: int) -> tuple[str, dict[str, int]]:
    """Where nothing may be shown: the rule after which nothing was left, and how many items each rule left.

    `hidden` items were taken out by id (blocked in the question, or seen already).
    """
    mask, left, last = np.ones(len(snapshot), bool), {}, "sold"
    for name, one in steps(snapshot, filters):
        mask &= one
        left[name] = int(mask.sum())
        last = name
        if not left[name]:
            return name, left
    if hidden:
        left["hidden"], last = max(left[last] - hidden, 0), "hidden"
    return last, left
