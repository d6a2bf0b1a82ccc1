"""What a network is shown and asked while it is quantised: pictures through the bundle's own preprocessing, and its verdict."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from .bundle import Bundle, BundleError, TensorSpec
from .inspect.network import feed
from .inspect.recipe import ROLE, Backbone, load
from .inspect.score import judge, prepare

Feed = Mapping[str, np.ndarray]
Outputs = Mapping[str, np.ndarray]


def largest(numbers: np.ndarray) -> Hashable:
    """The place of the largest number."""
    return int(np.argmax(numbers))


@dataclass(frozen=True)
class Sample:
    """One request of a batch of one: its name in sentences, its tensors, and what its outputs decide.

    `weigh` gives the numbers that decide, float (n,): scores of classes, or the score of a part; `verdict` what they decide.
    """

    name: str
    feed: Feed
    weigh: Callable[[Outputs], np.ndarray]
    verdict: Callable[[np.ndarray], Hashable] = largest


PictureReader = Callable[[str, np.ndarray], Sample]


def picture_reader(bundle: Bundle) -> PictureReader:
    """How a picture, uint8 BGR (h, w, 3), becomes a sample of `bundle`, whose tensors are described.

    An inspector with a network goes by its recipe, and its verdict is whether the part would be rejected. Any other model
    goes by the table `picture` of its params, and its verdict is its largest output. BundleError where neither is there.
    """
    if bundle.role == ROLE:
        return _inspector(bundle)
    table = bundle.params.get("picture")
    if not isinstance(table, dict):
        raise BundleError(f"bundle {bundle.name!r} does not say how a picture becomes its input; add `picture` to [params] of "
                          "its bundle.toml (input, height, width, layout, dtype, rgb, scale, bias), or calibrate with "
                          ".npz files of its inputs")
    return _picture(bundle, picture_spec(bundle, table))


def picture_spec(bundle: Bundle, table: Mapping[str, Any]) -> Backbone:
    """The table `picture` of a bundle's params, checked against its inputs."""
    try:
        values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in table.items()}
        spec = Backbone(**{"taps": (), **values})
        numbers = (*spec.scale, *spec.bias)
        good = (spec.layout in ("NCHW", "NHWC") and spec.dtype in ("float32", "uint8")
                and len(spec.scale) == len(spec.bias) == 3 and all(isinstance(n, int | float) for n in numbers)
                and (spec.dtype == "float32" or spec.layout == "NHWC"))
    except TypeError as error:
        keys = ", ".join(f.name for f in fields(Backbone) if f.name != "taps")
        raise BundleError(f"params.picture of bundle {bundle.name!r} cannot be read ({error}); its keys are {keys}") from error
    if not good:
        raise BundleError(f"params.picture of bundle {bundle.name!r} has a value out of range; expected layout NCHW or NHWC, "
                          "dtype float32 (or uint8 with NHWC), three numbers each for scale and bias")
    have = next((s for s in bundle.inputs if s.name == spec.input), None)
    shape = (3, spec.height, spec.width) if spec.layout == "NCHW" else (spec.height, spec.width, 3)
    if have is None or have.dtype != spec.dtype or _row(have, bundle) != shape:
        raise BundleError(f"params.picture of bundle {bundle.name!r} describes input {spec.input!r} as {spec.dtype} {shape}; "
                          f"the file has {[(s.name, s.dtype, s.shape) for s in bundle.inputs]}")
    return spec


def _row(spec: TensorSpec, bundle: Bundle) -> tuple[int | None, ...]:
    """The shape of one row, where a file without a batch axis of its own has a leading 1."""
    return spec.shape if bundle.max_batch or spec.shape[:1] != (1,) else spec.shape[1:]


def _picture(bundle: Bundle, spec: Backbone) -> PictureReader:
    weigh = top_one(bundle)

    def read(name: str, picture: np.ndarray) -> Sample:
        shape = (3, spec.height, spec.width) if spec.layout == "NCHW" else (spec.height, spec.width, 3)
        row = np.empty(shape, spec.dtype)
        feed(np.ascontiguousarray(picture), spec, row)
        return Sample(name, {spec.input: row[None]}, weigh)
    return read


def top_one(bundle: Bundle) -> Callable[[Outputs], np.ndarray]:
    """What gives the scores of a model, of which the largest decides: its first output that is one row of several numbers.

    BundleError where no output is: then nothing says what a verdict of this model is.
    """
    for spec in bundle.outputs:
        row = _row(spec, bundle)
        if spec.dtype in ("float32", "float16", "uint8", "int8") and len(row) == 1 and (row[0] or 2) > 1:
            return lambda outputs: np.asarray(outputs[spec.name], np.float64).ravel()
    raise BundleError(f"bundle {bundle.name!r} has no output that is a row of scores "
                      f"({[(s.name, s.shape) for s in bundle.outputs]}); what its verdict is cannot be told, so that "
                      "quantising it cannot be judged")


def _inspector(bundle: Bundle) -> PictureReader:
    recipe = load(bundle)
    spec = recipe.backbone
    if spec is None:
        raise BundleError(f"station {bundle.name!r} has no network, it compares textures with kernels: there is nothing to "
                          "quantise")

    def read(name: str, picture: np.ndarray) -> Sample:
        try:
            prepared = prepare(picture, recipe)
        except ValueError as error:
            raise BundleError(f"picture {name}: {error}") from error
        shape = (3, spec.height, spec.width) if spec.layout == "NCHW" else (spec.height, spec.width, 3)
        row = np.empty(shape, spec.dtype)
        feed(prepared.picture, spec, row)

        def score(outputs: Outputs) -> np.ndarray:
            taps = tuple(np.asarray(outputs[tap][0], np.float32) for tap in spec.taps)
            return np.array([judge(prepared, recipe, taps).score])
        return Sample(name, {spec.input: row[None]}, score, lambda numbers: bool(numbers[0] > recipe.threshold))
    return read


def array_sample(bundle: Bundle, name: str, arrays: Feed) -> Sample:
    """A sample of stored inputs, by name, each with its batch axis where the bundle has one. BundleError where they misfit."""
    wanted = {s.name: s for s in bundle.inputs if not s.optional}
    if arrays.keys() != wanted.keys():
        raise BundleError(f"{name} holds the arrays {sorted(arrays)}; expected the inputs {sorted(wanted)}")
    for key, array in arrays.items():
        shape = ((None, *wanted[key].shape) if bundle.max_batch else wanted[key].shape)
        fit = len(shape) == array.ndim and all(w in (None, g) for w, g in zip(shape, array.shape, strict=True))
        if array.dtype.name != wanted[key].dtype or not fit:
            raise BundleError(f"{name}: expected {key!r} {wanted[key].dtype} {[-1 if d is None else d for d in shape]}, got "
                              f"{array.dtype} {list(array.shape)}")
    return Sample(name, dict(arrays), top_one(bundle))
