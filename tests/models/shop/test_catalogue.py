"""The catalogue: what a journal gives back is what was confirmed, whatever was torn; snapshots never change."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from aisle.models.shop.catalogue import CHUNK, COMPACT, Block, Catalogue, Change, Margin, Price, Put, Remove, Stock
from aisle.models.shop.item import Item, ShopError, make_item, plain_item, said
from aisle.models.shop.snapshot import Snapshot
from aisle.runtime.journal_lines import Lines
from hypothesis import given, settings
from hypothesis import strategies as st

IDS = [f"i{n}" for n in range(12)]
COLUMNS = ("alive", "blocked", "price", "stock", "margin", "category", "brand")
ITEM = st.builds(
    Item, st.sampled_from(IDS), st.sampled_from(["One", "Two 二"]), category=st.sampled_from(["", "a", "a/b"]),
    brand=st.sampled_from(["", "x", "y"]), price=st.sampled_from([None, 0.0, 2.5]), stock=st.sampled_from([None, 0, 3]),
    blocked=st.booleans(), attributes=st.sampled_from([{}, {"c": "red"}, {"c": ("red", "blue"), "size": 42.0}]))
CHANGE = st.one_of(
    st.builds(Put, ITEM), st.builds(Remove, st.sampled_from(IDS)),
    st.builds(Price, st.sampled_from(IDS), st.sampled_from([None, 0.0, 9.0])),
    st.builds(Stock, st.sampled_from(IDS), st.sampled_from([None, 0, 7])),
    st.builds(Block, st.sampled_from(IDS), st.booleans()), st.builds(Margin, st.sampled_from(IDS), st.sampled_from([0.0, 0.5])))
START = [Item(one, f"Start {one}", category="a", brand="x", price=1.0, stock=1, attributes={"c": "red"}) for one in IDS[:6]]


def plain_state(items: dict[str, Item], change: Change) -> bool:
    """Make a change in a dictionary; False where it cannot be made."""
    if isinstance(change, Put):
        items[change.item.id] = change.item
        return True
    if change.id not in items:
        return False
    if isinstance(change, Remove):
        del items[change.id]
        return True
    name = {"Price": "price", "Stock": "stock", "Block": "blocked", "Margin": "margin"}[type(change).__name__]
    items[change.id] = make_item(plain_item(items[change.id]) | {name: getattr(change, name)})
    return True


def check(snapshot: Snapshot, items: dict[str, Item]) -> None:
    """Every column says what the items say."""
    sold = {snapshot.items[row].id: row for row in range(len(snapshot)) if snapshot.alive[row]}
    assert {one: snapshot.items[row] for one, row in sold.items()} == items
    for one, row in sold.items():
        item = items[one]
        assert snapshot.row(one) == row and snapshot.blocked[row] == item.blocked
        assert snapshot.margin[row] == np.float32(item.margin)
        assert (np.isnan(snapshot.price[row]) if item.price is None else snapshot.price[row] == np.float32(item.price))
        assert snapshot.stock[row] == (-1 if item.stock is None else item.stock)
        assert snapshot.categories[snapshot.category[row]] == item.category
        assert snapshot.brands[snapshot.brand[row]] == item.brand
    for name in ("c", "size"):
        for value in {v for item in items.values() for v in item.values(name)} | {"red", "42"}:
            rows = snapshot.having(name, value)
            wanted = {sold[one] for one, item in items.items() if value in item.values(name)}
            assert {int(row) for row in rows if snapshot.alive[row]} == wanted
            assert (np.diff(rows) > 0).all()
    assert all(snapshot.row(one) is None for one in IDS if one not in items)


@settings(deadline=None, max_examples=80)
@given(st.lists(st.lists(CHANGE, min_size=1, max_size=4), max_size=12), st.integers(0, 40))
def test_a_journal_gives_back_exactly_what_was_confirmed(tmp_path_factory: pytest.TempPathFactory,
                                                         updates: list[list[Change]], torn: int) -> None:
    path = tmp_path_factory.mktemp("journal") / "shop.changes"
    catalogue, items, version = Catalogue(START, "file-1"), {item.id: item for item in START}, 0
    catalogue.keep_in(Lines(path))
    watcher = Catalogue(START, "file-1")          # another process over the same journal
    watcher.keep_in(Lines(path))
    for changes in updates:
        before, trial = catalogue.now(), dict(items)
        columns = {name: getattr(before, name).copy() for name in COLUMNS}
        if all(plain_state(trial, change) for change in changes):
            items, version = trial, version + 1
            assert catalogue.update(changes).version == version
        else:
            with pytest.raises(ShopError, match=r"changes\[\d\]: no item has the id"):
                catalogue.update(changes)
            assert catalogue.now() is before, "a refused update changed something"
        for name, column in columns.items():
            np.testing.assert_array_equal(getattr(before, name), column, "a snapshot changed after it was given out")
        check(catalogue.now(), items)
    check(watcher.now(), items)
    if path.exists():
        with path.open("ab") as file:
            file.write(b'0badc0de {"file": "file-1", "version": 99, "put": [], "gone": ["i0"]'[:torn])
    again = Catalogue(START, "file-1")
    again.keep_in(Lines(path))
    check(again.now(), items)
    assert again.now().version == version
    other = Catalogue(START, "file-2")            # a newer file of the shop
    other.keep_in(Lines(path))
    check(other.now(), {item.id: item for item in START})
    assert other.dropped == version


def test_a_long_journal_is_written_anew_and_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "shop.changes"
    catalogue = Catalogue(START, "f")
    catalogue.keep_in(Lines(path))
    catalogue._records = COMPACT - 2              # as if so many were there
    catalogue.update([Put(Item(f"n{i}", "New")) for i in range(2 * CHUNK)])
    for price in range(3):
        catalogue.update([Price("i1", float(price)), Remove("n7")] if price == 0 else [Price("i1", float(price))])
    assert len(path.read_bytes().splitlines()) == 4
    catalogue.update([Stock("i2", 5)])
    again = Catalogue(START, "f")
    again.keep_in(Lines(path))
    catalogue = again
    catalogue._records = COMPACT + 1
    with catalogue._lock:
        catalogue._compact(catalogue._journal)
    assert len(path.read_bytes().splitlines()) == 3, "two full chunks and a rest"
    last = Catalogue(START, "f")
    last.keep_in(Lines(path))
    now = last.now()
    assert now.version == 5 and now.row("n7") is None and now.row("n8") is not None
    assert now.price[now.row("i1")] == 2 and now.stock[now.row("i2")] == 5


class BadDisk:
    """A journal whose disk is full."""

    def __init__(self, path: Path) -> None:
        self.lines = Lines(path)
        self.stale, self.locked, self.new = self.lines.stale, self.lines.locked, self.lines.new

    def append(self, records: list) -> None:
        raise OSError(28, "No space left on device")

    rewrite = append


def test_where_the_disk_fails_nothing_is_changed(tmp_path: Path) -> None:
    catalogue = Catalogue(START, "f")
    catalogue.keep_in(BadDisk(tmp_path / "shop.changes"))
    before = catalogue.now()
    with pytest.raises(OSError, match="No space left"):
        catalogue.update([Put(Item("new", "New")), Price("i1", 9)])
    assert catalogue.now() is before and before.row("new") is None


WRITER = """
import sys
from pathlib import Path
from aisle.models.shop.catalogue import Catalogue, Put, Stock
from aisle.models.shop.item import Item
from aisle.runtime.journal_lines import Lines
catalogue = Catalogue([Item("i0", "x", stock=0)], "f")
catalogue.keep_in(Lines(Path(sys.argv[1])))
for number in range(1, 100000):
    catalogue.update([Put(Item(f"n{number}", "New")), Stock("i0", number)])
    print(number, flush=True)
"""


def test_a_kill_at_any_moment_loses_nothing_that_was_confirmed(tmp_path: Path) -> None:
    for patience in (1, 40, 90):
        path = tmp_path / f"{patience}.changes"
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        for line in writer.stdout:
            if int(line) >= patience:
                writer.kill()
                break
        writer.stdout.close()
        writer.wait(20)
        again = Catalogue([Item("i0", "x", stock=0)], "f")
        again.keep_in(Lines(path))
        now = again.now()
        stock = int(now.stock[now.row("i0")])
        assert stock >= patience and len(now) == stock + 1, "all or none of each update"


def test_listeners_hear_of_every_row_before_a_query_sees_it() -> None:
    catalogue, heard = Catalogue(START), []
    catalogue.listen(lambda snapshot, rows, told: heard.append(
        (snapshot.version, rows.tolist(), told.tolist(), catalogue.snapshot.version)))
    catalogue.update([Price("i1", 7.0), Stock("i2", 1)])
    catalogue.update([Put(Item("i3", "Other words")), Put(Item("new", "New")), Remove("i0")])
    catalogue.update([Put(Item("i0", "Start i0"))])
    assert heard == [(0, [0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5], 0), (1, [1, 2], [], 0), (2, [0, 3, 6], [0, 3, 6], 1),
                     (3, [0], [0], 2)]


def test_queries_run_while_it_changes() -> None:
    catalogue, wrong = Catalogue(START), []

    def look() -> None:
        while not done.is_set():
            now = catalogue.now()
            row = now.row("new")
            uneven = len({len(getattr(now, name)) for name in COLUMNS}) > 1
            if uneven or (row is not None and now.price[row] != now.stock[row]):
                wrong.append(now.version)
    done = threading.Event()
    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(300):
        catalogue.update([Put(Item("new", "New", price=float(number), stock=number)), Put(Item(f"n{number}", "More"))])
    done.set()
    for thread in threads:
        thread.join()
    assert not wrong and len(catalogue.now()) == 307


def test_ids_given_twice_and_empty_updates_are_a_sentence() -> None:
    with pytest.raises(ShopError, match="'i0' is given twice"):
        Catalogue([START[0], START[0]])
    for changes in ([], [Remove("i0")] * 10_001):
        with pytest.raises(ShopError, match="expected 1 to 10000 changes in one update, got"):
            Catalogue(START).update(changes)


@given(ITEM)
def test_an_item_is_the_same_after_it_was_written_down(item: Item) -> None:
    assert make_item(plain_item(item)) == item
    assert item.title in said(item)


@pytest.mark.parametrize(("table", "said_"), [
    ([], "expected an object"), ({}, "id: expected 1 to 128"), ({"id": " a"}, "without blanks"), ({"id": "a\x00"}, "id"),
    ({"id": "a" * 129}, "id"), ({"id": True}, "id"), ({"id": "a", "colour": "red"}, "'colour' is unknown; the fields are id"),
    ({"id": "a", "title": 3}, "title: expected a text"), ({"id": "a", "title": "x" * 1001}, "got 1001 characters"),
    ({"id": "a", "price": float("nan")}, "price"), ({"id": "a", "price": -1}, "price"), ({"id": "a", "price": True}, "price"),
    ({"id": "a", "stock": 0.5}, "whole number"), ({"id": "a", "stock": 2**31}, "stock"), ({"id": "a", "margin": 3}, "margin"),
    ({"id": "a", "blocked": "perhaps"}, "blocked: expected true or false"), ({"id": "a", "category": 5}, "category"),
    ({"id": "a", "attributes": {"": "x"}}, "names of 1 to 64"), ({"id": "a", "attributes": {"c": {}}}, "attributes.c"),
    ({"id": "a", "attributes": {"c": ["x"] * 33}}, "attributes.c"),
    ({"id": "a", "attributes": {"c": float("inf")}}, "attributes.c"),
    ({"id": "a", "attributes": dict.fromkeys(map(str, range(65)), "x")}, "at most 64 fields"),
])
def test_what_is_no_item_is_a_sentence(table: object, said_: str) -> None:
    with pytest.raises(ShopError, match=said_):
        make_item(table)


def test_a_category_is_a_path_however_it_is_written() -> None:
    for written in ("Shoes/Boots", " Shoes > Boots ", ["Shoes", "Boots"], "/Shoes//Boots/"):
        assert make_item({"id": "a", "category": written}).category == "Shoes/Boots"
    paths = ("Shoes", "Shoes/Boots", "Shoestring")
    now = Catalogue([Item(path, "x", category=path) for path in paths]).now()
    assert [now.categories[i] for i in np.flatnonzero(now.below("Shoes"))] == ["Shoes", "Shoes/Boots"]


def test_numbers_of_an_attribute() -> None:
    sizes = ({"size": 42.0}, {"size": "XL"}, {})
    now = Catalogue([Item(str(i), "x", attributes=size) for i, size in enumerate(sizes)]).now()
    np.testing.assert_array_equal(now.numbers("size"), np.array([42, np.nan, np.nan], np.float32))
    assert now.having("size", 42).tolist() == [0] and now.having("size", "42").tolist() == [0] and not len(now.having("a", "b"))


def test_lists_of_facets_follow_every_change() -> None:
    """What the lists say after many changes is what a catalogue made of the items then says."""
    rng = np.random.default_rng(4)
    def drawn(i: int) -> Item:
        colours = tuple(rng.choice(["red", "blue", "green"], rng.integers(0, 3)).tolist())       # may name one twice
        return Item(f"{i}", f"thing {i}", attributes={"colour": colours} if colours else {})
    catalogue = Catalogue([drawn(i) for i in range(40)])
    for _ in range(60):
        catalogue.update([Put(drawn(int(i))) for i in rng.choice(60, 3, replace=False)])
        now = catalogue.now()
        again = Catalogue(list(now.items)).now()
        assert {n: {v: rows.tolist() for v, rows in values.items()} for n, values in now.facets.items() if values} == {
            n: {v: rows.tolist() for v, rows in values.items()} for n, values in again.facets.items()}
