"""The quick version of `letterbox`: one pass over the output, the source row blended in the cache."""

from libc.stdint cimport uint8_t

cdef extern from "core.h" nogil:
    int aisle_level()
    ctypedef struct Job:
        const uint8_t* image
        int height, width, h, w, top, left
        const float* scale
        const float* bias
        int swap
        float* out
        int out_h, out_w
    int resize(const Job*, float, int)

cdef int LEVEL = aisle_level()


def level() -> str:
    """The instruction set in use."""
    return {0: "base", 2: "avx2", 4: "avx512"}[LEVEL]


def levels() -> list:
    """Every instruction set that this CPU can run, for tests: numbers for `letterbox`'s `use`."""
    return [n for n in (0, 2, 4) if n <= LEVEL]


def letterbox(const uint8_t[:, :, ::1] image not None, const float[::1] scale not None, const float[::1] bias not None,
              bint swap, float pad, tuple placed not None, float[:, :, ::1] out not None, int use=-1):
    """See the package; arguments are checked there. `use` takes one of `levels()` instead of the best."""
    cdef Job job
    cdef int bad, chosen = LEVEL if use < 0 or use > LEVEL else use
    job.height, job.width, job.out_h, job.out_w = image.shape[0], image.shape[1], out.shape[1], out.shape[2]
    job.h, job.w, job.top, job.left = placed
    if image.shape[2] != 3 or out.shape[0] != 3 or scale.shape[0] != 3 or bias.shape[0] != 3 \
            or job.height < 1 or job.width < 1 or job.h < 1 or job.w < 1 or job.top < 0 or job.left < 0 \
            or job.top + job.h > job.out_h or job.left + job.w > job.out_w:
        raise ValueError("letterbox was called with shapes that its check refuses; call kernels.letterbox")
    job.image, job.out, job.scale, job.bias, job.swap = &image[0, 0, 0], &out[0, 0, 0], &scale[0], &bias[0], swap
    with nogil:
        bad = resize(&job, pad, chosen)
    if bad:
        raise MemoryError("no memory for one row of the picture; free memory or send smaller pictures")
