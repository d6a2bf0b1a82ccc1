"""The best rows of a catalogue for a query by inner product, exact, without those that are blocked."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .. import _check
from .._op import Op

TOLERANCE = 1e-5       # of float32 scores, whose sums run in another order; whole numbers have the same bits everywhere
MAX_DEPTH = 4096
_topk = Op(__package__, "topk")
_weighed = Op(__package__, "weighed")
_packed = Op(__package__, "packed")
_exact = Op(__package__, "exact")


def topk(queries: np.ndarray, table: np.ndarray, *, out: tuple[np.ndarray, np.ndarray],
         blocked: np.ndarray | None = None) -> None:
    """Write the ids and scores of the k rows of `table` with the greatest inner product with each query, best first.

    `queries` (q, d) and `table` (n, d) are both int8 or both float32, d at most 4096; `out` is (ids int32 (q, k),
    scores (q, k)), scores int32 for int8 and float32 for float32; k may be greater than n. `blocked` uint8
    ((n + 7) // 8,) is a bitmap: where bit i % 8 of byte i // 8 is 1, row i is left out. Equal scores: the lower id
    first. Where too few rows remain, the id is -1 and the score the least that the type has (-inf). A float score that
    is NaN or -inf is never listed. The table is read once for all queries. ValueError says what does not fit.
    """
    _agree(queries, table, blocked, out, "float32" if _is_float(table) else "int32")
    _topk(queries, table, blocked, *out)


def weighed(queries: np.ndarray, table: np.ndarray, *, out: tuple[np.ndarray, np.ndarray], blocked: np.ndarray | None = None,
            scale: np.ndarray | None = None, gain: np.ndarray | None = None, bias: np.ndarray | None = None) -> None:
    """`topk` by scores that are weighed: the inner product * scale[row] * gain[query] + bias[row].

    So rows that were made int8 each with a scale of its own compare as they did before, and a row can be given an
    advantage. `scale` and `bias` are float32 (n,), `gain` float32 (q,); each may be left out. Scores are float32, rounded
    after each step. Everything else is as in `topk`.
    """
    _agree(queries, table, blocked, out, "float32")
    _weights(len(table), len(queries), out, scale=scale, gain=gain, bias=bias)
    _weighed(queries, table, blocked, scale, gain, bias, *out)


def packed(queries: np.ndarray, table: np.ndarray, *, out: tuple[np.ndarray, np.ndarray], blocked: np.ndarray | None = None,
           scale: np.ndarray | None = None, gain: np.ndarray | None = None, bias: np.ndarray | None = None) -> None:
    """`weighed` on int8 rows that lie side by side, which is the quickest.

    `table` uint8 (blocks, (d + 3) // 4, 16, 4): row 16 b + r has its value 4 u + i, plus 128, at [b, u, r, i]; values beyond
    d count for nothing. So there are n = 16 * blocks rows; block those at the end that are none. `queries` int8 (q, d).
    """
    _check.array(table, "table", "uint8", ("blocks", "units", 16, 4))
    n, depth = len(table) * 16, table.shape[1] * 4
    _check.array(queries, "queries", "int8", ("q", "d"))
    if depth > MAX_DEPTH or (queries.shape[1] + 3) // 4 * 4 != depth:
        raise ValueError(f"expected queries of {depth - 3} to {depth} values, at most {MAX_DEPTH}, as the table has, got "
                         f"{queries.shape[1]} - at `queries`")
    if n >= 1 << 31:
        raise ValueError(f"expected at most {(1 << 31) - 1} rows, got {n} - at `table`")
    _listed(queries, table, n, blocked, out, "float32")
    _weights(n, len(queries), out, scale=scale, gain=gain, bias=bias)
    _packed(queries, table, blocked, scale, gain, bias, *out)


def exact(query: np.ndarray, table: np.ndarray, floats: np.ndarray, *, out: tuple[np.ndarray, np.ndarray], scale: np.ndarray,
          error: float, length: float, blocked: np.ndarray | None = None, bias: np.ndarray | None = None,
          extra_rows: np.ndarray | None = None, extra: np.ndarray | None = None) -> None:
    """Write the rows and scores of the k rows of `floats` with the greatest inner product with `query`, + bias[row] + extra.

    The same list as of all rows in float32, at the price of reading the int8 form: what that cannot decide for certain is
    looked at again (beyond k = 1024 all rows are). `query` float32 (d,), `floats` float32 (n, d); `table` uint8
    (ceil(n / 16), (d + 3) // 4, 16, 4) is as `packed` takes it, and with `scale` float32 (16 * ceil(n / 16),) the same rows:
    none is farther than `error` from its int8 form times its scale, and none of these forms is longer than `length`. `bias`
    float32 (n,); `extra_rows` int32 (m,) get `extra` float32 (m,) besides, a row that comes twice both; -1 stands for none.
    `blocked` as in `topk`, `out` (int32 (k,), float32 (k,)). Equal scores: the lower row first; where too few remain the row
    is -1, the score -inf. ValueError says what does not fit.
    """
    _check.array(floats, "floats", "float32", ("n", "d"))
    n, d = floats.shape
    _check.array(table, "table", "uint8", ((n + 15) // 16, (d + 3) // 4, 16, 4))
    _check.array(query, "query", "float32", (d,))
    if d > MAX_DEPTH or n >= 1 << 31:
        raise ValueError(f"expected at most {(1 << 31) - 1} rows of {MAX_DEPTH} values, got {n} of {d} - at `floats`")
    _check.array(scale, "scale", "float32", (16 * len(table),))
    if blocked is not None:
        _check.array(blocked, "blocked", "uint8", ((n + 7) // 8,))
    if bias is not None:
        _check.array(bias, "bias", "float32", (n,))
    _extras(extra_rows, extra, n)
    _check.number(error, "error", 0, 1e30)
    _check.number(length, "length", 0, 1e30)
    if not isinstance(out, tuple) or len(out) != 2:
        raise ValueError(f"expected a tuple of two arrays (rows, scores), got {type(out).__name__} - at `out`")
    _check.array(out[0], "out[0]", "int32", ("k",), writable=True)
    _check.array(out[1], "out[1]", "float32", out[0].shape, writable=True)
    given = {"query": query, "table": table, "floats": floats, "scale": scale, "blocked": blocked, "bias": bias,
             "extra_rows": extra_rows, "extra": extra}
    _check.apart(out[0], "out[0]", scores=out[1], **given)
    _check.apart(out[1], "out[1]", **given)
    _exact(query, table, floats, scale, blocked, bias, extra_rows, extra, error, length, *out)


def _extras(rows: np.ndarray | None, extra: np.ndarray | None, n: int) -> None:
    """ValueError unless both are there, or none, and the rows are rows."""
    if rows is None and extra is None:
        return
    _check.array(rows, "extra_rows", "int32", (None,))
    assert rows is not None
    _check.array(extra, "extra", "float32", rows.shape)
    if len(rows) and not -1 <= int(rows.min()) <= int(rows.max()) < n:
        raise ValueError(f"expected rows from 0 to {n - 1} or -1, got {rows.min()} to {rows.max()} - at `extra_rows`")


def _weights(n: int, q: int, out: tuple[np.ndarray, np.ndarray], **given: np.ndarray | None) -> None:
    for name, values in given.items():
        if values is not None:
            _check.array(values, name, "float32", (q if name == "gain" else n,))
    if any(values is not None for values in given.values()):
        _check.apart(out[0], "out[0]", **given)
        _check.apart(out[1], "out[1]", **given)


def _is_float(table: np.ndarray) -> bool:
    return _check.is_array(table) and table.dtype == np.float32


def _agree(queries: np.ndarray, table: np.ndarray, blocked: np.ndarray | None, out: tuple[np.ndarray, np.ndarray],
           score: str) -> None:
    """ValueError unless everything has its dtype and shape, and `out` memory of its own."""
    dtype = "float32" if _is_float(table) else "int8"
    _check.array(table, "table", dtype, ("n", "d"))
    n, d = table.shape
    _check.array(queries, "queries", dtype, ("q", d))
    if d > MAX_DEPTH:
        raise ValueError(f"expected at most {MAX_DEPTH} values a row, got {d} - at `table`")
    if n >= 1 << 31:
        raise ValueError(f"expected at most {(1 << 31) - 1} rows, got {n} - at `table`")
    _listed(queries, table, n, blocked, out, score)


def _listed(queries: np.ndarray, table: np.ndarray, n: int, blocked: np.ndarray | None, out: tuple[np.ndarray, np.ndarray],
            score: str) -> None:
    if not isinstance(out, tuple) or len(out) != 2:
        raise ValueError(f"expected a tuple of two arrays (ids, scores), got {type(out).__name__} - at `out`")
    ids, scores = out
    _check.array(ids, "out[0]", "int32", (len(queries), "k"), writable=True)
    _check.array(scores, "out[1]", score, ids.shape, writable=True)
    if blocked is not None:
        _check.array(blocked, "blocked", "uint8", ((n + 7) // 8,))
    _check.apart(ids, "out[0]", queries=queries, table=table, blocked=blocked, scores=scores)
    _check.apart(scores, "out[1]", queries=queries, table=table, blocked=blocked)


def cases(rng: np.random.Generator) -> Iterator[dict]:
    """Arguments, `out` included, that every variant must agree on: small, odd, all ties, all blocked, extreme, real."""
    def case(queries: np.ndarray, table: np.ndarray, k: int, share: float | None = None) -> dict:
        blocked = None if share is None else np.packbits(rng.random(len(table)) < share, bitorder="little")
        kind = np.float32 if table.dtype == np.float32 else np.int32
        out = (np.empty((len(queries), k), np.int32), np.empty((len(queries), k), kind))
        return {"queries": queries, "table": table, "out": out, "blocked": blocked}
    for q, n, d, k in ((1, 1, 1, 1), (2, 3, 5, 4), (1, 17, 63, 3), (3, 33, 64, 33), (2, 130, 65, 10), (1, 1100, 32, 7),
                       (4, 2100, 64, 10), (2, 300, 200, 300)):
        codes, whole = rng.integers(-128, 128, (q + n, d), dtype=np.int8), rng.integers(-3, 4, (q + n, d))
        for share in (None, 0.0, 0.5, 1.0):
            yield case(codes[:q], codes[q:], k, share)
            yield case(whole[:q].astype(np.float32), whole[q:].astype(np.float32), k, share)
        real = rng.standard_normal((q + n, d), np.float32)
        yield case(real[:q], real[q:], k)
    for q, n, d, k in ((1, 7, 3, 4), (1, 704, 64, 10), (5, 336, 66, 12), (18, 2500, 64, 3)):
        codes, share = rng.integers(-127, 128, (q + n, d), dtype=np.int8), rng.choice([0.0, 0.4])
        made = case(codes[:q], codes[q:], k, share) | {"out": (np.empty((q, k), np.int32), np.empty((q, k), np.float32))}
        parts = {"scale": rng.random(n, np.float32), "gain": rng.random(q, np.float32), "bias": rng.random(n, np.float32) * 99}
        yield {"function": "weighed", **made, **parts}
        yield {"function": "weighed", **made, "bias": parts["bias"]}
        if n % 16 == 0:
            filled = np.pad(codes[q:].astype(np.int16), ((0, 0), (0, -d % 4))) + 128
            beside = filled.astype(np.uint8).reshape(n // 16, 16, -1, 4).transpose(0, 2, 1, 3).copy()
            yield {"function": "packed", **made, **parts, "table": beside}
        real = rng.integers(-9, 10, (q + n, d)).astype(np.float32)
        yield {"function": "weighed", **made, **parts, "queries": real[:q], "table": real[q:]}
        rows = np.pad(codes[q:].astype(np.int16), ((0, -n % 16), (0, -d % 4))) + 128
        some = rng.integers(-1, n, n // 4, dtype=np.int32)
        yield {"function": "exact", "query": rng.standard_normal(d, np.float32), "floats": codes[q:].astype(np.float32),
               "table": rows.astype(np.uint8).reshape(-1, 16, rows.shape[1] // 4, 4).transpose(0, 2, 1, 3).copy(),
               "scale": np.ones(len(rows), np.float32), "error": 0.0, "length": float(np.linalg.norm(codes[q:], axis=1).max()),
               "bias": parts["bias"], "blocked": made["blocked"], "extra_rows": some,
               "extra": rng.random(len(some), np.float32) * 99, "out": (np.empty(k, np.int32), np.empty(k, np.float32))}
    yield case(np.full((2, 64), -128, np.int8), np.full((50, 64), -128, np.int8), 10, 0.3)
    yield case(np.full((1, MAX_DEPTH), -128, np.int8), rng.integers(-128, 128, (40, MAX_DEPTH), dtype=np.int8), 5)


__all__ = ["MAX_DEPTH", "TOLERANCE", "cases", "exact", "packed", "topk", "weighed"]
