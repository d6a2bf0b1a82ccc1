"""The catalogue at one moment: items by row with their columns, never changed once it is seen by a query."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from .item import Item, plain

NO_STOCK = -1              # nobody counts this item
NONE = np.empty(0, np.int32)


@dataclass(frozen=True)
class Snapshot:
    """Row i of every array is item i, for as long as the process lives; a removed item is not `alive` and its row stays.

    `alive`, `blocked` bool (n,); `price` float32 (n,), NaN where it is not said; `stock` int32 (n,), NO_STOCK where nobody
    counts; `margin` float32 (n,); `category`, `brand` int32 (n,): places in `categories` and `brands` ("" is place 0).
    """

    version: int
    items: Sequence[Item]
    rows: Mapping[str, int]                       # id -> row, of removed items too
    alive: np.ndarray
    blocked: np.ndarray
    price: np.ndarray
    stock: np.ndarray
    margin: np.ndarray
    category: np.ndarray
    brand: np.ndarray
    categories: Sequence[str]
    brands: Sequence[str]
    facets: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)   # name -> value -> rows, int32 rising

    def __len__(self) -> int:
        """Rows, those of removed items too."""
        return len(self.alive)

    def row(self, ident: str) -> int | None:
        """The row of an item that is sold now, else None."""
        row = self.rows.get(ident)
        return None if row is None or row >= len(self.alive) or not self.alive[row] else row

    def having(self, name: str, value: str | float) -> np.ndarray:
        """The rows with that value of an attribute, int32, rising; removed items among them."""
        return self.facets.get(name, {}).get(plain(value), NONE)

    def numbers(self, name: str) -> np.ndarray:
        """An attribute as numbers, float32 (n,), NaN where it is missing or a text."""
        found = np.full(len(self), np.nan, np.float32)
        for rows in self.facets.get(name, {}).values():
            value = self.items[rows[0]].attributes.get(name) if len(rows) else None
            if isinstance(value, float):
                found[rows] = value
        return found

    def below(self, path: str) -> np.ndarray:
        """Which places of `categories` are `path` or lie below it, bool."""
        return np.array([one == path or one.startswith(path + "/") for one in self.categories], bool)


EMPTY = Snapshot(0, (), MappingProxyType({}), np.zeros(0, bool), np.zeros(0, bool), np.zeros(0, np.float32),
                 np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros(0, np.int32), np.zeros(0, np.int32), ("",), ("",))


class Draft:
    """A snapshot being made of another: copies what it changes, leaves what it does not."""

    def __init__(self, old: Snapshot) -> None:
        self.old = old
        self.items = list(old.items)
        self.added: dict[str, int] = {}           # ids that the old snapshot does not know
        self.gone: dict[int, bool] = {}           # rows that were touched -> whether they are removed now
        self.told: set[int] = set()               # of these, rows whose texts or facets differ, or that came or went

    def row(self, ident: str) -> int | None:
        """The row of an id, of a removed item too."""
        return self.added.get(ident, self.old.rows.get(ident))

    def alive(self, row: int) -> bool:
        """Whether the item of a row is sold."""
        return not self.gone[row] if row in self.gone else bool(self.old.alive[row])

    def put(self, item: Item) -> None:
        """Add an item or replace the one with its id."""
        row = self.row(item.id)
        if row is None:
            row = self.added[item.id] = len(self.items)
            self.items.append(item)
            self.told.add(row)
        else:
            if not self.alive(row) or texts(self.items[row]) != texts(item):
                self.told.add(row)
            self.items[row] = item
        self.gone[row] = False

    def remove(self, row: int) -> None:
        """Take an item out of the shop."""
        self.gone[row] = True
        self.told.add(row)

    def changed(self) -> np.ndarray:
        """The rows touched, int32, rising."""
        return np.array(sorted(self.gone), np.int32)

    def done(self, version: int) -> Snapshot:
        """The snapshot. What it holds is shared with nobody who writes."""
        old, rows, size = self.old, self.changed(), len(self.items)
        now = [self.items[row] for row in rows.tolist()]
        categories, category = codes(old.categories, old.category, rows, [i.category for i in now], size)
        brands, brand = codes(old.brands, old.brand, rows, [i.brand for i in now], size)
        # The map from ids only ever grows, so that all snapshots share it; each knows how many rows it has.
        ids = old.rows if isinstance(old.rows, dict) else dict(old.rows)
        ids.update(self.added)
        return Snapshot(
            version, self.items, ids, grown(old.alive, rows, [not self.gone[row] for row in rows.tolist()], size),
            grown(old.blocked, rows, [i.blocked for i in now], size),
            grown(old.price, rows, [np.nan if i.price is None else i.price for i in now], size),
            grown(old.stock, rows, [NO_STOCK if i.stock is None else i.stock for i in now], size),
            grown(old.margin, rows, [i.margin for i in now], size), category, brand, categories, brands,
            facets_after(old, sorted(self.told), self.items))


def texts(item: Item) -> tuple[object, ...]:
    """All of an item that is looked for by words or facets."""
    return item.title, item.text, item.category, item.brand, dict(item.attributes)


def frozen(array: np.ndarray) -> np.ndarray:
    """The array, which nobody can write to any more."""
    array.flags.writeable = False
    return array


def grown(column: np.ndarray, rows: np.ndarray, values: Iterable[object], size: int) -> np.ndarray:
    """A copy of a column with `size` rows, and new values in some; the column itself where they are what it has."""
    new = np.array(list(values), column.dtype)
    if size == len(column) and np.array_equal(column[rows], new):
        return column
    made = np.zeros(size, column.dtype)
    made[:len(column)] = column
    made[rows] = new
    return frozen(made)


def codes(names: Sequence[str], column: np.ndarray, rows: np.ndarray, values: Sequence[str],
          size: int) -> tuple[Sequence[str], np.ndarray]:
    """Names and the column of their places, with new names at the end."""
    place = {name: i for i, name in enumerate(names)}
    for value in values:
        place.setdefault(value, len(place))
    return tuple(place), grown(column, rows, [place[value] for value in values], size)


def facets_after(old: Snapshot, told: Sequence[int], items: Sequence[Item]) -> Mapping[str, Mapping[str, np.ndarray]]:
    """The facets with those of some rows made anew; lists that no row leaves or joins are shared with the old snapshot."""
    if not len(old):
        return facets_of(told, items)
    gone: dict[tuple[str, str], list[int]] = {}
    come: dict[tuple[str, str], list[int]] = {}
    for row in told:
        before = facet_keys(old.items[row]) if row < len(old) else []
        after = facet_keys(items[row])
        for key in before:
            if key not in after:
                gone.setdefault(key, []).append(row)
        for key in after:
            if key not in before:
                come.setdefault(key, []).append(row)
    if not gone and not come:
        return old.facets
    made = dict(old.facets)
    for name in {key[0] for key in (*gone, *come)}:
        made[name] = dict(made.get(name, {}))
    for key in gone.keys() | come.keys():
        values: dict[str, np.ndarray] = made[key[0]]    # type: ignore[assignment]
        rows = values.get(key[1], NONE)            # rises, and has those that go and not those that come
        rows = np.delete(rows, np.searchsorted(rows, gone[key])) if key in gone else rows
        rows = np.insert(rows, np.searchsorted(rows, come[key]), come[key]) if key in come else rows
        values[key[1]] = frozen(rows)
        if not len(rows):
            del values[key[1]]
    return made


def facets_of(rows: Sequence[int], items: Sequence[Item]) -> Mapping[str, Mapping[str, np.ndarray]]:
    """The facets of a first catalogue; `rows` rise."""
    made: dict[str, dict[str, list[int]]] = {}
    for row in rows:
        item = items[row]
        for name, value in item.attributes.items():
            lists = made.setdefault(name, {})
            for one in value if isinstance(value, tuple) else (plain(value),):
                found = lists.setdefault(one, [])
                if not found or found[-1] != row:
                    found.append(row)
    return {name: {value: frozen(np.array(found, np.int32)) for value, found in lists.items()} for name, lists in made.items()}


def facet_keys(item: Item) -> list[tuple[str, str]]:
    """(name, value) of every attribute, each once."""
    return list(dict.fromkeys((name, value) for name in item.attributes for value in item.values(name)))
