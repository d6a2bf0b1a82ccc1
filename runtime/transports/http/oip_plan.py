"""Requests whose JSON was read before: what it said is remembered, and only the tensors are read again.

A client sends the same JSON with ever new binary blocks. For a model that costs microseconds, reading that JSON and
writing the answer's would be two thirds of a request (docs/serving.md has the figures). A plan is made from a request that
was answered the ordinary way, so it knows no rule of its own: the same text to the same model says the same thing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .oip_request import InferRequest
from .oip_response import TIMING, plain_answer, timing

KEPT, KEPT_TEXT = 64, 2048      # plans of a model, and the longest text that one is kept for, in bytes


class Plan:
    """One text of JSON for one static model: all tensors come and go as binary blocks of sizes that the text fixes."""

    __slots__ = ("_blocks", "_head", "names", "rows", "size")

    def __init__(self, blocks: Sequence[tuple[str, np.dtype[Any], int, int, tuple[int, ...]]], names: Sequence[str],
                 rows: int, size: int, head: bytes) -> None:
        self._blocks = blocks           # name, dtype, number of elements, first byte in the body, shape
        self.names = names
        self.rows = rows
        self.size = size                # of the whole body
        self._head = head               # the answer before its blocks, with places for five times in ms

    def fill(self, body: bytes | bytearray) -> Callable[[Mapping[str, Any]], None]:
        """What copies the body's blocks into the model's rows."""
        def fill(row: Mapping[str, Any]) -> None:
            for name, dtype, count, at, shape in self._blocks:
                row[name][...] = np.frombuffer(body, dtype, count, at).reshape(shape)
        return fill

    def read(self, row: Mapping[str, Any]) -> list[bytes]:
        """The answer's blocks, copied from the model's rows."""
        return [row[name].tobytes() for name in self.names]

    def wire(self, blocks: Sequence[bytes], times: Sequence[int], started: int) -> bytes:
        """The whole HTTP answer; `times` are the stages' nanoseconds, `started` is perf_counter_ns() of the arrival."""
        return b"".join((self._head % timing(times, started), *blocks))


def text_of(body: bytes | bytearray, length: int) -> bytes | None:
    """The JSON at the start of a body where a plan may be kept for it."""
    return bytes(body[:length]) if 0 < length <= KEPT_TEXT else None


def plan_of(asked: InferRequest, text: bytes, size: int, rows: int, head: bytes, blocks: Sequence[Any]) -> Plan | None:
    """The plan of a request that `encode` answered with `head` and `blocks`, or None where its text does not say all.

    `size` is the body's, `rows` the batch. An id would make every text another one. Where the tensors and the text make up
    the whole body, every tensor came as a block.
    """
    arrays = asked.tensors
    if asked.ident or not all(w.binary and not w.top and w.region is None and w.wire != "BYTES" for w in asked.wishes):
        return None
    if any(array.dtype.kind in "bO" or not array.nbytes for array in arrays.values()):
        return None                     # booleans are made of bytes, and empty blocks would hide how an input came
    spans, at = [], len(text)
    for name, array in arrays.items():
        spans.append((name, array.dtype, array.size, at, array.shape))
        at += array.nbytes
    if at != size or not all(block.nbytes for block in blocks):
        return None
    answer = plain_answer(head, blocks, "\0", asked.way)
    front = b"".join((answer.head(), head)).replace(b"%", b"%%").replace(b"\0", TIMING.encode())
    return Plan(spans, [wish.name for wish in asked.wishes], rows, size, front)


def remember(plans: dict[bytes, Plan], text: bytes, plan: Plan | None) -> None:
    """Keep a plan; at most KEPT of them."""
    if plan is not None:
        if len(plans) >= KEPT:
            plans.clear()
        plans[text] = plan
