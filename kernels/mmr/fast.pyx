"""The quick version of `mmr`."""

from libc.stdint cimport int32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

cdef extern from "core.h" nogil:
    ctypedef struct Choice:
        const float* alike
        const int32_t* codes
        const int32_t* caps
        int m, ways
        double weight
    int choose_places(const Choice*, double*, double*, double*, int, int32_t*, int)


def level() -> str:
    """The instruction set in use."""
    return "base"


def mmr(const double[::1] worth not None, const float[:, ::1] alike, const int32_t[:, ::1] codes, const int32_t[::1] caps,
        double weight, int begun, int32_t[::1] out not None):
    """See the package; arguments are checked there."""
    cdef Py_ssize_t m = worth.shape[0], room = out.shape[0]
    cdef Choice choice
    cdef double* kept
    cdef int count, i
    if not (1 <= m <= 1 << 15 and 1 <= room < 1 << 31 and 0 <= begun <= room) \
            or (alike is not None and (alike.shape[0] != m or alike.shape[1] != m)) \
            or (codes is not None and (caps is None or codes.shape[1] != m or codes.shape[0] != caps.shape[0])):
        raise ValueError("mmr was called with arguments that its check refuses; call kernels.mmr")
    for i in range(begun):
        if not 0 <= out[i] < m:
            raise ValueError("mmr was called with arguments that its check refuses; call kernels.mmr")
    choice.m, choice.weight, choice.ways = <int>m, weight, 0
    choice.alike = NULL
    choice.codes = NULL
    choice.caps = NULL
    if alike is not None:
        choice.alike = &alike[0, 0]
    if codes is not None and codes.shape[0]:
        choice.ways, choice.codes, choice.caps = <int>codes.shape[0], &codes[0, 0], &caps[0]
    kept = <double*>malloc(3 * m * sizeof(double))
    if kept == NULL:
        raise MemoryError("no memory for the places; free memory or pass fewer")
    with nogil:
        memcpy(kept, &worth[0], m * sizeof(double))
        count = choose_places(&choice, kept, kept + m, kept + 2 * m, begun, &out[0], <int>room)
        free(kept)
    return count
