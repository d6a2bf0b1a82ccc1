"""A recipe: everything that teaching learned of a part, as numbers and arrays, and how it lies in a bundle."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ...kernels import Bank
from ..bundle import Bundle, BundleError
from .features import CELL, DEPTH
from .register import small_size

ROLE = "inspector"
SCHEMA = 1
CODES = 64                      # int8 values a cell
ARRAYS, REFERENCE = "recipe.npz", "reference.png"
METHODS = ("neighbour", "gauss")
REDUCTIONS = (2, 4, 8)          # by which a JPEG may have been decoded smaller
# Pixels that must be left for one of the working picture: with 1.03 the ranking of real parts suffered (see
# docs/inspection.md), with 1.5 it did not.
ROOM = 1.5
MAX_ARRAY_BYTES = 1 << 30
CANARY_TOLERANCE = 0.02         # of a usual part (1.0) or of the score: machines round differently; other recipes are far off


@dataclass(frozen=True)
class Backbone:
    """How a network that a bundle brings is fed and which of its outputs describe cells.

    The aligned picture is stretched to height x width, multiplied by `scale` and shifted by `bias` per channel (of
    0..255), as RGB where `rgb`; `layout` is NCHW (float32) or NHWC (float32 or uint8, then without scale and bias).
    """

    input: str
    taps: tuple[str, ...]
    height: int
    width: int
    layout: str = "NCHW"
    dtype: str = "float32"
    rgb: bool = True
    scale: tuple[float, float, float] = (1 / 255, 1 / 255, 1 / 255)
    bias: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Recipe:
    """What `score.examine` needs. Sizes are (height, width); a cell is 8 x 8 px of the working picture."""

    name: str
    version: str
    size: tuple[int, int]             # of the pictures that were shown, as they were sent
    work: tuple[int, int]             # of the working picture
    reduced: bool                     # pictures were decoded no larger than `cover_of(work)`
    method: str                       # neighbour or gauss
    radius: int                       # neighbour: cells around the same place; -1 the whole grid
    contrast: bool                    # local brightness and contrast are taken out first
    register: bool                    # parts are moved onto the reference
    gate: float                       # least correlation with the reference for a part to be found
    unit: float                       # distance that makes 1.0 in the map: what good parts have on average
    threshold: float
    average: float                    # promises, see conformal.Promise
    bound: float
    canary_score: float               # of the reference picture
    backbone: Backbone | None
    reference: np.ndarray             # float32, as register.small makes it
    picture: np.ndarray               # uint8 BGR, the reference picture as it was shown
    offset: np.ndarray                # float32 (d,): mean of each feature
    scale: np.ndarray                 # float32 (d,): spread of each feature
    projection: np.ndarray            # float32 (d, 64), for neighbour: features to codes
    bank: np.ndarray                  # int8 (n, gh, gw, 64), for neighbour
    mean: np.ndarray                  # float32 (gh, gw, d), for gauss
    whiten: np.ndarray                # float32 (gh, gw, d, d), for gauss

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        return self.work[0] // CELL, self.work[1] // CELL

    def takes(self, size: tuple[int, ...]) -> bool:
        """Whether a decoded picture may have that (height, width)."""
        return size in decoded_sizes(self.size, cover_of(self.work) if self.reduced else None)

    @cached_property
    def laid(self) -> Bank:
        """The bank as this machine searches it, for neighbour: laid out once, never stored."""
        return Bank(self.bank, radius=None if self.radius < 0 else self.radius)


def cover_of(work: tuple[int, int]) -> tuple[int, int]:
    """The least (height, width) at which a picture may be decoded for a working picture of that size."""
    return math.ceil(ROOM * work[0]), math.ceil(ROOM * work[1])


def decoded_sizes(size: tuple[int, int], cover: tuple[int, int] | None) -> list[tuple[int, int]]:
    """The sizes at which a picture of that (height, width) may come: whole, or 1/2, 1/4 or 1/8 where that covers `cover`."""
    smaller = [(-(-size[0] // r), -(-size[1] // r)) for r in REDUCTIONS]
    return [size] + [s for s in smaller if cover is not None and s[0] >= cover[0] and s[1] >= cover[1]]


_ARRAY_NAMES = ("reference", "offset", "scale", "projection", "bank", "mean", "whiten")


def params(recipe: Recipe) -> dict[str, Any]:
    """The numbers of a recipe as the params of its bundle."""
    table: dict[str, Any] = {
        "schema": SCHEMA, "height": recipe.size[0], "width": recipe.size[1], "work": list(recipe.work),
        "reduced": recipe.reduced,
        "method": recipe.method, "radius": recipe.radius, "contrast": recipe.contrast, "register": recipe.register,
        "gate": recipe.gate, "unit": recipe.unit, "threshold": recipe.threshold, "promise_average": recipe.average,
        "promise_bound": recipe.bound, "canary_score": recipe.canary_score,
    }
    if recipe.backbone is not None:
        table["backbone"] = {f.name: _plain(getattr(recipe.backbone, f.name)) for f in fields(Backbone)}
    return table


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def save(recipe: Recipe, folder: Path) -> tuple[str, ...]:
    """Write the arrays and the reference picture into `folder`; return the file names."""
    with (folder / ARRAYS).open("wb") as file:
        np.savez(file, **{name: getattr(recipe, name) for name in _ARRAY_NAMES})
    done, png = cv2.imencode(".png", recipe.picture)
    assert done, "OpenCV refused to encode a uint8 picture as PNG"
    (folder / REFERENCE).write_bytes(png.tobytes())
    return ARRAYS, REFERENCE


def load(bundle: Bundle) -> Recipe:
    """The recipe in a bundle; BundleError says which file or number is not what teaching writes."""
    numbers = _numbers(bundle)
    arrays = _arrays(bundle)
    encoded = np.frombuffer(_bytes(bundle, REFERENCE), np.uint8)
    picture = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if encoded.size else None    # OpenCV raises for no bytes at all
    allowed = decoded_sizes(numbers["size"], cover_of(numbers["work"]) if numbers["reduced"] else None)
    if picture is None or picture.shape[:2] not in allowed:
        raise BundleError(f"{REFERENCE} of inspector {bundle.name!r}: expected a picture of {numbers['size'][1]} x "
                          f"{numbers['size'][0]}, got {'none' if picture is None else picture.shape}; teach it again")
    recipe = Recipe(name=bundle.name, version=bundle.version, picture=picture, **numbers, **arrays)
    _check_shapes(recipe)
    if recipe.method == "neighbour":
        _ = recipe.laid     # now, not while a picture waits
    return recipe


def _bytes(bundle: Bundle, name: str) -> bytes:
    try:
        return bundle.path(name).read_bytes()
    except OSError as error:
        raise BundleError(f"cannot read {name} of inspector {bundle.name!r}: {error.strerror}; copy the bundle again or "
                          "teach it again") from error


def _numbers(bundle: Bundle) -> dict[str, Any]:
    """The params as fields of a Recipe, each with its type and range checked."""
    table = bundle.params
    if table.get("schema") != SCHEMA:
        raise BundleError(f"inspector {bundle.name!r}: expected params.schema {SCHEMA}, got {table.get('schema')!r}; this "
                          "version of Aisle cannot read it: teach it again")
    side, real = (8, 32_768), (0.0, 1e30)
    found = {"size": (_number(bundle, table, "height", int, side), _number(bundle, table, "width", int, side))}
    work = table.get("work")
    if not isinstance(work, list) or len(work) != 2 or any(type(n) is not int or n % CELL or not 32 <= n <= 4096 for n in work):
        raise BundleError(f"inspector {bundle.name!r}: expected params.work to be two multiples of {CELL}, got {work!r}")
    found["work"] = (work[0], work[1])
    if table.get("method") not in METHODS:
        raise BundleError(f"inspector {bundle.name!r}: expected params.method one of {METHODS}, got {table.get('method')!r}")
    found["method"] = table["method"]
    given = {"reduced": False, **table}      # recipes from before there was a choice were taught on whole pictures
    for name in ("contrast", "register", "reduced"):
        if not isinstance(given.get(name), bool):
            raise BundleError(f"inspector {bundle.name!r}: expected params.{name} true or false, got {given.get(name)!r}")
        found[name] = given[name]
    found["radius"] = _number(bundle, table, "radius", int, (-1, 4096))
    ranges = {"gate": (-1.0, 1.0), "unit": (1e-12, 1e30), "threshold": real, "canary_score": real}
    found |= {name: _number(bundle, table, name, float, limits) for name, limits in ranges.items()}
    found |= {name: _number(bundle, table, f"promise_{name}", float, (0.0, 1.0)) for name in ("average", "bound")}
    return found | {"backbone": _backbone(bundle, table.get("backbone"))}


def _number(bundle: Bundle, table: Mapping[str, Any], name: str, kind: type, limits: tuple[float, float]) -> Any:
    value = table.get(name)
    fits = type(value) is int or (kind is float and type(value) is float)
    if not fits or not limits[0] <= value <= limits[1]:  # type: ignore[operator]
        raise BundleError(f"inspector {bundle.name!r}: expected params.{name} to be {'a whole' if kind is int else 'a'} "
                          f"number from {limits[0]:g} to {limits[1]:g}, got {value!r}; teach it again")
    return kind(value)


def _backbone(bundle: Bundle, table: Any) -> Backbone | None:
    if table is None:
        return None
    try:
        values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in table.items()}
        made = Backbone(**values)
        good = (made.layout in ("NCHW", "NHWC") and made.dtype in ("float32", "uint8") and len(made.taps) > 0
                and 8 <= made.height <= 4096 and 8 <= made.width <= 4096 and len(made.scale) == len(made.bias) == 3
                and (made.dtype == "float32" or made.layout == "NHWC"))
    except (TypeError, AttributeError) as error:
        raise BundleError(f"inspector {bundle.name!r}: params.backbone cannot be read ({error})") from error
    if not good:
        raise BundleError(f"inspector {bundle.name!r}: params.backbone has a value out of range: {made}; expected layout NCHW "
                          "or NHWC, dtype float32 (or uint8 with NHWC), sides 8 to 4096, one tap or more")
    return made


def _arrays(bundle: Bundle) -> dict[str, Any]:
    """The arrays of recipe.npz, as they are; a damaged or foreign file is a BundleError, never a pickle."""
    path = bundle.path(ARRAYS)
    try:
        with zipfile.ZipFile(path) as archive:
            total = sum(entry.file_size for entry in archive.infolist())
        if total > MAX_ARRAY_BYTES:
            raise BundleError(f"{ARRAYS} of inspector {bundle.name!r} holds {total} bytes; expected at most {MAX_ARRAY_BYTES}")
        with np.load(path, allow_pickle=False) as stored:
            return {name: np.ascontiguousarray(stored[name]) for name in _ARRAY_NAMES}
    except BundleError:
        raise
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise BundleError(f"{ARRAYS} of inspector {bundle.name!r} cannot be read ({error}); copy the bundle again or teach "
                          "it again") from error


def _check_shapes(recipe: Recipe) -> None:
    """BundleError unless every array has the dtype and shape that the numbers call for, and is finite."""
    gh, gw = recipe.grid
    n, d = len(recipe.bank) if recipe.bank.ndim == 4 else 0, recipe.offset.size
    neighbour = recipe.method == "neighbour"
    wanted: dict[str, tuple[str, tuple[int, ...]]] = {
        "reference": ("float32", small_size(*recipe.work)), "offset": ("float32", (d,)), "scale": ("float32", (d,)),
        "projection": ("float32", (d, CODES) if neighbour else (0, CODES)),
        "bank": ("int8", (max(n, 1), gh, gw, CODES) if neighbour else (0, gh, gw, CODES)),
        "mean": ("float32", (0, 0, d) if neighbour else (gh, gw, d)),
        "whiten": ("float32", (0, 0, d, d) if neighbour else (gh, gw, d, d)),
    }
    if recipe.backbone is None and d != DEPTH:
        raise BundleError(f"`offset` in {ARRAYS} of inspector {recipe.name!r}: expected {DEPTH} values, got {d}; "
                          "teach it again")
    for name, (dtype, shape) in wanted.items():
        array = getattr(recipe, name)
        if array.dtype != np.dtype(dtype) or array.shape != shape:
            raise BundleError(f"`{name}` in {ARRAYS} of inspector {recipe.name!r}: expected {dtype} {shape}, got "
                              f"{array.dtype} {array.shape}; the file is damaged: copy the bundle again or teach it again")
        if dtype == "float32" and not np.isfinite(array).all():
            raise BundleError(f"`{name}` in {ARRAYS} of inspector {recipe.name!r} holds NaN or infinity; teach it again")
