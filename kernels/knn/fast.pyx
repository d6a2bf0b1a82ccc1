"""The quick version of `knn`: whole rows at a time, AVX2 or AVX-512 VNNI where the CPU has it."""

from libc.stdint cimport int8_t, int32_t, uint8_t

cdef extern from "core.h" nogil:
    int aisle_level()
    int nearest(const int8_t*, const int8_t*, const uint8_t*, int, int, int, int, int, int, int, int, int32_t*)

cdef int LEVEL = aisle_level()


def level() -> str:
    """The instruction set in use."""
    return {0: "base", 2: "avx2", 4: "avx512-vnni"}[LEVEL]


def levels() -> list:
    """Every instruction set that this CPU can run, for tests: numbers for `knn`'s `use`."""
    return [n for n in (0, 2, 4) if n <= LEVEL]


def knn(const int8_t[:, :, ::1] query not None, const int8_t[:, :, :, ::1] bank not None,
        const uint8_t[::1] skip not None, int radius, int32_t[:, ::1] out not None, int use=-1):
    """See the package; arguments are checked there. `use` takes one of `levels()` instead of the best."""
    cdef int h = query.shape[0], w = query.shape[1], d = query.shape[2]
    cdef int n = bank.shape[0], bh = bank.shape[1], bw = bank.shape[2], bad
    cdef int chosen = LEVEL if use < 0 or use > LEVEL else use
    if h < 1 or w < 1 or d < 1 or n < 1 or bh < 1 or bw < 1 or bank.shape[3] != d or skip.shape[0] != n:
        raise ValueError("knn was called with shapes that its check refuses; call kernels.knn")
    if out.shape[0] != h or out.shape[1] != w or (radius >= 0 and (bh != h or bw != w)):
        raise ValueError("knn was called with shapes that its check refuses; call kernels.knn")
    with nogil:
        bad = nearest(&query[0, 0, 0], &bank[0, 0, 0, 0], &skip[0], n, h, w, bh, bw, d, radius, chosen, &out[0, 0])
    if bad:
        raise MemoryError("no memory for the norms of the bank; teach fewer parts or free memory")
