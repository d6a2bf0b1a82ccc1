"""The quick version of `warp_grid`: cell by cell, one pass over the picture, 16 pixels at a time."""

from libc.stdint cimport uint8_t

cdef extern from "fast.h" nogil:
    int aisle_level()
    ctypedef struct WarpJob:
        const uint8_t* item
        int ih, iw
        const float* grid
        const uint8_t* visible
        uint8_t* out
        int h, w
    void warp_picture(const WarpJob*, int)

cdef int LEVEL = aisle_level()


def level() -> str:
    """The instruction set in use."""
    return {0: "base", 2: "avx2", 4: "avx512-vnni"}[LEVEL]


def levels() -> list:
    """Every instruction set that this CPU can run, for tests: numbers for `warp_grid`'s `use`."""
    return [n for n in (0, 2, 4) if n <= LEVEL]


def warp_grid(const uint8_t[:, :, ::1] item not None, const float[:, :, ::1] grid not None, visible,
              uint8_t[:, :, ::1] out not None, int use=-1):
    """See the package; arguments are checked there. `use` takes one of `levels()` instead of the best."""
    cdef WarpJob job
    cdef const uint8_t[:, ::1] mask
    cdef int chosen = LEVEL if use < 0 or use > LEVEL else use
    job.ih, job.iw, job.h, job.w = item.shape[0], item.shape[1], out.shape[0], out.shape[1]
    if job.ih < 1 or job.iw < 1 or job.h < 1 or job.w < 1 or item.shape[2] != 4 or out.shape[2] != 3 \
            or grid.shape[0] != (job.h + 15) // 16 + 1 or grid.shape[1] != (job.w + 15) // 16 + 1 or grid.shape[2] != 3 \
            or max(job.ih, job.iw, job.h, job.w) > 16384:
        raise ValueError("warp_grid was called with shapes that its check refuses; call kernels.warp_grid")
    job.item, job.grid, job.out, job.visible = &item[0, 0, 0], &grid[0, 0, 0], &out[0, 0, 0], <const uint8_t*>0
    if visible is not None:
        mask = visible
        if mask.shape[0] != job.h or mask.shape[1] != job.w:
            raise ValueError("warp_grid was called with shapes that its check refuses; call kernels.warp_grid")
        job.visible = &mask[0, 0]
    with nogil:
        warp_picture(&job, chosen)
