"""A call's descriptors become arrays that lie in the client's slot, and results become arrays there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from ...errors import Invalid, TooLarge, Unsupported
from ...lane_wire import (
    ALIGN,
    CALL,
    IS_OPTIONAL,
    IS_OUTPUT,
    MAX_RANK,
    MAX_TENSORS,
    NUMBERS,
    TENSOR,
    TYPES,
    Changed,
    Tensor,
    aligned,
    array_of,
    unpack_tensors,
)
from ...served import WIRE_NAMES, Served, wire_name
from ...tensors import ARRAY_DTYPES, pack_bytes, unpack_bytes
from .memory import Memory

LENT_FROM = 1 << 15    # bytes of inputs below which copying them costs less than running where they lie
MAX_PLANS = 256     # calls that are remembered of one connection


def describe(served: Served) -> tuple[tuple[int, bytes], ...]:
    """(flags, what OPEN tells) of every tensor of a model, inputs first: what a client relies on."""
    found = []
    for flag, specs in ((0, served.inputs), (IS_OUTPUT, served.outputs)):
        if len(specs) > MAX_TENSORS:
            raise Unsupported(f"model '{served.name}' has {len(specs)} {'outputs' if flag else 'inputs'}; the lane carries "
                              f"at most {MAX_TENSORS}: ask over HTTP")
        for i, spec in enumerate(specs):
            dims = (-1,) * bool(served.max_batch) + tuple(-1 if n is None else n for n in spec.shape)
            if len(dims) > MAX_RANK:
                raise Unsupported(f"tensor '{spec.name}' of model '{served.name}' has {len(dims)} dimensions; the lane "
                                  f"carries at most {MAX_RANK}: ask over HTTP")
            name = spec.name.encode()
            flags = flag | IS_OPTIONAL * spec.optional
            found.append((flags, Tensor(i, NUMBERS[WIRE_NAMES[spec.dtype]], flags, len(name), 0, dims).pack() + name))
    return tuple(found)


class Handle:
    """A model as one client opened it. It follows the versions that are loaded while their tensors stay the same."""

    def __init__(self, name: str, version: str | None, served: Served) -> None:
        self.name = name
        self.version = version
        self.told = describe(served)
        self.follow(served)

    def follow(self, served: Served) -> None:
        """Use this version from now on. Changed where its tensors are not those that were told."""
        if describe(served) != self.told:
            raise Changed(f"model '{self.name}' takes or gives other tensors since version {served.version}; open it again")
        self.served = served
        self.inputs = [spec.name for spec in served.inputs]
        self.outputs = [spec.name for spec in served.outputs]

    @property
    def text(self) -> bytes:
        """The answer to OPEN: every tensor, each followed by its name."""
        return b"".join(item for _, item in self.told)


class Plan:
    """One call, understood: the same bytes are the same plan, so a client that repeats itself pays for this once."""

    def __init__(self, data: bytes, handle: Handle, memory: Memory) -> None:
        _, count, *_, self.slot, wanted, self.room_at, self.room = CALL.unpack_from(data)
        if self.slot >= memory.slots:
            raise Invalid(f"slot {self.slot} of {memory.slots}: expected 0 to {memory.slots - 1}")
        self.handle = handle
        self.memory = memory
        self.names = named(wanted, handle)
        span(self.room_at, self.room, memory, "the room for results")
        tensors = unpack_tensors(data, CALL.size, count)
        if len(data) != CALL.size + count * TENSOR.size:
            raise Invalid(f"the message has {len(data)} bytes and its {count} tensors end before that")
        served = self.served = handle.served
        self.inputs: dict[str, np.ndarray] = {}
        self.loose: list[str] = []      # inputs that must be copied before anything looks at them twice
        self.texts: dict[str, Tensor] = {}
        for tensor in tensors:
            self._add(tensor, served)
        self.nbytes = sum(tensor.size for tensor in tensors)
        self.steady = served.static and not self.loose and not self.texts
        self.lends = self.steady and self.nbytes >= LENT_FROM
        self.places: list[tuple[str, np.ndarray]] = []
        self.described = b""
        if served.static:
            self._fix(served)

    def _add(self, tensor: Tensor, served: Served) -> None:
        if tensor.place >= len(self.handle.inputs):
            raise Invalid(f"input {tensor.place} of model '{served.name}': it has {len(self.handle.inputs)}, counted from 0")
        name = self.handle.inputs[tensor.place]
        where = f"inference input '{name}' of model '{served.name}'"
        if name in self.inputs or name in self.texts:
            raise Invalid(f"{where} is in the message twice")
        span(tensor.offset, tensor.size, self.memory, where)
        dtype = array_of(tensor)
        if any(n < 0 for n in tensor.dims) or prod(n for n in tensor.dims if n) > self.memory.slot_bytes:
            raise Invalid(f"{where}: shape {list(tensor.dims)} has no sense in a slot of {self.memory.slot_bytes} bytes")
        if dtype.hasobject:
            self.texts[name] = tensor
            return
        if prod(tensor.dims) * dtype.itemsize != tensor.size:
            raise Invalid(f"{where}: {TYPES[tensor.dtype]} {list(tensor.dims)} has {prod(tensor.dims) * dtype.itemsize} bytes, "
                          f"the message says {tensor.size}")
        # An engine, or a job, may check a number and use it later. What a client can change in between must be copied;
        # bytes of pictures can be no other than valid, and rows of static models are copies already.
        if TYPES[tensor.dtype] == "BOOL" or not (served.static or (served.workload and dtype == np.uint8)):
            self.loose.append(name)
        kind = np.dtype(np.uint8) if TYPES[tensor.dtype] == "BOOL" else dtype
        self.inputs[name] = self.memory.array(self.slot, kind, tensor.dims, tensor.offset)

    def _fix(self, served: Served) -> None:
        """Where every result of a static model goes, for all calls of this plan."""
        batched = bool(served.max_batch)
        some = next(iter(self.inputs.values()), None)
        batch = (some.shape[0],) if batched and some is not None and some.ndim else (1,) * batched
        specs = {spec.name: spec for spec in served.outputs}
        shapes = [(name, batch + tuple(n or 0 for n in specs[name].shape), WIRE_NAMES[specs[name].dtype])
                  for name in self.names]
        self.places, self.described = self.lay_out(shapes)

    def tensors(self) -> dict[str, np.ndarray]:
        """The inputs of this call; takes as long as copying what must be copied."""
        if not self.loose and not self.texts:
            return self.inputs
        found = dict(self.inputs)
        for name in self.loose:
            array = found[name]
            found[name] = array != 0 if self._is_bool(name) else array.copy()
        for name, tensor in self.texts.items():
            raw = self.memory.array(self.slot, np.dtype(np.uint8), (tensor.size,), tensor.offset)
            where = f"inference input '{name}' of model '{self.handle.name}'"
            found[name] = unpack_bytes(raw.tobytes(), tensor.dims, where)
        return found

    def _is_bool(self, name: str) -> bool:
        return any(spec.name == name and spec.dtype == "bool" for spec in self.handle.served.inputs)

    def lay_out(self, shapes: Sequence[tuple[str, tuple[int, ...], str]]) -> tuple[list[tuple[str, np.ndarray]], bytes]:
        """One after the other in the room for results: (name, array there) of each, and the tensors that tell of them.

        A shape of a BYTES output is followed by the bytes it takes: ("n", (1, 40), "BYTES") is one element of 40 bytes.
        """
        places, told, at = [], [], self.room_at
        for name, shape, wire in shapes:
            text = wire == "BYTES"
            kind = np.dtype(np.uint8) if text else ARRAY_DTYPES[wire]
            size = shape[-1] if text else prod(shape) * kind.itemsize
            if at + size > self.room_at + self.room:
                raise TooLarge(f"the results need more than the {self.room} bytes of slot {self.slot} that the call left for "
                               f"them: output '{name}' of model '{self.handle.name}' alone has {size}")
            there, dims = ((size,), shape[:-1]) if text else (shape, shape)
            places.append((name, self.memory.array(self.slot, kind, there, at, writable=True)))
            told.append(Tensor(self.handle.outputs.index(name), NUMBERS[wire], IS_OUTPUT, at, size, dims).pack())
            at = aligned(at + size)
        return places, b"".join(told)

    def put(self, row: Mapping[str, Any]) -> None:
        """Results of a static model, straight from its rows into the slot."""
        for name, there in self.places:
            there[...] = row[name]

    def take(self, row: Mapping[str, Any]) -> bytes:
        """`put`, and the tensors that tell where they lie."""
        self.put(row)
        return self.described

    def store(self, results: Mapping[str, Any]) -> bytes:
        """Results of any shape into the slot; the tensors that tell where. TooLarge where the room is too small."""
        values: dict[str, np.ndarray] = {}
        shapes: list[tuple[str, tuple[int, ...], str]] = []
        for name in self.names:
            value = results[name]
            if not isinstance(value, np.ndarray):
                raise Unsupported(f"output '{name}' of model '{self.handle.name}' is a sequence or a map; ask for it over HTTP")
            if value.ndim > MAX_RANK:
                raise Unsupported(f"output '{name}' of model '{self.handle.name}' has {value.ndim} dimensions; the lane "
                                  f"carries at most {MAX_RANK}")
            spec = next(spec for spec in self.handle.served.outputs if spec.name == name)
            wire = wire_name(value.dtype) if spec.dtype != "bfloat16" else "BF16"
            if wire == "BYTES":
                values[name] = np.frombuffer(pack_bytes(value), np.uint8)
                shapes.append((name, (*value.shape, values[name].size), wire))
            else:
                values[name] = value
                shapes.append((name, value.shape, wire))
        places, told = self.lay_out(shapes)
        for name, there in places:
            there[...] = values[name]
        return told


def named(wanted: int, handle: Handle) -> tuple[str, ...]:
    """The outputs that the bits of `wanted` name; 0 means all."""
    if wanted >> len(handle.outputs):
        raise Invalid(f"the call wants output {wanted.bit_length() - 1} of model '{handle.name}', which has "
                      f"{len(handle.outputs)}, counted from 0")
    return tuple(name for i, name in enumerate(handle.outputs) if not wanted or wanted >> i & 1)


def span(offset: int, size: int, memory: Memory, where: str) -> None:
    """Invalid unless these bytes lie inside a slot, at a multiple of ALIGN."""
    if offset % ALIGN or offset + size > memory.slot_bytes:
        raise Invalid(f"{where}: {size} bytes at {offset}; expected an offset that is a multiple of {ALIGN} and an end within "
                      f"the slot's {memory.slot_bytes} bytes")
