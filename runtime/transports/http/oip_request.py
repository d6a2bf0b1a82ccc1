"""An inference request's bytes become tensors: JSON header, binary blocks, raw bodies, shared memory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import orjson

from ...errors import Invalid, TooLarge
from ...shared_memory import Regions
from ...tensors import ARRAY_DTYPES, BINARY_ONLY, as_objects, from_json, quoted, unpack_bytes
from .oip_wishes import NO_PARAMETERS, Face, Wish, read_wishes, shared, whole

LENGTH_HEADER = "Inference-Header-Content-Length"
RAW = -1     # the length of the JSON part where the body is one tensor and nothing else
MAX_DIMENSIONS = 32
MAX_EMPTY = 1 << 48
SOURCES = "'data', 'binary_data_size' in 'parameters', 'shared_memory_region' in 'parameters'"


@dataclass(slots=True)
class InferRequest:
    """A request ready for `Served.infer`; `names` are the wanted outputs in the order of `wishes`."""

    tensors: dict[str, np.ndarray] = field(default_factory=dict)
    wishes: Sequence[Wish] = ()
    names: Sequence[str] = ()
    ident: str = ""
    timeout_us: int = 0
    priority: int = 0
    sequence: tuple[Any, bool, bool] | None = None
    way: str = ""                # which variant answered, once one has


def json_length(header: str | None, size: int, limit: int) -> int:
    """Bytes of JSON at the start of a body of `size` bytes; RAW where the header says 0.

    Raises Invalid for a header that is no number or outside the body, TooLarge for JSON over `limit` bytes.
    """
    length = size
    if header is not None:
        digits = header.strip()
        if not digits.removeprefix("-").isdecimal() or len(digits) > 20:
            raise Invalid(f"Unable to parse {LENGTH_HEADER}, got: {header[:80]}")
        length = int(digits)
        if not 0 <= length <= size:
            raise Invalid(f"inference header size should be in range (0, {size}), got: {length}")
        length = length or RAW
    bounded = size if length == RAW else length
    if bounded > limit:
        raise TooLarge(f"the {'raw body' if length == RAW else 'JSON part'} of the request has {bounded} bytes and at "
                       f"most {limit} are accepted; send tensors as binary data")
    return length


def read_request(body: bytes | bytearray, length: int, face: Face, regions: Regions) -> InferRequest:
    """The request in `body`, whose first `length` bytes are JSON (or RAW). Raises Invalid or NotFound."""
    if length == RAW:
        return read_raw(body, face)
    document = parse_object(body if length == len(body) else memoryview(body)[:length])
    request = InferRequest()
    parameters = document.get("parameters") or NO_PARAMETERS
    ident = document.get("id") or ""
    if type(parameters) is not dict or type(ident) is not str:
        raise Invalid("expected 'parameters' to be an object and 'id' a string, got "
                      f"{quoted(parameters)} and {quoted(ident)}")
    request.ident = ident
    if parameters:
        read_parameters(parameters, request)
    outputs = document.get("outputs")
    request.wishes = read_wishes(outputs, parameters.get("binary_data_output", False), face, regions)
    request.names = [wish.name for wish in request.wishes] if outputs else ()
    inputs = document.get("inputs")
    if type(inputs) is not list:
        raise Invalid(f"expected 'inputs' to be an array of tensors, got {quoted(inputs)}")
    at = length
    for item in inputs:
        at = read_input(item, body, at, request, face, regions)
    if at != len(body):
        raise Invalid(f"unexpected additional input data for model '{face.model}': {len(body) - at} bytes are left "
                      "over after the last input")
    return request


def parse_object(text: bytes | bytearray | memoryview) -> dict[str, Any]:
    """A JSON object; the bare tokens NaN, Infinity and -Infinity are accepted. Invalid for anything else."""
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raw = bytes(text)
        if b"NaN" not in raw and b"Infinity" not in raw:
            raise Invalid(f"failed to parse the request JSON buffer: {error}") from None
        try:
            document = json.loads(raw)
            orjson.dumps(document)     # as strict as above: no lone surrogates, no integers beyond 64 bits
        except (ValueError, TypeError, RecursionError) as wrong:
            raise Invalid(f"failed to parse the request JSON buffer: {wrong}") from None
    if type(document) is not dict:
        raise Invalid(f"failed to parse the request JSON buffer: expected an object, got {quoted(document)}")
    return document


def read_parameters(parameters: Mapping[str, Any], request: InferRequest) -> None:
    """Timeout, priority and sequence; everything else is checked for its type and let be."""
    for key, value in parameters.items():
        if key.startswith("triton_"):
            raise Invalid("parameter keys starting with 'triton_' are reserved for Triton usage and should not be "
                          "specified.")
        if type(value) not in (str, int, bool, float):
            raise Invalid(f"parameter '{key}': expected a string, a number, true or false, got {quoted(value)}")
    request.timeout_us = whole(parameters.get("timeout", 0), "parameter 'timeout' (microseconds)")
    request.priority = whole(parameters.get("priority", 0), "parameter 'priority'")
    ident = parameters.get("sequence_id", 0)
    flags = parameters.get("sequence_start", False), parameters.get("sequence_end", False)
    if type(ident) is not str and whole(ident, "parameter 'sequence_id'") >= 1 << 64:
        raise Invalid(f"parameter 'sequence_id': expected a string or at most 64 bits, got {quoted(ident)}")
    if any(type(flag) is not bool for flag in flags):
        raise Invalid(f"parameters 'sequence_start' and 'sequence_end': expected true or false, got {flags}")
    if ident:
        request.sequence = (ident, *flags)
    if type(parameters.get("binary_data_output", False)) is not bool:
        raise Invalid("parameter 'binary_data_output': expected true or false, got "
                      f"{quoted(parameters['binary_data_output'])}")


def read_input(item: Any, body: bytes | bytearray, at: int, request: InferRequest, face: Face, regions: Regions) -> int:
    """Put one entry of `inputs` into the request; `at` is where its binary block starts. Returns where it ends."""
    name, wire, shape, parameters = read_header(item, request, face)
    has_data, has_block = "data" in item, "binary_data_size" in parameters
    has_region = "shared_memory_region" in parameters
    if has_data + has_block + has_region != 1:
        raise source_error((has_data, has_block, has_region))
    if has_block:
        size = whole(parameters["binary_data_size"], f"'binary_data_size' of input '{name}'")
        if at + size > len(body):
            raise Invalid(f"unexpected size for input '{name}', expecting {at + size - len(body)} additional bytes for "
                          f"model '{face.model}'")
        request.tensors[name] = from_block(body, at, size, name, wire, shape, request.ident, face)
        return at + size
    if has_region:
        region, offset, size = shared(parameters, f"input '{name}'", regions)
        request.tensors[name] = from_block(region.read(offset, size), 0, size, name, wire, shape, request.ident, face)
    elif wire in BINARY_ONLY:
        raise Invalid(f"receiving {wire} data via JSON is not supported. Please use the binary data format for input "
                      f"{name}")
    else:
        where = f"inference input '{name}' of model '{face.model}'"
        request.tensors[name] = from_json(item["data"], wire, shape, where)
    return at


def read_header(item: Any, request: InferRequest, face: Face) -> tuple[str, str, list[int], dict[str, Any]]:
    """(name, datatype, shape, parameters) of one input, checked against the model as far as that needs no data."""
    name = item.get("name") if type(item) is dict else None
    if type(name) is not str:
        raise Invalid(f"expected every input to be an object with a 'name', got {quoted(item)}")
    if name not in face.inputs:
        raise Invalid(f"unexpected inference input '{name}' for model '{face.model}'; it takes {list(face.inputs)}")
    if name in request.tensors:
        raise Invalid(f"input '{name}' already exists in request for model '{face.model}'; send each input once")
    wire, shape = face.inputs[name], item.get("shape")
    if type(shape) is not list or not all(type(n) is int and n >= 0 for n in shape):
        raise Invalid(f"'shape' of input '{name}': expected an array of non-negative integers, got {quoted(shape)}")
    # No data can be wrong in size where there is none, so such shapes are bounded here.
    if len(shape) > MAX_DIMENSIONS or (0 in shape and prod(n for n in shape if n) > MAX_EMPTY):
        raise Invalid(f"'shape' of input '{name}': expected at most {MAX_DIMENSIONS} dimensions of a sensible size, got "
                      f"{quoted(shape)}")
    if item.get("datatype") != wire:
        raise Invalid(f"inference input '{name}' data-type is '{item.get('datatype')}', but model '{face.model}' "
                      f"expects '{wire}'")
    parameters = item.get("parameters") or NO_PARAMETERS
    if type(parameters) is not dict:
        raise Invalid(f"expected 'parameters' of input '{name}' to be an object, got {quoted(parameters)}")
    return name, wire, shape, parameters


def source_error(given: tuple[bool, bool, bool]) -> Invalid:
    """None or several of the three ways to send an input."""
    names = [f"'{n}'" for n, there in zip(("data", "binary_data_size", "shared_memory_region"), given, strict=True)
             if there]
    got = f"set {' '.join(names)}" if names else "no field is set"
    return Invalid(f"Input must set only one of the following fields: {SOURCES}. But {got}")


def from_block(buffer: bytes | bytearray | memoryview, at: int, size: int, name: str, wire: str,
               shape: Sequence[int], ident: str, face: Face) -> np.ndarray:
    """The tensor in buffer[at:at+size], without a copy where the engine can take it so."""
    if wire == "BYTES":
        return unpack_bytes(memoryview(buffer)[at:at + size], shape,
                            f"inference input '{name}' of model '{face.model}'")
    count, dtype = prod(shape), ARRAY_DTYPES[wire]
    if count * dtype.itemsize != size:
        raise Invalid(f"[request id: {ident or '<id_unknown>'}] input byte size mismatch for input '{name}' for model "
                      f"'{face.model}'. Expected {count * dtype.itemsize}, got {size}")
    array = np.frombuffer(buffer, dtype, count, at).reshape(shape) if count else np.empty(shape, dtype)
    if wire == "BOOL":
        return array.view(np.uint8) != 0     # any byte may come; only 0 and 1 are booleans to an engine
    return array.copy() if face.aligned and not array.flags.aligned else array


def read_raw(body: bytes | bytearray, face: Face) -> InferRequest:
    """A body that is the model's only input and nothing else; batch 1, all outputs binary."""
    if len(face.raw) != 1:
        raise Invalid(f"a raw binary request ({LENGTH_HEADER}: 0) is for models with one input; '{face.model}' has "
                      f"{len(face.raw)}: {[s.name for s in face.raw]}")
    spec = face.raw[0]
    wire = face.inputs[spec.name]
    dtype = ARRAY_DTYPES[wire]
    front = (1,) if face.batched else ()
    free = spec.shape.count(None)
    if wire == "BYTES":
        shape = front + tuple(1 if n is None else n for n in spec.shape)
        if prod(shape) != 1:
            raise Invalid(f"a raw binary request is one BYTES element; input '{spec.name}' of model '{face.model}' has "
                          f"shape {list(shape)}")
        array = as_objects([bytes(body)], shape)
    else:
        known = prod(n for n in spec.shape if n is not None) * dtype.itemsize
        if free > 1 or (free and (not known or len(body) % known)):
            raise Invalid(f"a raw binary request leaves the shape of input '{spec.name}' of model '{face.model}' open: "
                          f"expected one free dimension and a multiple of {known} bytes, got {free} and {len(body)}")
        shape = front + tuple(len(body) // known if n is None else n for n in spec.shape)
        array = from_block(body, 0, len(body), spec.name, wire, shape, "", face)
    return InferRequest({spec.name: array}, face.all_binary)
