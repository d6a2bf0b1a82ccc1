"""What an inference request asks back: which outputs, in which form, written where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import Invalid
from ...served import WIRE_NAMES, Served
from ...shared_memory import Region, Regions
from ...tensors import BINARY_ONLY, quoted

NO_PARAMETERS: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Wish:
    """One output as the client wants it: JSON, binary, the `top` classes, or written to a region."""

    name: str
    wire: str
    binary: bool
    top: int = 0
    region: Region | None = None
    offset: int = 0
    room: int = 0


class Face:
    """What requests to one served model need to know of it, looked up once."""

    def __init__(self, served: Served) -> None:
        self.model = served.name
        self.version = served.version
        self.several = served.ladder is not None  # the answer's JSON names its variant where there is a choice
        self.batched = bool(served.max_batch)
        # No reference to `served` itself: it must be able to go when its model is unloaded.
        self.inputs = {s.name: WIRE_NAMES[s.dtype] for s in served.inputs}
        self.outputs = {s.name: WIRE_NAMES[s.dtype] for s in served.outputs}
        self.all_binary = tuple(Wish(s.name, WIRE_NAMES[s.dtype], True) for s in served.outputs)
        self.all_json = tuple(Wish(s.name, WIRE_NAMES[s.dtype], False) for s in served.outputs)
        required = tuple(s for s in served.inputs if not s.optional and s.name not in served.controls)
        self.raw = required or served.inputs      # what a raw binary request may be
        # The free path hands arrays to an engine as they are, and engines may want aligned ones.
        self.aligned = not served.static
        self.labels = {s.name: s.labels for s in served.outputs if s.labels}
        self.plans: dict[bytes, Any] = {}         # by the text of a request's JSON; see oip_plan
        self.slow = any(s.dtype == "bytes" for s in (*served.inputs, *served.outputs))


def read_wishes(items: Any, binary: bool, face: Face, regions: Regions) -> Sequence[Wish]:
    """The entries of `outputs`; without any all outputs. `binary` is the form where an entry says nothing of it.

    Raises Invalid, and NotFound for a region that nobody registered.
    """
    if items is None or items == []:
        wishes: Sequence[Wish] = face.all_binary if binary else face.all_json
    else:
        if type(items) is not list:
            raise Invalid(f"expected 'outputs' to be an array, got {quoted(items)}")
        wishes = [read_wish(item, binary, face, regions) for item in items]
        names = [wish.name for wish in wishes]
        if len(set(names)) != len(names):
            raise Invalid(f"an output is asked for twice for model '{face.model}': {names}")
    for wish in wishes:
        if wish.wire in BINARY_ONLY and not (wish.binary or wish.region):
            raise Invalid(f"sending {wish.wire} data via JSON is not supported. Please use the binary data format for "
                          f"output {wish.name}")
    return wishes


def read_wish(item: Any, binary: bool, face: Face, regions: Regions) -> Wish:
    """One entry of `outputs`."""
    name = item.get("name") if type(item) is dict else None
    if type(name) is not str:
        raise Invalid(f"expected every output to be an object with a 'name', got {quoted(item)}")
    if name not in face.outputs:
        raise Invalid(f"unexpected inference output '{name}' for model '{face.model}'; it has {list(face.outputs)}")
    wire = face.outputs[name]
    parameters = item.get("parameters") or NO_PARAMETERS
    if type(parameters) is not dict:
        raise Invalid(f"expected 'parameters' of output '{name}' to be an object, got {quoted(parameters)}")
    given = parameters.get("binary_data")
    if given is not None and type(given) is not bool:
        raise Invalid(f"'binary_data' of output '{name}': expected true or false, got {quoted(given)}")
    top = whole(parameters.get("classification", 0), f"'classification' of output '{name}'")
    if top:
        check_classification(name, wire)
        wire = "BYTES"
    if "shared_memory_region" not in parameters:
        return Wish(name, wire, binary if given is None else given, top)
    if top or given:
        raise Invalid(f"output '{name}' can not set 'shared_memory_region' together with "
                      f"{'classification' if top else 'binary_data'}")
    region, offset, size = shared(parameters, f"output '{name}'", regions)
    return Wish(name, wire, False, 0, region, offset, size)


def check_classification(name: str, wire: str) -> None:
    """Refuse classification where numbers have no order or are none."""
    if wire in ("FP16", "BF16", "BOOL", "BYTES"):
        raise Invalid(f"classification is not supported for output '{name}' of datatype {wire}")


def shared(parameters: Mapping[str, Any], where: str, regions: Regions) -> tuple[Region, int, int]:
    """The registered region that `parameters` name, with offset and size checked against it."""
    name = parameters["shared_memory_region"]
    if type(name) is not str:
        raise Invalid(f"'shared_memory_region' of {where}: expected a string, got {quoted(name)}")
    if "shared_memory_byte_size" not in parameters:
        raise Invalid(f"{where} sets 'shared_memory_region' and lacks 'shared_memory_byte_size'; send both")
    size = whole(parameters["shared_memory_byte_size"], f"'shared_memory_byte_size' of {where}")
    offset = whole(parameters.get("shared_memory_offset", 0), f"'shared_memory_offset' of {where}")
    region = regions.get(name)
    region.span(offset, size)
    return region, offset, size


def whole(value: Any, what: str) -> int:
    """A non-negative integer, or Invalid."""
    if type(value) is not int or value < 0:
        raise Invalid(f"expected {what} to be a non-negative integer, got {quoted(value)}")
    return value
