"""The quick version of `nms`."""

from libc.stdint cimport int32_t

cdef extern from "core.h" nogil:
    int aisle_level()
    int suppress_all(const float*, const float*, const int32_t*, int, int, float, float, int, int32_t*, int)

cdef int LEVEL = aisle_level()


def level() -> str:
    """The instruction set in use."""
    return {0: "base", 2: "avx2", 4: "avx512"}[LEVEL]


def levels() -> list:
    """Every instruction set that this CPU can run, for tests: numbers for `use`."""
    return [n for n in (0, 2, 4) if n <= LEVEL]


def nms(const float[:, :, ::1] boxes not None, const float[:, ::1] scores not None, const int32_t[:, ::1] classes,
        float iou, float least, int32_t[:, ::1] out not None, int use=-1):
    """See the package; arguments are checked there. `use` takes one of `levels()` instead of the best."""
    cdef int b = boxes.shape[0], n = boxes.shape[1], room = out.shape[1], bad
    cdef int chosen = LEVEL if use < 0 or use > LEVEL else use
    cdef const int32_t* kinds = NULL
    if b < 1 or room < 1 or boxes.shape[2] != 4 or scores.shape[0] != b or scores.shape[1] != n or out.shape[0] != b \
            or (classes is not None and (classes.shape[0] != b or classes.shape[1] != n)):
        raise ValueError("nms was called with shapes that its check refuses; call kernels.nms")
    if n == 0:
        out[:, :] = -1
        return
    if classes is not None:
        kinds = &classes[0, 0]
    with nogil:
        bad = suppress_all(&boxes[0, 0, 0], &scores[0, 0], kinds, b, n, iou, least, chosen, &out[0, 0], room)
    if bad:
        raise MemoryError("no memory for the candidates; free memory or pass fewer boxes")
