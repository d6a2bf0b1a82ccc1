"""The quick version of `tint`: runs of pixels under the mask, as many a step as a register holds."""

from libc.stdint cimport uint8_t

cdef extern from "fast.h" nogil:
    int aisle_level()
    void tint_table(float*)
    void tint_picture(const uint8_t*, const float*, const float*, long, uint8_t*, int)

cdef int LEVEL = aisle_level()
cdef float LIGHT[256]
tint_table(LIGHT)


def level() -> str:
    """The instruction set in use."""
    return {0: "base", 2: "avx2", 4: "avx512"}[LEVEL]


def levels() -> list:
    """Every instruction set that this CPU can run, for tests: numbers for `tint`'s `use`."""
    return [n for n in (0, 2, 4) if n <= LEVEL]


def tint(const uint8_t[:, ::1] mask not None, const float[::1] numbers not None, uint8_t[:, :, ::1] out not None, int use=-1):
    """See the package; arguments are checked there. `use` takes one of `levels()` instead of the best."""
    cdef int chosen = LEVEL if use < 0 or use > LEVEL else use
    cdef long pixels = out.shape[0] * out.shape[1]
    if pixels < 1 or out.shape[2] != 3 or mask.shape[0] != out.shape[0] or mask.shape[1] != out.shape[1] or numbers.shape[0] != 9:
        raise ValueError("tint was called with shapes that its check refuses; call kernels.tint")
    with nogil:
        tint_picture(&mask[0, 0], &numbers[0], LIGHT, pixels, &out[0, 0, 0], chosen)
