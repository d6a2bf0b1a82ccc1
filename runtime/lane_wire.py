"""The messages of the local lane, as docs/lane.md describes them: what goes over its socket, byte for byte.

Little-endian, fields at their natural places, so that a C struct of the same fields is the same bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .errors import AisleError, Busy, Failed, Invalid, Late, NotFound, TooLarge, Unsupported
from .tensors import ARRAY_DTYPES

MAGIC = 0x454C5341            # "ASLE"
PROTOCOL = 1
MAX_MESSAGE = 16384
MAX_RANK = 8
MAX_TENSORS = 64              # inputs, and outputs, of one model: outputs are named by the bits of a 64-bit number
ALIGN = 64                    # every offset is a multiple of it
PAGE = 4096                   # a slot's size is a multiple of it

# Kinds of messages. A client sends HELLO first, with the memory's descriptor, and then the others in any order.
HELLO, OPEN, INFER, MODELS, READY, ANSWER = 1, 2, 3, 4, 5, 16

HELLO_BYTES = struct.Struct("<HHIQII")       # kind, protocol, magic, bytes of a slot, slots, 0
HEAD = struct.Struct("<HHI")                 # kind, count, number that the answer repeats
CALL = struct.Struct("<HHIIIIIQQQ")          # ..., timeout us, priority, handle, slot, wanted outputs, room at, room bytes
VARYING = struct.Struct("<III")              # number, timeout, priority of a call, at byte 4: the rest repeats itself
REPEATING = 16                               # where the rest of a call begins
ANSWER_HEAD = struct.Struct("<HHIHHIQQ")     # kind, count, number, status, 0, extra, ns in the server, value
TENSOR = struct.Struct("<HBBIQQ8q")          # index, element type, rank, flags, offset, bytes, dimensions
IS_OUTPUT, IS_OPTIONAL = 1, 2                # flags of a tensor in the answer to OPEN

OK, CHANGED = 0, 8
STATUS: tuple[tuple[type[AisleError], int], ...] = (     # most specific first
    (TooLarge, 2), (Unsupported, 3), (Invalid, 1), (NotFound, 4), (Busy, 5), (Late, 6), (Failed, 7))
ERRORS: dict[int, type[AisleError]] = {code: kind for kind, code in STATUS} | {CHANGED: Invalid}

# A type's number on the wire is its place here; 0 is none.
TYPES = ("", "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64",
         "BF16", "BYTES")
NUMBERS = {name: number for number, name in enumerate(TYPES)}


class Changed(Invalid):
    """The model behind a handle takes or gives other tensors now; open it again."""


class Tensor(NamedTuple):
    """One tensor of a message: the `place` it has among a model's inputs or outputs; -1 is a free dimension (OPEN only)."""

    place: int
    dtype: int
    flags: int
    offset: int
    size: int
    dims: tuple[int, ...]

    def pack(self) -> bytes:
        padded = (*self.dims, *(0,) * (MAX_RANK - len(self.dims)))
        return TENSOR.pack(self.place, self.dtype, len(self.dims), self.flags, self.offset, self.size, *padded)


def unpack_tensors(data: bytes, at: int, count: int) -> list[Tensor]:
    """`count` tensors from `at` on; Invalid where the message is too short or a rank or type is not known."""
    if len(data) < at + count * TENSOR.size:
        raise Invalid(f"the message has {len(data)} bytes; with {count} tensors it would have {at + count * TENSOR.size}")
    found = []
    for i in range(count):
        index, dtype, rank, flags, offset, size, *dims = TENSOR.unpack_from(data, at + i * TENSOR.size)
        if rank > MAX_RANK or not 0 < dtype < len(TYPES):
            raise Invalid(f"tensor {i} of the message has rank {rank} and type {dtype}; expected at most {MAX_RANK} "
                          f"dimensions and a type from 1 to {len(TYPES) - 1}")
        found.append(Tensor(index, dtype, flags, offset, size, tuple(dims[:rank])))
    return found


def array_of(tensor: Tensor) -> np.dtype[Any]:
    """The dtype of the array behind a tensor; object for BYTES."""
    return ARRAY_DTYPES[TYPES[tensor.dtype]]


def aligned(size: int, step: int = ALIGN) -> int:
    """The least multiple of `step` that is at least `size`."""
    return -(-size // step) * step


def pack_answer(number: int, status: int, tail: bytes = b"", *, count: int = 0, extra: int = 0, ns: int = 0,
                value: int = 0) -> bytes:
    """One answer; `tail` is its tensors or its text."""
    return ANSWER_HEAD.pack(ANSWER, count, number, status, 0, extra, ns, value) + tail


def pack_error(number: int, error: AisleError) -> bytes:
    """An error as an answer: its class as the status, its sentence as the text."""
    status = CHANGED if isinstance(error, Changed) else next((code for kind, code in STATUS if isinstance(error, kind)), 7)
    wait_ms = min(int(error.retry_after_s * 1e3), (1 << 32) - 1) if isinstance(error, Busy) else 0
    text = error.sentence.encode("utf-8", "replace")[:MAX_MESSAGE - ANSWER_HEAD.size]
    return pack_answer(number, status, text, extra=wait_ms)


def error_of(status: int, extra: int, text: bytes) -> AisleError:
    """The error that an answer tells of."""
    sentence = text.decode("utf-8", "replace")
    if status == CHANGED:
        return Changed(sentence)
    kind = ERRORS.get(status, Failed)
    return Busy(sentence, extra / 1e3) if kind is Busy else kind(sentence)


def pack_call(number: int, handle: int, slot: int, tensors: Sequence[Tensor], room: tuple[int, int], *, wanted: int = 0,
              timeout_us: int = 0, priority: int = 0) -> bytes:
    """One inference call; results may use `room` = (offset, bytes) of the slot, `wanted` 0 means all outputs."""
    head = CALL.pack(INFER, len(tensors), number, timeout_us, priority, handle, slot, wanted, *room)
    return head + b"".join(tensor.pack() for tensor in tensors)
