"""Reads OpenStreetMap PBF (wiki: PBF Format): blocks of protocol buffers, packed by zlib."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .osm_data import OsmData, OsmError, Progress, restricts, wanted_node

MAX_HEADER, MAX_BLOB = 64 << 10, 32 << 20          # limits that the format sets
KNOWN = {b"OsmSchema-V0.6", b"DenseNodes", b"HistoricalInformation"}
TYPES = ("node", "way", "relation")


def read_pbf(path: Path, progress: Progress | None = None) -> OsmData:
    """The map in an .osm.pbf file; OsmError if it is damaged, cut off, or needs a feature that we lack."""
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    out = OsmData(np.empty(0, np.int64), np.empty(0), np.empty(0))
    try:
        for kind, block, part in _blocks(path):
            if kind == b"OSMHeader":
                _check_features(block)
            elif kind == b"OSMData":
                _block(block, out, parts)
            if progress:
                progress(part)
    except (struct.error, zlib.error, LookupError, ValueError, TypeError, OverflowError) as error:  # TypeError: wrong wire type
        raise OsmError(f"cannot read {path} as OpenStreetMap PBF: {error}; the file is damaged or cut off: "
                       "download it again") from error
    if parts:
        out.node_id, out.lat, out.lon = (np.concatenate(column) for column in zip(*parts, strict=True))
    return out


def _blocks(path: Path) -> Iterator[tuple[bytes, bytes, float]]:
    size = max(path.stat().st_size, 1)
    with path.open("rb") as file:
        while length := file.read(4):
            header = dict(_fields(_exactly(file, struct.unpack(">I", length)[0], MAX_HEADER)))
            blob = dict(_fields(_exactly(file, header[3], MAX_BLOB)))
            if 1 in blob:
                data = blob[1]
            elif 3 in blob:
                unpacker = zlib.decompressobj()
                data = unpacker.decompress(blob[3], MAX_BLOB)
                if unpacker.unconsumed_tail or not unpacker.eof:
                    raise ValueError(f"a block does not end, or unpacks to over {MAX_BLOB} bytes")
            else:
                raise ValueError("a block is packed by something else than zlib")
            yield bytes(header[1]), data, file.tell() / size


def _exactly(file: Any, count: int, limit: int) -> bytes:
    if count > limit:
        raise ValueError(f"a block says that it has {count} bytes; the format allows {limit}")
    data: bytes = file.read(count)
    if len(data) != count:
        raise ValueError(f"expected {count} more bytes, got {len(data)}")
    return data


def _check_features(block: bytes) -> None:
    needed = {bytes(value) for number, value in _fields(block) if number == 4}
    if needed - KNOWN:
        raise ValueError(f"it needs {b', '.join(sorted(needed - KNOWN)).decode(errors='replace')}, which we cannot read")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number is longer than 64 bits")


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Numbers and values of a message: int for varints, bytes for the rest."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        wire = key & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        if wire == 2:
            length, at = _varint(data, at)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire} is not known")
        if at + length > len(data):
            raise ValueError("a field is longer than its message")
        yield key >> 3, data[at:at + length]
        at += length


def _packed(data: bytes) -> np.ndarray:
    """Packed varints as int64, all at once: each byte's seven bits, shifted by its place and summed per number."""
    raw = np.frombuffer(data, np.uint8)
    last = np.flatnonzero(raw < 0x80)
    if not len(last):
        return np.empty(0, np.int64)
    first = np.concatenate([[0], last[:-1] + 1])
    if last[-1] != len(raw) - 1 or int((last - first).max()) > 9:
        raise ValueError("packed numbers do not end")
    place = np.arange(len(raw)) - np.repeat(first, last - first + 1)
    return np.add.reduceat((raw & 0x7F).astype(np.uint64) << (7 * place).astype(np.uint64), first).astype(np.int64)


def _signed(data: bytes) -> np.ndarray:
    """Packed zigzag differences as the running sums that they stand for."""
    values = _packed(data)
    return np.cumsum(((values >> 1) & 0x7FFFFFFFFFFFFFFF) ^ -(values & 1))


def _block(data: bytes, out: OsmData, parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> None:
    fields = list(_fields(data))
    texts = [bytes(v) for n, table in fields if n == 1 for k, v in _fields(table) if k == 1]
    numbers = {n: v for n, v in fields if n in (17, 19, 20)}
    scale = numbers.get(17, 100) * 1e-9
    lat0, lon0 = (_int64(numbers.get(n, 0)) * 1e-9 for n in (19, 20))
    for number, group in fields:
        if number != 2:
            continue
        for kind, item in _fields(group):
            if kind == 2:
                parts.append(_dense(item, texts, scale, lat0, lon0, out))
            elif kind == 1:
                parts.append(_plain(item, texts, scale, lat0, lon0, out))
            elif kind == 3:
                _way(item, texts, out)
            elif kind == 4:
                _relation(item, texts, out)


def _int64(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _dense(item: bytes, texts: list[bytes], scale: float, lat0: float, lon0: float, out: OsmData,
           ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    fields = dict(_fields(item))
    ids, lat, lon = (_signed(fields.get(n, b"")) for n in (1, 8, 9))
    if not len(ids) == len(lat) == len(lon):
        raise ValueError("dense nodes have columns of unlike lengths")
    flat = _packed(fields.get(10, b"")).tolist()
    node = at = 0
    while at < len(flat) and node < len(ids):
        start = at
        while flat[at]:
            at += 2
        if at > start:
            tags = {_text(texts[flat[i]]): _text(texts[flat[i + 1]]) for i in range(start, at, 2)}
            if wanted_node(tags):
                out.node_tags[int(ids[node])] = tags
        node, at = node + 1, at + 1
    return ids, lat * scale + lat0, lon * scale + lon0


def _plain(item: bytes, texts: list[bytes], scale: float, lat0: float, lon0: float, out: OsmData,
           ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    fields = dict(_fields(item))
    number, lat, lon = ((fields[n] >> 1) ^ -(fields[n] & 1) for n in (1, 8, 9))
    tags = _tags(fields, texts)
    if wanted_node(tags):
        out.node_tags[number] = tags
    return np.array([number]), np.array([lat * scale + lat0]), np.array([lon * scale + lon0])


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _tags(fields: dict[int, Any], texts: list[bytes]) -> dict[str, str]:
    keys, values = _packed(fields.get(2, b"")).tolist(), _packed(fields.get(3, b"")).tolist()
    return {_text(texts[k]): _text(texts[v]) for k, v in zip(keys, values, strict=True)}


def _way(item: bytes, texts: list[bytes], out: OsmData) -> None:
    fields = dict(_fields(item))
    tags = _tags(fields, texts)
    if "highway" in tags:
        out.ways.append((_int64(fields[1]), _signed(fields.get(8, b"")), tags))


def _relation(item: bytes, texts: list[bytes], out: OsmData) -> None:
    fields = dict(_fields(item))
    tags = _tags(fields, texts)
    if not restricts(tags):
        return
    roles, refs, kinds = _packed(fields.get(8, b"")).tolist(), _signed(fields.get(9, b"")).tolist(), \
        _packed(fields.get(10, b"")).tolist()
    members = [(TYPES[k], ref, _text(texts[role])) for role, ref, k in zip(roles, refs, kinds, strict=True)]
    out.restrictions.append((_int64(fields[1]), members, tags))
