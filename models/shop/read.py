"""Reads a catalogue from csv or JSON lines; every broken line is named with its number, and so are ids given twice."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from .item import FIELDS, NUMBER, Item, ShopError, make_item, short

MAX_ITEMS = 2_000_000
MAX_FAULTS = 20            # named in one sentence
MAX_LINE = 1 << 20
COLUMNS = FIELDS[:-1]


def read_items(path: Path, *, skip_broken: bool = False) -> tuple[list[Item], list[str]]:
    """(the items in the file's order, a sentence for each line that was left out).

    `path` ends in .jsonl (or .ndjson) with an object a line, or is csv with a header: id, title, text, category, brand,
    price, stock, margin, blocked, image, and `attr:NAME` for each facet, several values with "|" between them. Without
    `skip_broken` any fault is a ShopError that names the first of them by line.
    """
    items: list[Item] = []
    faults: list[str] = []
    first: dict[str, int] = {}
    for line, made in rows(path):
        if isinstance(made, ShopError):
            faults.append(f"line {line}: {made}")
        elif made.id in first:
            faults.append(f"line {line}: id {made.id!r} is given twice, first in line {first[made.id]}")
        elif len(items) == MAX_ITEMS:
            raise ShopError(f"{path} has more than {MAX_ITEMS} items; split the catalogue")
        else:
            first[made.id] = line
            items.append(made)
    if faults and not skip_broken:
        more = [f"and {len(faults) - MAX_FAULTS} more"] if len(faults) > MAX_FAULTS else []
        listed = "\n  ".join(faults[:MAX_FAULTS] + more)
        raise ShopError(f"{path} has {len(faults)} broken line{'s' if len(faults) > 1 else ''}; correct "
                        f"{'them' if len(faults) > 1 else 'it'} and try again:\n  {listed}")
    if not items:
        raise ShopError(f"{path} has no items; expected at least one")
    return items, faults


def rows(path: Path) -> Iterator[tuple[int, Item | ShopError]]:
    """(line, the item or what is wrong with it); ShopError where the file as a whole cannot be read."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ShopError(f"cannot read {path}: {error.strerror}; name a catalogue as csv or JSON lines") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ShopError(f"{path} is not UTF-8 (line {line}: byte 0x{data[error.start]:02x}); save it as UTF-8") from None
    yield from json_rows(text) if path.suffix in (".jsonl", ".ndjson") else csv_rows(text, path)


def json_rows(text: str) -> Iterator[tuple[int, Item | ShopError]]:
    """One object a line; empty lines are nothing."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, made(lambda line=line: parsed(line))


def parsed(line: str) -> Any:
    """One JSON text, five times as fast where it is as most are; the other parser takes longer numbers, and says more."""
    try:
        found = orjson.loads(line)
        if not isinstance(found, dict) or not isinstance(found.get("id"), float):      # an id of more than 64 bits
            return found
    except orjson.JSONDecodeError:
        pass
    return json.loads(line, parse_constant=refuse)


def refuse(name: str) -> Any:
    """NaN and Infinity are no JSON."""
    raise ValueError(f"{name} is no JSON")


def made(table: Any) -> Item | ShopError:
    """The item of a table that is still to be read, or what is wrong."""
    try:
        return make_item(table())
    except ShopError as error:
        return error
    except (ValueError, RecursionError) as error:
        return ShopError(f"not JSON: {error}")


def csv_rows(text: str, path: Path) -> Iterator[tuple[int, Item | ShopError]]:
    """Rows below one header; the delimiter is the one of comma, semicolon and tab that the header has most of."""
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise ShopError(f"{path}: line 1: {error}") from None
    check_header(header, path)
    kept: list[tuple[int, list[str] | ShopError]] = []
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            kept.append((line, ShopError(f"{error}; quote texts that hold quotes, and double the quotes inside")))
            continue
        if row:
            kept.append((line, row if len(row) == len(header) else ShopError(
                f"expected {len(header)} columns as in the header, got {len(row)}")))
    numeric = numbers_only(header, [row for _, row in kept if isinstance(row, list)])
    for line, cells in kept:
        yield line, cells if isinstance(cells, ShopError) else made(lambda cells=cells: table_of(header, cells, numeric))


def check_header(header: list[str], path: Path) -> None:
    """ShopError unless the header names the columns that a catalogue has."""
    wrong = [name for name in header if name not in COLUMNS and not (name.startswith("attr:") and len(name) > 5)]
    twice = [name for i, name in enumerate(header) if name in header[:i]]
    if "id" not in header or wrong or twice:
        what = (f"has no column id: {short(','.join(header))}" if "id" not in header else
                f"has the column {twice[0]!r} twice" if twice else f"has the unknown column {wrong[0]!r}")
        raise ShopError(f"{path}: the header (line 1) {what}; expected {', '.join(COLUMNS)}, and attr:NAME for other facts")


def numbers_only(header: list[str], cells: list[list[str]]) -> set[int]:
    """The attribute columns of which every value is a number."""
    columns = [i for i, name in enumerate(header) if name.startswith("attr:")]
    return {i for i in columns if all(not row[i] or NUMBER.fullmatch(row[i]) for row in cells)}


def table_of(header: list[str], cells: list[str], numeric: set[int]) -> dict[str, Any]:
    """A row of csv as a table of `make_item`."""
    table: dict[str, Any] = {}
    facets: dict[str, Any] = {}
    for i, (name, cell) in enumerate(zip(header, cells, strict=True)):
        if not name.startswith("attr:"):
            table[name] = cell.strip()
        elif cell:
            parts = [part.strip() for part in cell.split("|") if part.strip()]
            facets[name[5:]] = float(cell) if i in numeric else parts[0] if len(parts) == 1 else parts
    return table | ({"attributes": facets} if facets else {})
