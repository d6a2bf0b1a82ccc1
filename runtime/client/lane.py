"""The client's side of the lane: memory, a socket, and messages both ways; `Client` and `AsyncClient` wait for answers."""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, NamedTuple

import numpy as np

from ..errors import Failed, Invalid, TooLarge
from ..lane_wire import (
    ANSWER,
    ANSWER_HEAD,
    HEAD,
    HELLO,
    HELLO_BYTES,
    IS_OUTPUT,
    MAGIC,
    MAX_MESSAGE,
    MODELS,
    OK,
    OPEN,
    PAGE,
    PROTOCOL,
    READY,
    TENSOR,
    TYPES,
    Tensor,
    aligned,
    array_of,
    error_of,
    pack_call,
    unpack_tensors,
)
from ..tensors import ARRAY_DTYPES, pack_bytes, unpack_bytes
from .results import Results

SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW


@dataclass
class Spec:
    """One tensor of a model: its place among the inputs or outputs, its type on the wire, its shape (-1 is free)."""

    place: int
    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass
class Opened:
    """A model behind a handle."""

    name: str
    version: str
    handle: int
    max_batch: int
    inputs: dict[str, Spec] = field(default_factory=dict)
    outputs: dict[str, Spec] = field(default_factory=dict)


class Answer(NamedTuple):
    """What came back: its head and the bytes behind it. `value` and `extra` mean what docs/lane.md says of the kind."""

    tensors: int
    number: int
    status: int
    extra: int
    ns: int
    value: int
    tail: bytes

    @property
    def variant(self) -> str:
        """Of an answer to INFER: the variant that ran; empty where no network did, or from an older server."""
        at = self.tensors * TENSOR.size
        return self.tail[at:at + self.extra].decode("utf-8", "replace")

    def check(self) -> Answer:
        """Itself, or the error it tells of, raised."""
        if self.status != OK:
            raise error_of(self.status, self.extra, self.tail)
        return self


class Link:
    """One connection with its memory. Sends and reads messages; does not wait and does not know who waits."""

    def __init__(self, path: str, slots: int, slot_mb: float, timeout_s: float, spin_us: float = 0) -> None:
        self.spin_ns = int(spin_us * 1e3) if (os.cpu_count() or 1) > 1 else 0
        self.slots = slots
        self.slot_bytes = aligned(int(slot_mb * (1 << 20)), PAGE)
        self.opened: dict[tuple[str, str], Opened] = {}
        self.number = 0
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._connect(path, timeout_s)
        except BaseException:
            self.sock.close()
            raise

    def _connect(self, path: str, timeout_s: float) -> None:
        # The kernel's own timeouts: a Python timeout would cost two more system calls for each message.
        limit = struct.pack("@ll", int(timeout_s), int(timeout_s % 1 * 1e6))
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        try:
            self.sock.connect(path)
        except OSError as error:
            raise Failed(f"no server answers on the lane {path}: {error.strerror}") from None
        size = self.slot_bytes * self.slots
        descriptor = os.memfd_create("aisle-lane", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
        try:
            os.ftruncate(descriptor, size)
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, SEALS)
            self.memory = mmap.mmap(descriptor, size)
            hello = HELLO_BYTES.pack(HELLO, PROTOCOL, MAGIC, self.slot_bytes, self.slots, 0)
            socket.send_fds(self.sock, [hello], [descriptor])
        except (BrokenPipeError, ConnectionError):
            pass                      # refused before HELLO; the answer says why
        finally:
            os.close(descriptor)
        self.receive().check()

    def close(self) -> None:
        """The server lets go of the memory; ours goes with the last array that lies in it."""
        self.sock.close()

    # ---- messages

    def send(self, message: bytes) -> None:
        """One message; blocks while the server is not reading."""
        try:
            self.sock.send(message)
        except OSError as error:
            raise Failed(f"the server has closed the lane: {error.strerror}") from None

    def receive(self) -> Answer:
        """The next answer; blocks until it is there.

        At first it asks again and again: being woken costs more than a cheap model takes (measured: docs/lane.md).
        """
        until = time.perf_counter_ns() + self.spin_ns
        try:
            while time.perf_counter_ns() < until:
                with contextlib.suppress(BlockingIOError):
                    return read_answer(self.sock.recv(MAX_MESSAGE + 1, socket.MSG_DONTWAIT))
            data = self.sock.recv(MAX_MESSAGE + 1)
        except BlockingIOError:
            raise Failed("the server did not answer within the client's timeout") from None
        except OSError as error:
            raise Failed(f"the server has closed the lane: {error.strerror}") from None
        return read_answer(data)

    def next_number(self) -> int:
        """A number for a message; answers repeat it. 0 is the server's."""
        self.number = self.number % 0xFFFFFFFF + 1
        return self.number

    def ask_open(self, name: str, version: str) -> tuple[int, bytes]:
        """(number, message) that opens a model."""
        number = self.next_number()
        return number, HEAD.pack(OPEN, 0, number) + (f"{name}\n{version}" if version else name).encode()

    def ask_ready(self) -> tuple[int, bytes]:
        """(number, message) that asks whether the server is ready."""
        number = self.next_number()
        return number, HEAD.pack(READY, 0, number)

    def ask_models(self, first: int) -> tuple[int, bytes]:
        """(number, message) that asks for the models from the `first` on."""
        number = self.next_number()
        return number, HEAD.pack(MODELS, first, number)

    def keep_opened(self, name: str, version: str, answer: Answer) -> Opened:
        """Understand the answer to OPEN, and remember it."""
        answer.check()
        made = Opened(name, version, answer.value, answer.extra)
        at = 0
        for _ in range(answer.tensors):
            tensor = unpack_tensors(answer.tail, at, 1)[0]
            at += TENSOR.size + tensor.offset
            text = answer.tail[at - tensor.offset:at].decode()
            there = made.outputs if tensor.flags & IS_OUTPUT else made.inputs
            there[text] = Spec(tensor.place, text, TYPES[tensor.dtype], tensor.dims)
        self.opened[name, version] = made
        return made

    # ---- tensors in a slot

    def view(self, slot: int, tensor: Tensor) -> np.ndarray:
        """The array in a slot that a tensor tells of; bytes where it is BYTES."""
        dtype = np.dtype(np.uint8) if TYPES[tensor.dtype] == "BYTES" else array_of(tensor)
        shape = (tensor.size,) if TYPES[tensor.dtype] == "BYTES" else tensor.dims
        if not prod(shape):
            return np.empty(shape, dtype)
        return np.frombuffer(self.memory, dtype, prod(shape), slot * self.slot_bytes + tensor.offset).reshape(shape)

    def results(self, slot: int, answer: Answer, opened: Opened, copy: bool) -> Results:
        """The outputs by name: copies, or the slot's own memory. BYTES are object arrays of bytes in any case."""
        names = list(opened.outputs)
        found = Results(answer.variant)
        for tensor in unpack_tensors(answer.tail, 0, answer.tensors):
            array = self.view(slot, tensor)
            name = names[tensor.place]
            if TYPES[tensor.dtype] == "BYTES":
                found[name] = unpack_bytes(array.tobytes(), tensor.dims, f"output '{name}'")
            else:
                found[name] = array.copy() if copy else array
        return found

    def lay_out(self, opened: Opened, sizes: Mapping[str, tuple[Sequence[int], int]]) -> tuple[list[Tensor], int]:
        """Tensors one after the other from a slot's beginning, for inputs of (shape, bytes); and where they end."""
        tensors, at = [], 0
        for name, (shape, size) in sizes.items():
            if name not in opened.inputs:
                raise Invalid(f"unexpected inference input '{name}' for model '{opened.name}'; it takes {list(opened.inputs)}")
            spec = opened.inputs[name]
            tensors.append(Tensor(spec.place, TYPES.index(spec.dtype), 0, at, size, tuple(shape)))
            at = aligned(at + size)
        if at > self.slot_bytes:
            raise TooLarge(f"the inputs of model '{opened.name}' have {at} bytes and a slot has {self.slot_bytes}; make the "
                           "client with a larger slot_mb")
        return tensors, at

    def put(self, slot: int, opened: Opened, inputs: Mapping[str, Any]) -> tuple[list[Tensor], int]:
        """Copy inputs into a slot; the tensors that tell where, and where they end."""
        values = {name: wire_array(name, value, opened) for name, value in inputs.items()}
        raw = {name: np.frombuffer(pack_bytes(v), np.uint8) for name, v in values.items() if v.dtype.hasobject}
        tensors, end = self.lay_out(opened, {name: (v.shape, raw[name].size if name in raw else v.nbytes)
                                             for name, v in values.items()})
        for tensor, (name, value) in zip(tensors, values.items(), strict=True):
            there = self.view(slot, tensor)
            there[...] = raw.get(name, value)
        return tensors, end

    def call(self, number: int, opened: Opened, slot: int, tensors: Sequence[Tensor], end: int, outputs: Sequence[str],
             timeout_us: int, priority: int) -> bytes:
        """The message of an inference; results may use all of the slot behind the inputs."""
        wanted = 0
        for name in outputs:
            if name not in opened.outputs:
                raise Invalid(f"unexpected inference output '{name}' for model '{opened.name}'; it has {list(opened.outputs)}")
            wanted |= 1 << opened.outputs[name].place
        return pack_call(number, opened.handle, slot, tensors, (end, self.slot_bytes - end), wanted=wanted,
                         timeout_us=timeout_us, priority=priority)


def read_answer(data: bytes) -> Answer:
    """One message from the server."""
    if len(data) < ANSWER_HEAD.size:
        raise Failed("the server has closed the lane")
    kind, count, number, status, _, extra, ns, value = ANSWER_HEAD.unpack_from(data)
    if kind != ANSWER:
        raise Failed(f"the server sent a message of kind {kind}, which this client does not know")
    return Answer(count, number, status, extra, ns, value, data[ANSWER_HEAD.size:])


def wire_array(name: str, value: Any, opened: Opened | None = None) -> np.ndarray:
    """An input as an array of its tensor's type: arrays as they are, `bytes` and `str` as one BYTES element."""
    if isinstance(value, (bytes, str)):
        value = [value]
    if not isinstance(value, np.ndarray):
        value = np.array(value, object) if any(isinstance(v, (bytes, str)) for v in value) else np.asarray(value)
    spec = opened.inputs.get(name) if opened else None
    if spec is not None and value.dtype != ARRAY_DTYPES[spec.dtype]:
        raise Invalid(f"inference input '{name}' data-type is '{value.dtype}', but model '{opened.name if opened else ''}' "
                      f"expects '{spec.dtype}' ({ARRAY_DTYPES[spec.dtype]})")
    return np.ascontiguousarray(value) if value.ndim else value

