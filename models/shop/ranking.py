"""The exact best rows of a catalogue, as many as asked for: by a table of vectors, or by a score for each row."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from ...kernels import exact
from ..recommend.format import quantised
from .rules import Allowed

LINE = 64                  # bytes
BLOCK = 16                 # rows that lie side by side, as `kernels.packed` wants them
NOWHERE, NOTHING = np.empty(0, np.int32), np.empty(0, np.float32)


class Ranking(Protocol):
    """An order of the allowed rows."""

    @property
    def allowed(self) -> Allowed:
        """The rows."""

    def among(self, allowed: Allowed) -> Ranking:
        """The same order of other rows, which are all allowed here too."""

    def best(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """(rows int64, scores float32) of the best k that are allowed, best first, equal scores by rising row; fewer
        only where fewer are allowed."""


@dataclass(frozen=True)
class ByScore:
    """`scores` float32 (n,), finite, one for each row."""

    scores: np.ndarray
    allowed: Allowed

    def among(self, allowed: Allowed) -> ByScore:
        """See `Ranking`."""
        return replace(self, allowed=allowed)

    def best(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """See `Ranking`."""
        rows = self.allowed.rows(len(self.scores))
        found = self.scores[rows]
        if len(rows) > k:
            worst = -np.partition(-found, k - 1)[k - 1]       # the other end takes twenty times as long where many tie
            keep = found >= worst              # with all that tie for the last place: the lower rows of them count
            rows, found = rows[keep], found[keep]
        order = np.argsort(-found, kind="stable")[:k]
        return rows[order], found[order]


def blocks(rows: int) -> int:
    """How many whole blocks hold so many rows."""
    return -(-rows // BLOCK)


def on_lines(shape: tuple[int, ...]) -> np.ndarray:
    """Zeros, uint8, that begin on a line of the cache: a table in memory is otherwise read a fifth slower."""
    room = np.empty(math.prod(shape) + LINE, np.uint8)
    first = -room.ctypes.data % LINE
    made = room[first:first + math.prod(shape)].reshape(shape)
    made[...] = 0
    return made


class Vectors:
    """A table that grows: float32 (n, d) by row, and the same as int8 with a scale for each row, side by side in blocks.

    One thread writes. A query takes `view()` once; rows that come later are not in it. A row that is written again may be
    seen half new by a query that runs at this moment.
    """

    def __init__(self, depth: int, capacity: int = 1024) -> None:
        self.depth, self.size = depth, 0
        self.floats = np.zeros((blocks(capacity) * BLOCK, depth), np.float32)
        self.codes = on_lines((blocks(capacity), -(-depth // 4), BLOCK, 4))
        self.scale = np.zeros(len(self.floats), np.float32)
        self.error, self.length = 0.0, 0.0

    def put(self, rows: np.ndarray, vectors: np.ndarray) -> None:
        """Write float32 (m, d) at these rows, which may be new."""
        if not len(rows):
            return
        self._reserve(int(rows.max()) + 1)
        codes, scale = quantised(vectors)
        beside = np.full((len(rows), self.codes.shape[1] * 4), 128, np.uint8)
        beside[:, :self.depth] = codes.view(np.uint8) ^ 128
        self.floats[rows], self.scale[rows] = vectors, scale
        self.codes[rows // BLOCK, :, rows % BLOCK] = beside.reshape(len(rows), -1, 4)
        back = codes * scale[:, None]
        # Rounded up: bounds must hold for what float32 rounds away.
        self.error = max(self.error, float(np.linalg.norm(vectors.astype(np.float64) - back, axis=1).max()) * 1.0001)
        self.length = max(self.length, float(np.linalg.norm(back.astype(np.float64), axis=1).max()) * 1.0001)
        self.size = max(self.size, int(rows.max()) + 1)

    def _reserve(self, size: int) -> None:
        if size > len(self.scale):
            more = blocks(max(size, 2 * len(self.scale))) - len(self.codes)
            codes = on_lines((len(self.codes) + more, *self.codes.shape[1:]))
            codes[:len(self.codes)] = self.codes
            self.floats = np.concatenate([self.floats, np.zeros((more * BLOCK, self.depth), np.float32)])
            self.codes, self.scale = codes, np.concatenate([self.scale, np.zeros(more * BLOCK, np.float32)])

    def view(self, size: int) -> View:
        """The first `size` rows as they are now."""
        whole = blocks(size)
        return View(self.floats[:size], self.codes[:whole], self.scale[:whole * BLOCK], self.error, self.length)


@dataclass(frozen=True)
class View:
    """See `Vectors`: `codes` as `kernels.packed` takes them, `scale` of their rows. `error`: no row is farther from its int8
    form; `length`: none of these is longer."""

    floats: np.ndarray
    codes: np.ndarray
    scale: np.ndarray
    error: float
    length: float


@dataclass(frozen=True)
class ByVectors:
    """Inner product with `query` float32 (d,), plus `bias` float32 (n,) of each row, plus `extra` of a few rows.

    `extra`: (rows int32, float32 for each), see `kernels.exact`.
    """

    view: View
    query: np.ndarray
    allowed: Allowed
    bias: np.ndarray | None = None
    extra: tuple[np.ndarray, np.ndarray] = (NOWHERE, NOTHING)

    def among(self, allowed: Allowed) -> ByVectors:
        """See `Ranking`."""
        return replace(self, allowed=allowed)

    def best(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """See `Ranking`. Found in int8, settled in float32; see `kernels.exact`."""
        k, view = min(k, self.allowed.count), self.view
        if not k:
            return np.empty(0, np.int64), NOTHING
        rows, scores = out = np.empty(k, np.int32), np.empty(k, np.float32)
        exact(self.query, view.codes, view.floats, out=out, scale=view.scale, error=view.error, length=view.length,
              blocked=self.allowed.bitmap, bias=self.bias, extra_rows=self.extra[0], extra=self.extra[1])
        some = rows >= 0           # a score that is no number has no place
        return (rows if some.all() else rows[some]).astype(np.int64), scores if some.all() else scores[some]
