"""The quick version of `mahalanobis`: the factor is read once, in order, in float32 or float16."""

from libc.stdint cimport uint16_t

cdef extern from "core.h" nogil:
    int aisle_level()
    void distances(const float*, const float*, const float*, const uint16_t*, const float*, long, int, int, int, float*)

cdef int LEVEL = aisle_level()
cdef str REFUSED = "mahalanobis was called with arguments that its check refuses; call kernels.mahalanobis"


def level() -> str:
    """The instruction set in use."""
    return {0: "base", 2: "avx2", 4: "avx512"}[LEVEL]


def levels() -> list:
    """Every instruction set that this CPU can run, for tests: numbers for `use`."""
    return [n for n in (0, 2, 4) if n <= LEVEL]


def mahalanobis(const float[:, ::1] features not None, const float[:, ::1] mean not None, factor not None, inverse,
                float[::1] out not None, int use=-1):
    """See the package; arguments are checked there. `use` takes one of `levels()` instead of the best."""
    cdef long p = features.shape[0]
    cdef Py_ssize_t d = features.shape[1], columns = 0
    cdef int chosen = LEVEL if use < 0 or use > LEVEL else use
    cdef object shape
    cdef const float[::1] floats, inverses
    cdef const uint16_t[::1] halves
    cdef const float* f = <const float*>0
    cdef const float* low = <const float*>0
    cdef const uint16_t* e = <const uint16_t*>0
    if factor.ndim == 3:
        columns = factor.shape[2]
    shape = (p, d) + ((columns,) if factor.ndim == 3 else ())
    if factor.ndim == 2:
        shape = (p, d * (d + 1) // 2)
    if p < 1 or not 1 <= d <= 4096 or mean.shape[0] != p or mean.shape[1] != d or out.shape[0] != p \
            or factor.shape != shape or columns > 4096 or (factor.ndim == 3 and columns < 1):
        raise ValueError(REFUSED)
    if factor.dtype.char == "e":
        halves = factor.view("uint16").reshape(-1)
        e = &halves[0]
    else:
        floats = factor.reshape(-1)
        f = &floats[0]
    if inverse is not None:
        inverses = inverse
        if inverses.shape[0] != p:
            raise ValueError(REFUSED)
        low = &inverses[0]
    with nogil:
        distances(&features[0, 0], &mean[0, 0], f, e, low, p, d, columns, chosen, &out[0])
