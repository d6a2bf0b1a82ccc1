"""The exact best rows of a catalogue, as many as asked for: by a table of vectors, or by a score for each row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ...kernels import weighed
from .rules import Allowed

WIDER = 4                  # times as many candidates, where so many were not enough to be sure
MOST = 2048                # candidates; beyond, every row is compared as float32
LEAST = 40


class Ranking(Protocol):
    """An order of the allowed rows."""

    def best(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """(rows int64, scores float32) of the best k that are allowed, best first, equal scores by rising row; fewer
        only where fewer are allowed."""


@dataclass(frozen=True)
class ByScore:
    """`scores` float32 (n,), finite, one for each row."""

    scores: np.ndarray
    allowed: Allowed

    def best(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """See `Ranking`."""
        rows = self.allowed.rows(len(self.scores))
        found = self.scores[rows]
        if len(rows) > k:
            worst = np.partition(found, len(rows) - k)[len(rows) - k]
            keep = found >= worst              # with all that tie for the last place: the lower rows of them count
            rows, found = rows[keep], found[keep]
        order = np.argsort(-found, kind="stable")[:k]
        return rows[order], found[order]


class Vectors:
    """A table that grows: float32 (n, d) by row, and the same as int8 with a scale for each row.

    One thread writes. A query takes `view()` once; rows that come later are not in it. A row that is written again may be
    seen half new by a query that runs at this moment.
    """

    def __init__(self, depth: int, capacity: int = 1024) -> None:
        self.depth, self.size = depth, 0
        self.floats, self.codes = np.zeros((capacity, depth), np.float32), np.zeros((capacity, depth), np.int8)
        self.scale = np.zeros(capacity, np.float32)
        self.error, self.length = 0.0, 0.0

    def put(self, rows: np.ndarray, vectors: np.ndarray) -> None:
        """Write float32 (m, d) at these rows, which may be new."""
        if not len(rows):
            return
        self._reserve(int(rows.max()) + 1)
        codes, scale = whole_numbers(vectors)
        self.floats[rows], self.codes[rows], self.scale[rows] = vectors, codes, scale
        back = codes * scale[:, None]
        # Rounded up: bounds must hold for what float32 rounds away.
        self.error = max(self.error, float(np.linalg.norm(vectors.astype(np.float64) - back, axis=1).max()) * 1.0001)
        self.length = max(self.length, float(np.linalg.norm(back.astype(np.float64), axis=1).max()) * 1.0001)
        self.size = max(self.size, int(rows.max()) + 1)

    def _reserve(self, size: int) -> None:
        capacity = len(self.scale)
        if size <= capacity:
            return
        more = max(size, capacity * 2) - capacity
        self.floats = np.concatenate([self.floats, np.zeros((more, self.depth), np.float32)])
        self.codes = np.concatenate([self.codes, np.zeros((more, self.depth), np.int8)])
        self.scale = np.concatenate([self.scale, np.zeros(more, np.float32)])

    def view(self, size: int) -> View:
        """The first `size` rows as they are now."""
        return View(self.floats[:size], self.codes[:size], self.scale[:size], self.error, self.length)


@dataclass(frozen=True)
class View:
    """See `Vectors`. `error`: no row is farther from its int8 form; `length`: none of these is longer."""

    floats: np.ndarray
    codes: np.ndarray
    scale: np.ndarray
    error: float
    length: float


@dataclass(frozen=True)
class ByVectors:
    """Inner product with `query` float32 (d,), plus `bias` float32 (n,) of each row, plus `extra` of a few rows.

    `extra`: (rows int64, rising, float32 > 0 for each).
    """

    view: View
    query: np.ndarray
    allowed: Allowed
    bias: np.ndarray | None = None
    extra: tuple[np.ndarray, np.ndarray] | None = None

    def best(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """See `Ranking`. Found in int8, settled in float32: whatever int8 cannot decide for certain is looked at again."""
        k = min(k, self.allowed.count)
        if not k:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        rows, scores = self._without_extra(k)
        if self.extra is None:
            return rows, scores
        mine = self.allowed.has(self.extra[0])
        if not mine.any():
            return rows, scores
        # No extra is below zero: the best k with it are among the best k without and the rows that have one.
        extra = (self.extra[0][mine], self.extra[1][mine])
        rows = np.union1d(rows, extra[0])
        added = np.zeros(len(rows), np.float32)
        added[np.searchsorted(rows, extra[0])] = extra[1]
        return self._settle(rows, k, added)

    def _without_extra(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        codes, scale = whole_numbers(self.query[None])
        length = float(np.linalg.norm(self.query.astype(np.float64)))
        off = float(np.linalg.norm(self.query.astype(np.float64) - codes[0] * float(scale[0])))
        # |q.v - p.w| <= |q| |v - w| + |q - p| |w| for the int8 forms p and w; the last term is float32's own rounding.
        sure = length * self.view.error + off * self.view.length + 1e-5 * (1 + length * self.view.length)
        many = max(LEAST, 2 * k)
        while many <= MOST:
            rows, rough = self._search(codes, self.view.codes, many, self.view.scale, scale, self.bias)
            best, scores = self._settle(np.sort(rows), k, None)
            if len(rows) < many or len(rows) == self.allowed.count or scores[-1] > rough[-1] + sure:
                return best, scores
            many *= WIDER
        return self._search(self.query[None], self.view.floats, k, None, None, self.bias)

    def _search(self, query: np.ndarray, table: np.ndarray, k: int, scale: np.ndarray | None, gain: np.ndarray | None,
                bias: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        return found(query, table, k, self.allowed.bitmap, scale, gain, bias)

    def _settle(self, rows: np.ndarray, k: int, added: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """The best k of a few rows (rising) by their float32 scores."""
        bias = None if self.bias is None else self.bias[rows]
        bias = added if bias is None else bias if added is None else bias + added
        place, scores = found(self.query[None], self.view.floats[rows], k, None, None, None, bias)
        return rows[place], scores


def found(query: np.ndarray, table: np.ndarray, k: int, blocked: np.ndarray | None, scale: np.ndarray | None,
          gain: np.ndarray | None, bias: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """(rows, scores) of one search, as many as there are."""
    out = np.empty((1, k), np.int32), np.empty((1, k), np.float32)
    weighed(query, table, out=out, blocked=blocked, scale=scale, gain=gain, bias=bias)
    some = out[0][0] >= 0
    return out[0][0][some].astype(np.int64), out[1][0][some]


def whole_numbers(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """float32 (m, d) as int8 (m, d) from -127 to 127 and float32 (m,): vectors ~ codes * scale[:, None]."""
    scale = (np.abs(vectors).max(axis=1, initial=0) / 127).astype(np.float32)
    codes = np.rint(vectors / np.where(scale > 0, scale, 1)[:, None]).astype(np.int8)
    return codes, scale
