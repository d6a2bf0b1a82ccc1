"""The quick versions of the heatmap operations."""

from libc.stdint cimport int32_t, uint8_t
from libc.stdlib cimport calloc, free, malloc

cdef extern from "core.h" nogil:
    void heat_smooth(const float*, int, int, float*)
    double heat_top(const float*, long, int, float*)
    int heat_regions(const float*, int, int, float, float*, int, uint8_t*, int32_t*)
    void heat_overlay(const uint8_t*, int, int, const float*, int, int, float, float, uint8_t*, float*)


def level() -> str:
    """The instruction set in use: plain C++ everywhere."""
    return "base"


cdef _refuse(str name):
    raise ValueError(f"{name} was called with shapes that its check refuses; call kernels.{name}")


def smooth(const float[:, ::1] map not None, float[:, ::1] out not None):
    """See the package; arguments are checked there."""
    cdef int h = map.shape[0], w = map.shape[1]
    if h < 1 or w < 1 or out.shape[0] != h or out.shape[1] != w:
        _refuse("smooth")
    with nogil:
        heat_smooth(&map[0, 0], h, w, &out[0, 0])


def top_mean(const float[:, ::1] map not None, int count) -> float:
    """See the package; arguments are checked there."""
    cdef long n = map.shape[0] * map.shape[1]
    cdef float* best
    cdef double mean
    if n < 1 or count < 1:
        _refuse("top_mean")
    count = min(count, n)
    best = <float*>malloc(count * sizeof(float))
    if best == NULL:
        raise MemoryError("no memory for the highest cells; free memory")
    with nogil:
        mean = heat_top(&map[0, 0], n, count, best)
        free(best)
    return mean


def regions(const float[:, ::1] map not None, float threshold, float[:, ::1] out not None) -> int:
    """See the package; arguments are checked there."""
    cdef int h = map.shape[0], w = map.shape[1], room = out.shape[0], found
    cdef uint8_t* seen
    cdef int32_t* waiting
    if h < 1 or w < 1 or room < 1 or out.shape[1] != 6 or <long>h * w > 1 << 30:
        _refuse("regions")
    seen = <uint8_t*>calloc(<size_t>h * w, 1)
    waiting = <int32_t*>malloc(<size_t>h * w * sizeof(int32_t))
    if seen == NULL or waiting == NULL:
        free(seen)
        free(waiting)
        raise MemoryError("no memory for the map's marks; free memory")
    with nogil:
        found = heat_regions(&map[0, 0], h, w, threshold, &out[0, 0], room, seen, waiting)
        free(seen)
        free(waiting)
    return found


def overlay(const uint8_t[:, :, ::1] image not None, const float[:, ::1] map not None, float low, float high,
            uint8_t[:, :, ::1] out not None):
    """See the package; arguments are checked there."""
    cdef int h = image.shape[0], w = image.shape[1], gh = map.shape[0], gw = map.shape[1]
    cdef float* line
    if h < 1 or w < 1 or gh < 1 or gw < 1 or image.shape[2] != 3 or out.shape[2] != 3 \
            or out.shape[0] != h or out.shape[1] != w:
        _refuse("overlay")
    line = <float*>malloc(gw * sizeof(float))
    if line == NULL:
        raise MemoryError("no memory for one row of the map; free memory")
    with nogil:
        heat_overlay(&image[0, 0, 0], h, w, &map[0, 0], gh, gw, low, high, &out[0, 0, 0], line)
        free(line)
