"""Launches the CUDA versions of `smooth` and `overlay`; the rest of the folder works on a few thousand cells."""

from __future__ import annotations

from .. import _cuda
from .._cuda import DeviceArray


def smooth(map: DeviceArray, out: DeviceArray) -> None:
    """See the package."""
    h, w = map.shape
    _cuda.launch(__package__, "smooth", (w, h), "PiiP", map, h, w, out)


def overlay(image: DeviceArray, map: DeviceArray, low: float, high: float, out: DeviceArray) -> None:
    """See the package."""
    h, w = image.shape[:2]
    _cuda.launch(__package__, "overlay", (w, h), "PiiPiiffP", image, h, w, map, *map.shape, low, high, out)
