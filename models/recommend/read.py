"""Reads interaction files: csv, parquet, or lines `user item`, plain or the one file of a zip archive."""

from __future__ import annotations

import csv
import io
import math
import zipfile
from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from .format import MAX_ID
from .interactions import Interactions, arranged

MAX_EVENTS = 50_000_000
MAX_LINE = 10_000
NAMED = 20             # so many broken lines are named with their numbers
COLUMNS = {
    "user": ("user", "user_id", "userid", "visitor", "visitor_id", "session", "session_id", "customer", "customer_id"),
    "item": ("item", "item_id", "itemid", "product", "product_id", "sku"),
    "time": ("time", "timestamp", "datetime", "date", "ts"),
}
TEXT_ENDS = (".csv", ".tsv", ".txt", ".inter", ".dat", ".log")


class InteractionError(ValueError):
    """A file that cannot be used; the text is a sentence that names it and says what to do."""


def read(path: Path) -> Interactions:
    """The interactions of a file; InteractionError says what is wrong with it.

    A csv (comma, semicolon or tab) has a header with user, item and time (usual names of them are known; time may lack).
    Without such a header each line is `user item` or `user item time`, parted by blanks, in order of time; or, parted by commas
    or tabs, ends with a time and begins with user and item, which is told. Broken lines are
    left out and named, up to one in twenty; more are an error. Times are seconds or milliseconds since 1970 or ISO 8601.
    """
    if not path.is_file():
        raise InteractionError(f"{path} is no file; name a csv or parquet with the columns user, item, time")
    if path.suffix == ".parquet":
        return _read_parquet(path)
    try:
        with _text(path) as lines:
            return _read_lines(lines, str(path))
    except UnicodeDecodeError as error:
        raise InteractionError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8, or name "
                               "a .parquet as such") from error


@contextmanager
def _text(path: Path) -> Iterator[TextIO]:
    """The file's text; of a zip archive that of its only interaction file."""
    if path.suffix != ".zip":
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield file
        return
    try:
        with zipfile.ZipFile(path) as archive:
            names = [n for n in archive.namelist() if n.lower().endswith(TEXT_ENDS)]
            if len(names) != 1:
                raise InteractionError(f"{path}: expected one file that ends with {', '.join(TEXT_ENDS)}, found {len(names)}; "
                                       "unpack it and name the file")
            with archive.open(names[0]) as raw, io.TextIOWrapper(raw, "utf-8-sig", newline="") as file:
                yield file
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise InteractionError(f"{path} is no readable zip archive: {error}; download or pack it again") from error


class _Events:
    """Events as they are read: ids become numbers at once, so that a large file takes 16 bytes an event."""

    def __init__(self, where: str) -> None:
        self.where, self.users, self.items = where, {}, {}     # type: str, dict[str, int], dict[str, int]
        self.user, self.item, self.time = array("i"), array("i"), array("d")
        self.broken: list[tuple[int, str]] = []
        self.told: list[str] = []
        self.wrong = 0

    def add(self, number: int, user: str, item: str, time: str | None) -> None:
        """One event, or one broken line."""
        wrong = _unfit(user, "user") or _unfit(item, "item")
        seconds = None if time is None else _seconds(time)
        if not wrong and time is not None and seconds is None:
            wrong = f"{time[:40]!r} is no time"
        if wrong:
            self.fault(number, wrong)
            return
        self.user.append(self.users.setdefault(user, len(self.users)))
        self.item.append(self.items.setdefault(item, len(self.items)))
        if seconds is not None:
            self.time.append(seconds)
        if len(self.user) > MAX_EVENTS:
            raise InteractionError(f"{self.where} has over {MAX_EVENTS:,} events; give the newest of them")

    def fault(self, number: int, why: str) -> None:
        """Line `number` is broken."""
        self.wrong += 1
        if len(self.broken) < NAMED:
            self.broken.append((number, why))

    def whole(self) -> Interactions:
        """The interactions, or InteractionError where too little of the file can be read."""
        told = list(self.told)
        if self.wrong:
            listed = "; ".join(f"line {number}: {why}" for number, why in self.broken)
            more = f"; and {self.wrong - len(self.broken)} more" if self.wrong > len(self.broken) else ""
            told.append(f"{self.wrong} broken line{'s' if self.wrong > 1 else ''} left out: {listed}{more}")
        if not self.user or self.wrong * 20 > len(self.user) + self.wrong:
            what = told[-1] if self.wrong else "it holds no events"
            raise InteractionError(f"{self.where} cannot be used: {what}. Expected a csv with the columns user, item, time, or "
                                   "lines `user item` in order of time")
        columns = (np.frombuffer(self.user, np.int32), np.frombuffer(self.item, np.int32))
        time = np.frombuffer(self.time, np.float64) if len(self.time) else None
        if time is not None and np.median(time) > 1e11:        # the year 5138 in seconds: these are milliseconds
            time = time / 1000
        return arranged(tuple(self.users), tuple(self.items), *columns, time, tuple(told))


def _unfit(text: str, name: str) -> str:
    if not text:
        return f"no {name}"
    if len(text) > MAX_ID or not text.isprintable():
        return f"{text[:40]!r} is no {name} (1 to {MAX_ID} printable characters)"
    return ""


def _seconds(text: str) -> float | None:
    try:
        value = float(text)
        return value if math.isfinite(value) else None
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _read_lines(lines: TextIO, where: str) -> Interactions:
    head = lines.readline(MAX_LINE + 1)
    if len(head) > MAX_LINE:
        raise InteractionError(f"{where}: line 1 is over {MAX_LINE:,} characters; expected a csv with the columns user, item, "
                               "time")
    columns, mark = _header(head)
    events = _Events(where)
    first: tuple[tuple[int, str], ...] = ()
    if columns is None and (columns := _guessed(head, mark)) is not None:
        first = ((1, head.strip("\r\n")),)
        events.told.append(f"{where} names no columns; line 1 looks like user, item, "
                           f"{'rating, ' if columns['time'] == 3 else ''}time, and so every line was read")
    if columns is None and mark not in ",;":
        _blanks(head, lines, events)
        return events.whole()
    user, item, time = (None if columns is None else columns[name] for name in COLUMNS)
    if user is None or item is None:
        lacking = [name for name, place in (("user", user), ("item", item)) if place is None]
        raise InteractionError(f"{where}: the header {head.strip()[:200]!r} has no column {' and no column '.join(lacking)}; "
                               "name the columns user, item, time")
    width = 1 + max(user, item, time or 0)
    for number, row in _rows(chain(first, _numbered(lines, events)), mark, events):
        if len(row) < width:
            events.fault(number, f"{len(row)} of {width} columns")
            continue
        events.add(number, row[user].strip(), row[item].strip(), None if time is None else row[time].strip())
    return events.whole()


def _header(head: str) -> tuple[dict[str, int | None] | None, str]:
    """Column numbers by name and the mark between columns; None where the first line is no header."""
    mark = next((m for m in (",", ";", "\t") if m in head), " ")
    names = [cell.strip().strip('"').split(":")[0].lower() for cell in head.split(mark if mark != " " else None)]
    found = {want: next((names.index(n) for n in known if n in names), None) for want, known in COLUMNS.items()}
    return (None if all(place is None for place in found.values()) else found), mark


def _guessed(head: str, mark: str) -> dict[str, int | None] | None:
    """Columns of a file without a header whose first line ends with a time after 1973, as ratings are often given: user, item
    and perhaps a rating before it."""
    cells = head.split(mark if mark != " " else None)
    when = _seconds(cells[-1].strip()) if len(cells) in (3, 4) and mark != " " else None
    return {"user": 0, "item": 1, "time": len(cells) - 1} if when is not None and when > 1e8 else None


def _rows(lines: Iterable[tuple[int, str]], mark: str, events: _Events) -> Iterator[tuple[int, list[str]]]:
    """Rows with the numbers of their lines. A row is one line: a quote that is not closed on it breaks that line, no more."""
    for number, line in lines:
        try:
            yield number, line.split() if mark == " " else next(csv.reader((line,), delimiter=mark, strict=True))
        except csv.Error as error:
            events.fault(number, str(error))


def _numbered(lines: TextIO, events: _Events) -> Iterator[tuple[int, str]]:
    """Lines from the second on that are not empty; of one that is far too long only its beginning is ever in memory."""
    number = 1
    while line := lines.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            events.fault(number, f"over {MAX_LINE:,} characters")
            while line and not line.endswith("\n"):
                line = lines.readline(MAX_LINE)
        elif line.strip():
            yield number, line.strip("\r\n")


def _blanks(head: str, lines: TextIO, events: _Events) -> None:
    """Lines `user item` or `user item time`; which of the two, the first line says."""
    width = len(head.split())
    if width > 3:
        raise InteractionError(f"{events.where}: line 1 has {width} columns and names none; expected a header with user, item "
                               "and time, or lines `user item` or `user item time`")
    for number, line in chain(((1, head),), _numbered(lines, events)):
        cells = line.split()
        if len(cells) == max(width, 2):
            events.add(number, cells[0], cells[1], cells[2] if width == 3 else None)
        elif cells:
            events.fault(number, f"expected {max(width, 2)} columns, got {len(cells)}")


def _read_parquet(path: Path) -> Interactions:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise InteractionError(f"{path}: reading parquet needs the package pyarrow, which is not installed; install "
                               "aisle[parquet], or save the file as csv") from error
    import pyarrow as pa
    try:
        table = pa.parquet.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise InteractionError(f"{path} is no readable parquet file: {str(error)[:200]}; write it again") from error
    names = {name.lower(): name for name in table.column_names}
    found = {want: next((names[n] for n in known if n in names), None) for want, known in COLUMNS.items()}
    if found["user"] is None or found["item"] is None:
        raise InteractionError(f"{path}: expected the columns user, item and time, got {', '.join(table.column_names)[:200]}; "
                               "rename them")
    events = _Events(str(path))
    columns = [None if name is None else table[name].to_pylist() for name in found.values()]
    for row in range(len(table)):
        user, item, time = (None if column is None else _plain(column[row]) for column in columns)
        events.add(row + 1, user or "", item or "", time)
    return events.whole()


def _plain(value: Any) -> str:
    return "" if value is None else value.isoformat() if isinstance(value, datetime) else str(value).strip()
