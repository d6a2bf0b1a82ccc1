"""The quick version of `topk`, `weighed`, `packed` and `exact`: scores of many rows at once, a heap for the few that count; VNNI where it is."""

from libc.stdint cimport int8_t, int32_t, uint8_t

cdef extern from "core.h" nogil:
    ctypedef struct Exact:
        const float* query
        const uint8_t* packed
        const float* scale
        const float* floats
        const uint8_t* blocked
        const float* bias
        const int32_t* extra_rows
        const float* extra
        long extras, n
        int d, k, level
        double error, length
    void best_exact(const Exact*, int32_t*, float*) except +
    int aisle_level()
    void best_int8(const int8_t*, const int8_t*, const uint8_t*, long, int, int, int, int, int32_t*, int32_t*)
    void best_int8(const int8_t*, const int8_t*, const uint8_t*, const float*, const float*, const float*, long, int, int, int,
                   int, int32_t*, float*)
    void best_packed(const int8_t*, const uint8_t*, const uint8_t*, const float*, const float*, const float*, long, int, int,
                     int, int, int32_t*, float*)
    void best_float(const float*, const float*, const uint8_t*, const float*, const float*, const float*, long, int, int, int,
                    int, int32_t*, float*)

cdef int LEVEL = aisle_level()
cdef str REFUSED = "topk was called with arguments that its check refuses; call kernels.topk"


def level() -> str:
    """The instruction set in use."""
    return {0: "base", 2: "avx2", 4: "avx512-vnni"}[LEVEL]


def levels() -> list:
    """Every instruction set that this CPU can run, for tests: numbers for `use`."""
    return [n for n in (0, 2, 4) if n <= LEVEL]


cdef bint _fits(Py_ssize_t n, Py_ssize_t d, Py_ssize_t q, Py_ssize_t qd, Py_ssize_t rows, Py_ssize_t k, Py_ssize_t srows,
                Py_ssize_t sk):
    return 1 <= n < 1 << 31 and 1 <= d <= 4096 and 1 <= q < 1 << 31 and qd == d and rows == q and srows == q and sk == k \
        and 1 <= k < 1 << 31


cdef const uint8_t* _marks(blocked, Py_ssize_t n) except? NULL:
    """The bitmap's memory, or NULL where there is none."""
    cdef const uint8_t[::1] bits
    if blocked is None:
        return NULL
    bits = blocked
    if bits.shape[0] != (n + 7) // 8 or bits.shape[0] < 1:
        raise ValueError(REFUSED)
    return &bits[0]


cdef const float* _numbers(array, Py_ssize_t n) except? NULL:
    """The memory of n float32, or NULL where there are none."""
    cdef const float[::1] values
    if array is None:
        return NULL
    values = array
    if values.shape[0] != n or n < 1:
        raise ValueError(REFUSED)
    return &values[0]


def topk(queries not None, table not None, blocked, int32_t[:, ::1] ids not None, scores not None, int use=-1):
    """See the package; arguments are checked there. `use` takes one of `levels()` instead of the best."""
    cdef int chosen = LEVEL if use < 0 or use > LEVEL else use
    if table.dtype.char == "b":
        _whole(queries, table, _marks(blocked, len(table)), ids, scores, chosen)
    else:
        _float(queries, table, _marks(blocked, len(table)), NULL, NULL, NULL, ids, scores, chosen)


def weighed(queries not None, table not None, blocked, scale, gain, bias, int32_t[:, ::1] ids not None, scores not None,
            int use=-1):
    """See the package; arguments are checked there. `use` as in `topk`."""
    cdef int chosen = LEVEL if use < 0 or use > LEVEL else use
    cdef Py_ssize_t n = len(table)
    cdef const float* scales = _numbers(scale, n)
    cdef const float* gains = _numbers(gain, len(queries))
    cdef const float* biases = _numbers(bias, n)
    if table.dtype.char == "b":
        _scaled(queries, table, _marks(blocked, n), scales, gains, biases, ids, scores, chosen)
    else:
        _float(queries, table, _marks(blocked, n), scales, gains, biases, ids, scores, chosen)


def packed(const int8_t[:, ::1] queries not None, const uint8_t[:, :, :, ::1] table not None, blocked, scale, gain, bias,
           int32_t[:, ::1] ids not None, float[:, ::1] scores not None, int use=-1):
    """See the package; arguments are checked there. `use` as in `topk`."""
    cdef int chosen = LEVEL if use < 0 or use > LEVEL else use
    cdef Py_ssize_t n = table.shape[0] * 16, d = queries.shape[1], q = queries.shape[0], k = ids.shape[1]
    cdef const uint8_t* marks = _marks(blocked, n)
    cdef const float* scales = _numbers(scale, n)
    cdef const float* gains = _numbers(gain, q)
    cdef const float* biases = _numbers(bias, n)
    if table.shape[1] != (d + 3) // 4 or table.shape[2] != 16 or table.shape[3] != 4 or \
            not _fits(n, d, q, d, ids.shape[0], k, scores.shape[0], scores.shape[1]):
        raise ValueError(REFUSED)
    with nogil:
        best_packed(&queries[0, 0], &table[0, 0, 0, 0], marks, scales, gains, biases, n, q, d, k, chosen, &ids[0, 0], &scores[0, 0])


def exact(const float[::1] query not None, const uint8_t[:, :, :, ::1] table not None, const float[:, ::1] floats not None,
          scale not None, blocked, bias, extra_rows, extra, double error, double length, int32_t[::1] ids not None,
          float[::1] scores not None, int use=-1):
    """See the package; arguments are checked there. `use` as in `topk`."""
    cdef Py_ssize_t n = floats.shape[0], d = floats.shape[1], i
    cdef const int32_t[::1] rows
    cdef Exact asked
    if table.shape[0] != (n + 15) // 16 or table.shape[1] != (d + 3) // 4 or table.shape[2] != 16 or table.shape[3] != 4 or \
            not _fits(n, d, 1, query.shape[0], 1, ids.shape[0], 1, scores.shape[0]):
        raise ValueError(REFUSED)
    asked.query, asked.packed, asked.floats = &query[0], &table[0, 0, 0, 0], &floats[0, 0]
    asked.scale, asked.blocked, asked.bias = _numbers(scale, table.shape[0] * 16), _marks(blocked, n), _numbers(bias, n)
    asked.extras = 0
    asked.extra_rows = NULL
    asked.extra = NULL
    if extra_rows is not None and len(extra_rows):
        rows = extra_rows
        for i in range(rows.shape[0]):
            if not -1 <= rows[i] < n:
                raise ValueError(REFUSED)
        asked.extras, asked.extra_rows, asked.extra = rows.shape[0], &rows[0], _numbers(extra, rows.shape[0])
    asked.n, asked.d, asked.k, asked.level = n, <int>d, <int>ids.shape[0], LEVEL if use < 0 or use > LEVEL else use
    asked.error, asked.length = error, length
    with nogil:
        best_exact(&asked, &ids[0], &scores[0])


cdef _whole(const int8_t[:, ::1] queries, const int8_t[:, ::1] table, const uint8_t* blocked, int32_t[:, ::1] ids,
            int32_t[:, ::1] scores, int use):
    cdef Py_ssize_t n = table.shape[0], d = table.shape[1], q = queries.shape[0], k = ids.shape[1]
    if not _fits(n, d, q, queries.shape[1], ids.shape[0], k, scores.shape[0], scores.shape[1]):
        raise ValueError(REFUSED)
    with nogil:
        best_int8(&queries[0, 0], &table[0, 0], blocked, n, q, d, k, use, &ids[0, 0], &scores[0, 0])


cdef _scaled(const int8_t[:, ::1] queries, const int8_t[:, ::1] table, const uint8_t* blocked, const float* scale,
             const float* gain, const float* bias, int32_t[:, ::1] ids, float[:, ::1] scores, int use):
    cdef Py_ssize_t n = table.shape[0], d = table.shape[1], q = queries.shape[0], k = ids.shape[1]
    if not _fits(n, d, q, queries.shape[1], ids.shape[0], k, scores.shape[0], scores.shape[1]):
        raise ValueError(REFUSED)
    with nogil:
        best_int8(&queries[0, 0], &table[0, 0], blocked, scale, gain, bias, n, q, d, k, use, &ids[0, 0], &scores[0, 0])


cdef _float(const float[:, ::1] queries, const float[:, ::1] table, const uint8_t* blocked, const float* scale,
            const float* gain, const float* bias, int32_t[:, ::1] ids, float[:, ::1] scores, int use):
    cdef Py_ssize_t n = table.shape[0], d = table.shape[1], q = queries.shape[0], k = ids.shape[1]
    if not _fits(n, d, q, queries.shape[1], ids.shape[0], k, scores.shape[0], scores.shape[1]):
        raise ValueError(REFUSED)
    with nogil:
        best_float(&queries[0, 0], &table[0, 0], blocked, scale, gain, bias, n, q, d, k, use, &ids[0, 0], &scores[0, 0])
