"""The quick versions of `diff` and `find_shift`: rows of bytes, as many a step as a register holds."""

from libc.stdint cimport uint8_t

cdef extern from "fast.h" nogil:
    int aisle_level()
    ctypedef struct DiffJob:
        const uint8_t* golden
        const uint8_t* test
        const uint8_t* mask
        uint8_t* out
        int h, w, band, reach, opening, down, right
    int diff_pictures(const DiffJob*, int)
    void diff_find_shift(const uint8_t*, const uint8_t*, int, int, int, int, int*, int*)

cdef int LEVEL = aisle_level()


def level() -> str:
    """The instruction set in use."""
    return {0: "base", 2: "avx2", 4: "avx512"}[LEVEL]


def levels() -> list:
    """Every instruction set that this CPU can run, for tests: numbers for `use`."""
    return [n for n in (0, 2, 4) if n <= LEVEL]


def diff(const uint8_t[:, ::1] golden not None, const uint8_t[:, ::1] test not None, mask, int band, int reach, int opening,
         int down, int right, uint8_t[:, ::1] out not None, int use=-1):
    """See the package; arguments are checked there. `use` takes one of `levels()` instead of the best."""
    cdef DiffJob job
    cdef const uint8_t[:, ::1] judged
    cdef int bad, chosen = LEVEL if use < 0 or use > LEVEL else use
    cdef Py_ssize_t h = golden.shape[0], w = golden.shape[1]
    if h < 1 or w < 1 or h > 16384 or w > 16384 or test.shape[0] != h or test.shape[1] != w or out.shape[0] != h \
            or out.shape[1] != w or not 0 <= reach <= 16 or not 0 <= opening <= 16 or abs(down) > 16384 or abs(right) > 16384:
        raise ValueError("diff was called with arguments that its check refuses; call kernels.diff")
    job.golden, job.test, job.out, job.mask = &golden[0, 0], &test[0, 0], &out[0, 0], <const uint8_t*>0
    if mask is not None:
        judged = mask
        if judged.shape[0] != h or judged.shape[1] != w:
            raise ValueError("diff was called with arguments that its check refuses; call kernels.diff")
        job.mask = &judged[0, 0]
    job.h, job.w, job.band, job.reach, job.opening, job.down, job.right = h, w, band, reach, opening, down, right
    with nogil:
        bad = diff_pictures(&job, chosen)
    if bad:
        raise MemoryError("no memory for the marks of the picture; free memory or compare smaller pictures")


def find_shift(const uint8_t[:, ::1] golden not None, int reach, const uint8_t[:, ::1] test not None, int use=-1) -> tuple:
    """See the package; arguments are checked there. `use` takes one of `levels()` instead of the best."""
    cdef int down = 0, right = 0, chosen = LEVEL if use < 0 or use > LEVEL else use
    cdef Py_ssize_t h = golden.shape[0], w = golden.shape[1]
    if not 0 <= reach <= 16 or h <= 2 * reach or w <= 2 * reach or h > 16384 or w > 16384 or test.shape[0] != h or test.shape[1] != w:
        raise ValueError("find_shift was called with arguments that its check refuses; call kernels.find_shift")
    with nogil:
        diff_find_shift(&golden[0, 0], &test[0, 0], h, w, reach, chosen, &down, &right)
    return down, right
