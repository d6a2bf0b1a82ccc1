"""A bank of codes that is searched often: laid out once, in the form that this machine's instructions want."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _check
from .._op import Op

MAX_DEPTH = 16_384     # of int8 codes, so that no sum leaves 32 bits
_lay = Op(__package__, "lay")


class Bank:
    """int8 codes (n, h, w, d) and the same laid out for `knn` and `within`, which take it in the place of the array.

    `radius` says for which search: None for the whole bank, any number for cells nearby; a search of the other kind is
    refused. The answers are those of the plain array. It takes as much memory as the codes once more (twice as much
    without VNNI or SDOT), and parts that are skipped, lists of k > 1 and the whole bank with `skip` read the codes as they
    are. The codes must not change afterwards. What is laid out never leaves the process: another CPU wants another form.
    ValueError says what does not fit.
    """

    def __init__(self, codes: np.ndarray, *, radius: int | None) -> None:
        self.codes = _check.array(codes, "codes", "int8", ("n", "h", "w", "d"))
        if codes.shape[3] > MAX_DEPTH:
            raise ValueError(f"expected at most {MAX_DEPTH} values a cell, got {codes.shape[3]} - at `codes`")
        self.near = radius is not None
        self.laid: Any = _lay(codes, int(self.near))

    @property
    def nbytes(self) -> int:
        """What the codes and their other form take in memory."""
        return self.codes.nbytes + (0 if self.laid is None else self.laid.nbytes)

    def form(self, radius: int | None, k: int, skip: np.ndarray | None) -> Any:
        """The form of the codes that such a search runs on; ValueError where this was laid out for the other kind."""
        if self.near != (radius is not None):
            kind = "cells nearby" if self.near else "the whole bank"
            raise ValueError(f"expected a search of {kind}, for which this Bank was laid out, got {radius!r} - at `radius`")
        whole = self.laid is not None and k == 1 and (self.near or skip is None)
        return self.laid if whole else self.codes
