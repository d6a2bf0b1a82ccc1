"""Launches the CUDA version of `warp_grid`."""

from __future__ import annotations

from .. import _cuda
from .._cuda import DeviceArray


def warp_grid(item: DeviceArray, grid: DeviceArray, visible: DeviceArray | None, out: DeviceArray) -> None:
    """See the package."""
    h, w = out.shape[:2]
    _cuda.launch(__package__, "warp_grid", (w, h), "PiiPPPii", item, *item.shape[:2], grid, visible, out, h, w)
