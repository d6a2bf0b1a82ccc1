"""What a way to a server can do, whatever carries it, and the lane as such a way."""

from __future__ import annotations

import struct
import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..errors import Busy, Failed, Invalid
from ..lane_wire import INFER, REPEATING, Changed
from ..tensors import ARRAY_DTYPES
from .lane import Answer, Link, Opened
from .results import Results

FRONT = struct.Struct("<HHIII")      # the part of a call that differs from one time to the next


class Model(NamedTuple):
    """A model or a job's station that serves; `job` is empty for a model."""

    name: str
    version: str
    job: str


class Prepared(Protocol):
    """A call whose inputs lie where the server reads them: fill `inputs`, then `run`, as often as you like."""

    inputs: dict[str, np.ndarray]

    def run(self, *, deadline_ms: float = 0, priority: int = 0) -> Results:
        """The outputs by name, valid until the next run."""

    def close(self) -> None:
        """Give the place back."""


class Way(Protocol):
    """A connection to a server."""

    def infer(self, model: str, inputs: Mapping[str, Any], outputs: Sequence[str], deadline_ms: float, priority: int,
              version: str) -> Results:
        """Answer one request."""

    def prepare(self, model: str, shapes: Mapping[str, Sequence[int]], outputs: Sequence[str], version: str) -> Prepared:
        """A call to repeat."""

    def models(self) -> list[Model]:
        """What serves."""

    def blockers(self) -> str:
        """Why the server is not ready; empty when it is."""

    def close(self) -> None:
        """End the connection."""


class Lane:
    """The lane, one call at a time. Slot 0 serves `infer`, the others prepared calls."""

    def __init__(self, path: str, slots: int, slot_mb: float, timeout_s: float, spin_us: float) -> None:
        self.link = Link(path, slots, slot_mb, timeout_s, spin_us)
        self.free = list(range(1, slots))
        self.mutex = threading.Lock()

    def ask(self, number: int, message: bytes) -> Answer:
        """Send and wait; an answer to something older is passed over. A lane that failed once is closed."""
        try:
            self.link.send(message)
            while True:
                answer = self.link.receive()
                if answer.number == number:
                    return answer
        except Failed:
            self.link.close()
            raise

    def open(self, model: str, version: str) -> Opened:
        """The model's handle; asked for once."""
        opened = self.link.opened.get((model, version))
        if opened is None:
            opened = self.link.keep_opened(model, version, self.ask(*self.link.ask_open(model, version)))
        return opened

    def infer(self, model: str, inputs: Mapping[str, Any], outputs: Sequence[str], deadline_ms: float, priority: int,
              version: str) -> Results:
        """Copies in, asks, copies out. A model whose tensors have changed is opened again once."""
        with self.mutex:
            try:
                return self._infer(model, inputs, outputs, deadline_ms, priority, version)
            except Changed:
                self.link.opened.pop((model, version), None)
                return self._infer(model, inputs, outputs, deadline_ms, priority, version)

    def _infer(self, model: str, inputs: Mapping[str, Any], outputs: Sequence[str], deadline_ms: float, priority: int,
               version: str) -> Results:
        link, opened = self.link, self.open(model, version)
        tensors, end = link.put(0, opened, inputs)
        number = link.next_number()
        message = link.call(number, opened, 0, tensors, end, outputs, int(deadline_ms * 1e3), priority)
        return link.results(0, self.ask(number, message).check(), opened, copy=True)

    def prepare(self, model: str, shapes: Mapping[str, Sequence[int]], outputs: Sequence[str], version: str) -> LaneCall:
        """A call whose inputs lie in a slot of its own."""
        with self.mutex:
            opened = self.open(model, version)
            if not self.free:
                raise Busy(f"all {self.link.slots} slots of this client are in use; close a prepared call or make the client "
                           "with more slots")
            call = LaneCall(self, opened, self.free[-1], shapes, outputs)
            self.free.pop()
            return call

    def models(self) -> list[Model]:
        """Asks on until all are told."""
        found: list[Model] = []
        with self.mutex:
            while True:
                answer = self.ask(*self.link.ask_models(len(found))).check()
                found += [Model(*line.split("\t")) for line in answer.tail.decode().splitlines()]
                if len(found) >= answer.value or not answer.tensors:
                    return found

    def blockers(self) -> str:
        """Empty, or the server's reasons."""
        with self.mutex:
            try:
                self.ask(*self.link.ask_ready()).check()
            except Busy as error:
                return error.sentence
        return ""

    def close(self) -> None:
        """The server lets go of everything."""
        self.link.close()


class LaneCall:
    """A prepared call of the lane: nothing is copied, and of the message only the front is made anew."""

    def __init__(self, lane: Lane, opened: Opened, slot: int, shapes: Mapping[str, Sequence[int]],
                 outputs: Sequence[str]) -> None:
        link = lane.link
        sizes = {name: (tuple(shape), size_of(opened, name, shape)) for name, shape in shapes.items()}
        tensors, end = link.lay_out(opened, sizes)
        self.inputs = {name: link.view(slot, tensor) for name, tensor in zip(sizes, tensors, strict=True)}
        self._lane, self._opened, self._slot = lane, opened, slot
        self._count = len(tensors)
        self._rest = link.call(0, opened, slot, tensors, end, outputs, 0, 0)[REPEATING:]
        self._told = b""
        self._outputs = Results()

    def run(self, *, deadline_ms: float = 0, priority: int = 0) -> Results:
        """Ask; the arrays that come back lie in the slot."""
        lane = self._lane
        with lane.mutex:
            number = lane.link.next_number()
            front = FRONT.pack(INFER, self._count, number, int(deadline_ms * 1e3), priority)
            answer = lane.ask(number, front + self._rest)
        try:
            answer.check()
        except Changed:
            lane.link.opened.pop((self._opened.name, self._opened.version), None)     # the next `prepare` asks anew
            raise
        if answer.tail != self._told or not self._told:
            self._outputs = lane.link.results(self._slot, answer, self._opened, copy=False)
            # Strings are read out, not seen in place: never the same answer twice.
            texts = any(value.dtype.hasobject for value in self._outputs.values())
            self._told = b"" if texts else answer.tail
        return self._outputs

    def close(self) -> None:
        """Give the slot back."""
        if self._slot not in self._lane.free:
            self._lane.free.append(self._slot)


def size_of(opened: Opened, name: str, shape: Sequence[int]) -> int:
    """Bytes of an input of that shape; strings have no size beforehand."""
    spec = opened.inputs.get(name)
    if spec is None:
        raise Invalid(f"unexpected inference input '{name}' for model '{opened.name}'; it takes {list(opened.inputs)}")
    if spec.dtype == "BYTES":
        raise Invalid(f"input '{name}' of model '{opened.name}' is of strings, whose size is not known beforehand; use infer")
    return int(np.prod(tuple(shape), dtype=np.int64)) * ARRAY_DTYPES[spec.dtype].itemsize

