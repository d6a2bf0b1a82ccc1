"""Looks into an ONNX file without any engine: what it declares, which other files it wants, whether it is one at all.

A model file comes from strangers, so this reads the protobuf wire format itself, with a bounded depth and a bounded
number of fields, and copies nothing but names. The engine sees only files that passed.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ...models.bundle import BundleError

MAX_FILE_BYTES = 4 << 30        # the file and its external data together
MAX_DECLARED_BYTES = 16 << 30   # what its initializers say they hold
MAX_FIELDS = 8_000_000
MAX_DEPTH = 16                  # subgraphs inside subgraphs
MAX_EXTERNAL = 10_000
_LFS = b"version https://git-lfs.github.com/spec/"
# Bytes of one element by TensorProto.DataType; strings (8) count as nothing, 4-bit types as one byte.
_WIDTH = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 8: 0, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 14: 8, 15: 16, 16: 2}


@dataclass
class OnnxFacts:
    """What the walk found. `shapeless` are graph inputs and outputs whose rank the file does not say."""

    external: set[str] = field(default_factory=set)
    shapeless: set[str] = field(default_factory=set)
    declared_bytes: int = 0
    graphs: int = 0


class _Malformed(ValueError):
    """The bytes are not what the protobuf wire format allows; the text says what."""


# Which field numbers hold which kind of message (onnx.proto). Anything else is skipped.
_CHILDREN: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 11: "value", 12: "value", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}


def check_file(path: Path, shown: str) -> None:
    """BundleError unless `path` is a file of a size that may be loaded and looks like a model; `shown` names it."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(len(_LFS))
    except OSError as error:
        raise BundleError(f"cannot read {shown}: {error.strerror}; copy the model again") from error
    if size == 0:
        raise BundleError(f"{shown} is empty; copy the model again")
    if head == _LFS:
        raise BundleError(f"{shown} is a Git LFS pointer, not the model itself; fetch it with `git lfs pull`")
    if size > MAX_FILE_BYTES:
        raise BundleError(f"{shown} has {size:,} bytes; the limit for a model is {MAX_FILE_BYTES:,}")


def look_into(path: Path, shown: str) -> OnnxFacts:
    """What the file at `path` declares. BundleError for a file that is damaged or asks for too much."""
    check_file(path, shown)
    facts = OnnxFacts()
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            _walk(data, facts)
    except _Malformed as wrong:
        raise BundleError(f"{shown} is not an ONNX model, or is damaged: {wrong}; export or copy it again") from wrong
    except OSError as error:
        raise BundleError(f"cannot read {shown}: {error.strerror}; copy the model again") from error
    if not facts.graphs:
        raise BundleError(f"{shown} is not an ONNX model: no graph in it; export or copy it again")
    if facts.declared_bytes > MAX_DECLARED_BYTES:
        raise BundleError(f"{shown} declares {facts.declared_bytes:,} bytes of weights; the limit is "
                          f"{MAX_DECLARED_BYTES:,}")
    return facts


def check_external(root: Path, file: Path, locations: set[str] | list[str], shown: str) -> list[Path]:
    """The files that `file` keeps its weights in. BundleError where one is missing or lies outside `root`."""
    found, total = [], file.stat().st_size
    for location in sorted(locations):
        if not location or "\\" in location or "\0" in location or PurePosixPath(location).is_absolute():
            raise BundleError(f"{shown} keeps weights at {location[:200]!r}; only a relative path inside its folder "
                              "is read: save the model again with its weights beside it")
        path = (file.parent / location).resolve()
        if ".." in PurePosixPath(location).parts or not path.is_relative_to(root.resolve()):
            raise BundleError(f"{shown} keeps weights at {location[:200]!r}, outside its folder; nothing outside is "
                              "read: save the model again with its weights beside it")
        if not path.is_file():
            raise BundleError(f"{shown} keeps weights at {location[:200]!r}, which is not there; copy that file too")
        found.append(path)
        total += path.stat().st_size
    if total > MAX_FILE_BYTES:
        raise BundleError(f"{shown} and its weights have {total:,} bytes; the limit is {MAX_FILE_BYTES:,}")
    return found


def identity(paths: list[Path]) -> list[list[int]]:
    """Size and time of change of each file: what tells that one was replaced."""
    return [[status.st_size, status.st_mtime_ns] for status in map(os.stat, paths)]


def _walk(data: mmap.mmap, facts: OnnxFacts) -> None:
    """Visit every message that can hold weights, with an own stack: a hostile file cannot exhaust Python's."""
    stack = [("model", 0, len(data), 0)]
    fields = 0
    while stack:
        kind, start, end, depth = stack.pop()
        children = _CHILDREN.get(kind)
        if kind == "graph":
            facts.graphs, depth = facts.graphs + 1, depth + 1
            if depth > MAX_DEPTH:
                raise _Malformed(f"subgraphs are nested deeper than {MAX_DEPTH}")
        elif kind == "tensor":
            _tensor(data, start, end, facts)
        elif kind == "value":
            _value(data, start, end, facts)
        if children is None:
            continue
        for number, wire, low, high in fields_of(data, start, end):
            fields += 1
            if fields > MAX_FIELDS:
                raise _Malformed(f"more than {MAX_FIELDS:,} fields")
            if number in children:
                if wire != 2:
                    raise _Malformed(f"field {number} of a {kind} has wire type {wire}")
                stack.append((children[number], low, high, depth))


def fields_of(data: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Fields of the message in data[start:end]: (number, wire type, start and end of the payload).

    For a varint (wire type 0) the third value is the number itself.
    """
    at = start
    while at < end:
        key, at = _varint(data, at, end)
        number, wire = key >> 3, key & 7
        if number == 0:
            raise _Malformed(f"field number 0 at byte {at}")
        if wire == 0:
            value, at = _varint(data, at, end)
            yield number, wire, value, at
            continue
        if wire == 2:
            size, at = _varint(data, at, end)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise _Malformed(f"wire type {wire} at byte {at}")
        if size > end - at:
            raise _Malformed(f"byte {at} announces {size:,} bytes, {end - at:,} are left")
        yield number, wire, at, at + size
        at += size


def _varint(data: mmap.mmap, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= end:
            raise _Malformed(f"it ends within a number at byte {at}")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise _Malformed(f"a number longer than 64 bits at byte {at}")


def _tensor(data: mmap.mmap, start: int, end: int, facts: OnnxFacts) -> None:
    """Add a tensor's declared bytes and the place of its external data."""
    elements, width = 1, 4
    for number, wire, low, high in fields_of(data, start, end):
        if number == 1 and wire == 0:
            elements *= low
        elif number == 1 and wire == 2:      # packed
            at = low
            while at < high:
                dim, at = _varint(data, at, high)
                elements *= dim
        elif number == 2 and wire == 0:
            width = _WIDTH.get(low, 1)
        elif number == 13 and wire == 2:
            _external(data, low, high, facts)
        if elements > 1 << 62:
            raise _Malformed("a tensor of more than 2^62 elements")
    facts.declared_bytes += elements * width


def _external(data: mmap.mmap, start: int, end: int, facts: OnnxFacts) -> None:
    key, value = b"", b""
    for number, wire, low, high in fields_of(data, start, end):
        if wire != 2 or high - low > 4096:
            raise _Malformed("an external_data entry that is not a short text")
        if number == 1:
            key = data[low:high]
        elif number == 2:
            value = data[low:high]
    if key == b"location":
        facts.external.add(_text(value))
        if len(facts.external) > MAX_EXTERNAL:
            raise _Malformed(f"more than {MAX_EXTERNAL:,} files of external data")


def _value(data: mmap.mmap, start: int, end: int, facts: OnnxFacts) -> None:
    """Note a graph input or output of tensor type that says no shape (not even that it is a scalar)."""
    name, shaped = "", True
    for number, wire, low, high in fields_of(data, start, end):
        if number == 1 and wire == 2:
            name = _text(data[low:min(high, low + 4096)])
        elif number == 2 and wire == 2:      # TypeProto; its field 1 is the tensor type, whose field 2 is the shape
            for inner, kind, first, last in fields_of(data, low, high):
                if inner == 1 and kind == 2:
                    shaped = any(n == 2 for n, *_ in fields_of(data, first, last))
    if not shaped:
        facts.shapeless.add(name)


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _Malformed("a name that is not UTF-8") from error
