"""The quick version of `distance_field`: breadth first in one array, and buckets instead of a heap."""

from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t

cdef extern from "field.h" namespace "aisle_field" nogil:
    void c_steps "aisle_field::steps"(const uint16_t*, int, int64_t, int32_t, uint16_t*) except +
    cdef cppclass Octile:
        void run(const uint16_t*, int, int64_t, int32_t, uint32_t*)
    int descend16(const uint16_t*, int, int, int32_t, int32_t*, int)
    int descend32(const uint32_t*, int, int, int32_t, int32_t*, int)


def level() -> str:
    """The instruction set in use."""
    return "base"


def steps(const uint16_t[:, ::1] floor not None, int goal, uint16_t[:, ::1] out not None):
    """See the package; arguments are checked there."""
    cdef int64_t size = <int64_t>floor.shape[0] * floor.shape[1]
    if out.shape[0] != floor.shape[0] or out.shape[1] != floor.shape[1] or goal < 0 or goal >= size:
        raise ValueError("steps was called with shapes that its check refuses; call kernels.distance_field.steps")
    with nogil:
        c_steps(&floor[0, 0], floor.shape[1], size, goal, &out[0, 0])


def octile(const uint16_t[:, ::1] floor not None, int goal, uint32_t[:, ::1] out not None):
    """See the package; arguments are checked there."""
    cdef Octile search
    cdef int64_t size = <int64_t>floor.shape[0] * floor.shape[1]
    if out.shape[0] != floor.shape[0] or out.shape[1] != floor.shape[1] or goal < 0 or goal >= size:
        raise ValueError("octile was called with shapes that its check refuses; call kernels.distance_field.octile")
    with nogil:
        search.run(&floor[0, 0], floor.shape[1], size, goal, &out[0, 0])


def descend(field, int start, int32_t[::1] out not None):
    """See the package; arguments are checked there."""
    cdef const uint16_t[:, ::1] small
    cdef const uint32_t[:, ::1] pairs
    cdef int count
    if out.shape[0] < 1 or start < 0 or start >= field.size:
        raise ValueError("descend was called with shapes that its check refuses; call kernels.distance_field.descend")
    if field.itemsize == 2:
        small = field
        with nogil:
            count = descend16(&small[0, 0], small.shape[0], small.shape[1], start, &out[0], out.shape[0])
    else:
        pairs = field
        with nogil:
            count = descend32(&pairs[0, 0], pairs.shape[0], pairs.shape[1], start, &out[0], out.shape[0])
    if count == -2:
        raise ValueError("expected a field that falls to its goal, got a hollow - at `field`; make it with steps or octile")
    return count
