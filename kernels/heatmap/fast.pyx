"""The quick versions of the heatmap operations."""

from libc.stdint cimport uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

cdef extern from "core.h" nogil:
    int aisle_level()
    ctypedef struct Fused:
        int h, w
        float* out
        int out_h, out_w
        float threshold
        int count
    void heat_smooth(const float*, int, int, float*, float*)
    double heat_top(const float*, long, int, float*)
    int heat_regions(const float*, int, int, float, float*, int, int)
    void heat_overlay(const uint8_t*, int, int, const float*, int, int, float, float, uint8_t*, float*)
    int heat_all(const float*, Fused*, float*, float*, int, int, double*)

cdef int LEVEL = aisle_level()


def level() -> str:
    """The instruction set in use."""
    return {0: "base", 2: "avx2", 4: "avx512"}[LEVEL]


def levels() -> list:
    """Every instruction set that this CPU can run, for tests: numbers for `use`."""
    return [n for n in (0, 2, 4) if n <= LEVEL]


cdef _refuse(str name):
    raise ValueError(f"{name} was called with shapes that its check refuses; call kernels.{name}")


def smooth(const float[:, ::1] map not None, float[:, ::1] out not None):
    """See the package; arguments are checked there."""
    cdef int h = map.shape[0], w = map.shape[1]
    cdef float* line
    if h < 1 or w < 1 or out.shape[0] != h or out.shape[1] != w:
        _refuse("smooth")
    line = <float*>malloc(w * sizeof(float))
    if line == NULL:
        raise MemoryError("no memory for one row of the map; free memory")
    with nogil:
        heat_smooth(&map[0, 0], h, w, &out[0, 0], line)
        free(line)


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


def regions(const float[:, ::1] map not None, float threshold, float[:, ::1] out not None, int use=-1) -> int:
    """See the package; arguments are checked there. `use` takes one of `levels()` instead of the best."""
    cdef int h = map.shape[0], w = map.shape[1], room = out.shape[0], found
    cdef int chosen = LEVEL if use < 0 or use > LEVEL else use
    if h < 1 or w < 1 or room < 1 or out.shape[1] != 6 or <long>h * w > 1 << 30:
        _refuse("regions")
    with nogil:
        found = heat_regions(&map[0, 0], h, w, threshold, &out[0, 0], room, chosen)
    if found < 0:
        raise MemoryError("no memory for the map's regions; free memory")
    return found


def heatmap(const float[:, ::1] map not None, float threshold, int count, float[:, ::1] grown not None,
            float[:, ::1] regions not None, int use=-1) -> tuple:
    """See the package; arguments are checked there. `use` takes one of `levels()` instead of the best."""
    cdef Fused job
    cdef int found, chosen = LEVEL if use < 0 or use > LEVEL else use
    cdef double score = 0
    cdef float* scratch
    memset(&job, 0, sizeof(job))
    job.h, job.w, job.out_h, job.out_w = map.shape[0], map.shape[1], grown.shape[0], grown.shape[1]
    if job.h < 1 or job.w < 1 or job.out_h < 1 or job.out_w < 1 or regions.shape[0] < 1 or regions.shape[1] != 6 \
            or count < 1 or <long>job.out_h * job.out_w > 1 << 30 or <long>job.h * job.w > 1 << 30 \
            or <long>job.h * job.out_w > 1 << 30:
        _refuse("heatmap")
    job.out, job.threshold, job.count = &grown[0, 0], threshold, min(count, <long>job.out_h * job.out_w)
    scratch = <float*>malloc((<size_t>(job.h + 1) * job.w + <size_t>job.h * job.out_w + job.count) * sizeof(float))
    if scratch == NULL:
        raise MemoryError("no memory for the map's rows; free memory")
    with nogil:
        found = heat_all(&map[0, 0], &job, scratch, &regions[0, 0], regions.shape[0], chosen, &score)
        free(scratch)
    if found < 0:
        raise MemoryError("no memory for the map's regions; free memory")
    return score, found


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
