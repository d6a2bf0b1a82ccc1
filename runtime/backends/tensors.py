"""What requests of a free session must look like, checked the same way for every backend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...models.bundle import Bundle, TensorSpec
from ..errors import Invalid
from .dtypes import MEMORY

STATE_SIZES = ("where requests always have the same sizes, state those of every input and output, and how many rows may share "
               "a run: [[inputs]], [[outputs]] and max_batch in bundle.toml, or dims and max_batch_size in config.pbtxt")


def free_note(bundle: Bundle) -> str:
    """Why requests of a model do not share runs though stated sizes would let them; "" where they do or could not anyway."""
    specs = (*bundle.inputs, *bundle.outputs)
    first = 0 if bundle.max_batch else 1      # a free first dimension is the batch, and was looked at in the trial
    free = next((spec for spec in specs if None in spec.shape[first:]), None)
    if free is None or any(spec.dtype not in MEMORY or spec.optional or spec.any_rank for spec in specs):
        return ""
    shape = [-1 if n is None else n for n in free.shape]
    return f"its requests run one by one, and no engine can be built of it, as {free.name!r} has sizes {shape}; {STATE_SIZES}"


def whole(specs: Sequence[TensorSpec], bundle: Bundle) -> tuple[TensorSpec, ...]:
    """Specs of whole tensors: with a free first dimension where the bundle has a batch axis."""
    if not bundle.max_batch:
        return tuple(specs)
    return tuple(replace(s, shape=(None, *s.shape)) for s in specs)


def check_request(name: str, specs: Sequence[TensorSpec], inputs: Mapping[str, Any], known_outputs: Sequence[str],
                  outputs: Sequence[str]) -> None:
    """Invalid, naming the tensor, unless names, dtypes and shapes are what the model `name` takes."""
    by_name = {spec.name: spec for spec in specs}
    unknown = [n for n in inputs if n not in by_name]
    if unknown:
        raise Invalid(f"model {name!r} has no input {unknown[0]!r}; its inputs are {list(by_name)}")
    lacking = [n for n, spec in by_name.items() if not spec.optional and n not in inputs]
    if lacking:
        raise Invalid(f"model {name!r} needs input {lacking[0]!r}, which is missing; got {list(inputs)}")
    for wanted in outputs:
        if wanted not in known_outputs:
            raise Invalid(f"model {name!r} has no output {wanted!r}; its outputs are {list(known_outputs)}")
    for n, array in inputs.items():
        _check_tensor(name, by_name[n], array)


def _check_tensor(name: str, spec: TensorSpec, array: Any) -> None:
    expected = np.dtype(MEMORY.get(spec.dtype, object))
    if not isinstance(array, np.ndarray) or array.dtype != expected:
        got = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise Invalid(f"expected {spec.dtype} ({expected}), got {got} - at input {spec.name!r} of model {name!r}")
    if spec.any_rank:
        return
    fits = array.ndim == len(spec.shape) and all(
        want in (None, got) for want, got in zip(spec.shape, array.shape, strict=True))
    if not fits:
        shape = [-1 if d is None else d for d in spec.shape]
        raise Invalid(f"expected shape {shape} (-1 is free), got {list(array.shape)} - at input {spec.name!r} of "
                      f"model {name!r}")


def array_dtype(spec: TensorSpec) -> np.dtype[Any]:
    """The dtype of the array that carries a tensor: bfloat16 travels as uint16, strings as objects."""
    return np.dtype({"bfloat16": "uint16", "bytes": "object"}.get(spec.dtype, spec.dtype))


def zero(spec: TensorSpec) -> np.ndarray:
    """A zero-filled tensor; free dimensions are 1."""
    shape = tuple(n or 1 for n in spec.shape)
    if spec.dtype == "bytes":
        return np.full(shape, b"0", object)
    return np.zeros(shape, array_dtype(spec))
