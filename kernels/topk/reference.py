"""The plain version of `topk`, in NumPy: the truth that every other variant is compared with."""

from __future__ import annotations

import numpy as np


def topk(queries: np.ndarray, table: np.ndarray, blocked: np.ndarray | None, ids: np.ndarray, scores: np.ndarray) -> None:
    """See the package."""
    weighed(queries, table, blocked, None, None, None, ids, scores)


def weighed(queries: np.ndarray, table: np.ndarray, blocked: np.ndarray | None, scale: np.ndarray | None,
            gain: np.ndarray | None, bias: np.ndarray | None, ids: np.ndarray, scores: np.ndarray) -> None:
    """See the package."""
    whole = table.dtype == np.int8
    lowest = np.iinfo(np.int32).min if scores.dtype == np.int32 else -np.inf
    free = np.ones(len(table), bool)
    if blocked is not None:
        free = np.unpackbits(blocked, count=len(table), bitorder="little") == 0
    ids[:], scores[:] = -1, lowest
    for row, query in enumerate(queries):
        with np.errstate(invalid="ignore", over="ignore"):
            found = table.astype(np.int32) @ query.astype(np.int32) if whole else table @ query
            found = found.astype(scores.dtype)
            found = found if scale is None else found * scale
            found = found if gain is None else found * gain[row]
            found = found if bias is None else found + bias
        listed = np.flatnonzero(free & (found > lowest))
        best = listed[np.argsort(-found[listed], kind="stable")][:ids.shape[1]]
        ids[row, :len(best)], scores[row, :len(best)] = best, found[best]


def packed(queries: np.ndarray, table: np.ndarray, blocked: np.ndarray | None, scale: np.ndarray | None,
           gain: np.ndarray | None, bias: np.ndarray | None, ids: np.ndarray, scores: np.ndarray) -> None:
    """See the package."""
    blocks, units = table.shape[:2]
    rows = (table.transpose(0, 2, 1, 3).reshape(blocks * 16, units * 4).astype(np.int16) - 128).astype(np.int8)
    weighed(queries, np.ascontiguousarray(rows[:, :queries.shape[1]]), blocked, scale, gain, bias, ids, scores)


def exact(query: np.ndarray, table: np.ndarray, floats: np.ndarray, scale: np.ndarray, blocked: np.ndarray | None,
          bias: np.ndarray | None, extra_rows: np.ndarray | None, extra: np.ndarray | None, error: float, length: float,
          ids: np.ndarray, scores: np.ndarray) -> None:
    """See the package: all rows in float32, without the int8 form."""
    more = np.zeros(len(floats), np.float32) if bias is None else bias.copy()
    if extra_rows is not None and extra is not None:
        np.add.at(more, extra_rows[extra_rows >= 0], extra[extra_rows >= 0])
    weighed(query[None], floats, blocked, None, None, more, ids[None], scores[None])
