"""Results become an inference response: JSON header, binary blocks, classes, shared memory, compression."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from ...errors import Invalid
from ...tensors import as_objects, pack_bytes
from .answer import BINARY, JSON, VARIANT, Answer
from .oip_request import LENGTH_HEADER, InferRequest
from .oip_wishes import Face, Wish

MAX_CLASSIFIED = 1_000_000     # elements of an output that classification sorts
LEVEL = 1                      # tensors hardly shrink at higher levels, and each costs the client waiting time


# Where the time of a request went, as the header Server-Timing; the values are milliseconds.
TIMING = "queue;dur=%.3f, fill;dur=%.3f, run;dur=%.3f, read;dur=%.3f, total;dur=%.3f"


def timing(times: Sequence[int], started: int) -> tuple[float, ...]:
    """The values of TIMING: the four stages' nanoseconds, and perf_counter_ns() of the request's arrival."""
    queue, fill, run, read = times
    return queue / 1e6, fill / 1e6, run / 1e6, read / 1e6, (time.perf_counter_ns() - started) / 1e6


def plain_answer(head: bytes, blocks: Sequence[Any], spent: str, way: str = "") -> Answer:
    """The pieces of a response that are not empty, with the headers of OIP-39.

    `spent` is told as Server-Timing, the variant that answered (`way`; "" where no network ran) as Aisle-Variant.
    """
    pieces: list[bytes | memoryview] = [head]
    for block in blocks:
        if type(block) is bytes:
            if block:
                pieces.append(block)
        elif block.nbytes:
            pieces.append(block.data.cast("B"))
    said = (("Server-Timing", spent), (VARIANT, way)) if way else (("Server-Timing", spent),)
    if len(pieces) == 1:
        return Answer(200, JSON, pieces, said)
    return Answer(200, BINARY, pieces, ((LENGTH_HEADER, str(len(head))), *said))


def encode(results: Mapping[str, Any], request: InferRequest, face: Face) -> tuple[bytes, list[Any]]:
    """(JSON header, binary blocks) of a response; outputs bound to regions are written there.

    Raises Invalid where an output does not fit its region or cannot be sent as JSON.
    """
    outputs: list[dict[str, Any]] = []
    blocks: list[Any] = []
    finite = True
    for wish in request.wishes:
        value = results[wish.name]
        if type(value) is not np.ndarray:
            value = from_objects(value)
        elif wish.top:
            value = classify(value, wish, face.batched, face.labels.get(wish.name, ()))
        item: dict[str, Any] = {"name": wish.name, "datatype": wish.wire, "shape": value.shape}
        if wish.region is not None:
            write_region(value, wish)
        elif wish.binary:
            block: Any = pack_bytes(value) if value.dtype.hasobject else np.ascontiguousarray(value)
            blocks.append(block)
            item["parameters"] = {"binary_data_size": len(block) if type(block) is bytes else block.nbytes}
        else:
            item["data"] = plain = json_values(value, wish.name)
            finite = finite and (value.dtype.kind != "f" or bool(np.isfinite(plain).all()))
        outputs.append(item)
    document: dict[str, Any] = {"model_name": face.model, "model_version": face.version, "outputs": outputs}
    if request.way and face.several:
        document["parameters"] = {"aisle_variant": request.way}
    if request.ident:
        document = {"id": request.ident, **document}
    return dump(document, finite), blocks


def dump(document: dict[str, Any], finite: bool) -> bytes:
    """The document as JSON; NaN and infinities as the bare tokens that OIP clients read."""
    if finite:
        return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    return json.dumps(document, default=lambda array: array.tolist(), separators=(",", ":")).encode()


def weight(results: Mapping[str, Any], wishes: Sequence[Wish]) -> int:
    """Roughly how many bytes of work `encode` has beyond copying: text, strings, sorting, maps."""
    total = 0
    for wish in wishes:
        value = results[wish.name]
        if type(value) is not np.ndarray:
            total += 256 * len(value)
        elif value.dtype.hasobject:
            total += 16 * value.size
        elif wish.top or not (wish.binary or wish.region):
            total += value.nbytes
    return total


def from_objects(value: Any) -> np.ndarray:
    """What no tensor can carry (sequences, maps) as BYTES elements, each one JSON: a list gives one per entry."""
    entries = value if isinstance(value, (list, tuple)) else [value]
    option = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
    return as_objects([orjson.dumps(plain_keys(entry), option=option) for entry in entries], (len(entries),))


def plain_keys(entry: Any) -> Any:
    """A map with keys that JSON takes."""
    if not isinstance(entry, Mapping):
        return entry
    return {key.decode("utf-8", "replace") if isinstance(key, bytes) else key: item for key, item in entry.items()}


def json_values(array: np.ndarray, name: str) -> Any:
    """The flat values for `data`: an array that orjson writes, or a list of texts."""
    flat = array.ravel()
    if flat.dtype.hasobject:
        try:
            return [x.decode() if isinstance(x, bytes) else x for x in flat.tolist()]
        except UnicodeDecodeError:
            raise Invalid(f"output '{name}' holds bytes that are not UTF-8 and cannot be sent as JSON; ask for it with "
                          "binary_data: true") from None
    # Written as the double it equals, as Triton does, so that clients parse the same number back.
    return flat.astype(np.float64) if flat.dtype == np.float32 else flat


def write_region(value: np.ndarray, wish: Wish) -> None:
    """Put an output where the client wants it."""
    data = pack_bytes(value) if value.dtype.hasobject else np.ascontiguousarray(value).reshape(-1).view(np.uint8).data
    if len(data) > wish.room:
        raise Invalid(f"shared memory size specified with the request for output '{wish.name}' ({wish.room} bytes) "
                      f"should be at least {len(data)} bytes to hold the results")
    assert wish.region is not None
    wish.region.write(wish.offset, data)


def classify(value: np.ndarray, wish: Wish, batched: bool, labels: Sequence[str]) -> np.ndarray:
    """The `top` largest values of each row as `value:index[:label]`, largest first; NaN sorts last."""
    if value.size > MAX_CLASSIFIED:
        raise Invalid(f"classification of output '{wish.name}' would sort {value.size} elements; the most is "
                      f"{MAX_CLASSIFIED}")
    rows = value.reshape(len(value), -1) if batched and value.size else value.reshape(1, -1)
    keys = np.where(np.isnan(rows), -np.inf, rows) if rows.dtype.kind == "f" else rows
    order = np.argsort(keys, axis=1, kind="stable")[:, ::-1][:, :wish.top]
    number = "{:f}".format if rows.dtype.kind == "f" else "{:d}".format
    texts = [f"{number(row[i].item())}:{i}{':' + labels[i] if i < len(labels) else ''}".encode()
             for row, top in zip(rows, order, strict=True) for i in top.tolist()]
    return as_objects(texts, order.shape if batched else order.shape[1:])


def compress(body: bytes, encoding: str) -> bytes:
    """gzip or deflate (zlib wrapper)."""
    return gzip.compress(body, LEVEL, mtime=0) if encoding == "gzip" else zlib.compress(body, LEVEL)
