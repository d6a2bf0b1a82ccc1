"""The quick versions of `letterbox` and `warp`: one pass over the output, the source row blended in the cache."""

from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint8_t
from libc.string cimport memset

cdef extern from "core.h" nogil:
    int aisle_level()
    ctypedef struct Job:
        const uint8_t* image
        int height, width, pixels, antialias
        int h, w, top, left
        const float* scale
        const float* bias
        void* out
        int out_h, out_w, channels, hwc, type, swap
        float pad
        const double* matrix
        int samples
    int fill(const Job*, int)

cdef int LEVEL = aisle_level()
cdef dict TYPES = {"f": (0, 4), "e": (1, 2), "b": (2, 1), "B": (3, 1)}   # by dtype.char


def level() -> str:
    """The instruction set in use."""
    return {0: "base", 2: "avx2", 4: "avx512"}[LEVEL]


def levels() -> list:
    """Every instruction set that this CPU can run, for tests: numbers for `use`."""
    return [n for n in (0, 2, 4) if n <= LEVEL]


cdef int _aim(Job* job, object target, const float[::1] scale, const float[::1] bias) except -1:
    """Enter what `out` is and how values change on the way there."""
    job.out_h, job.out_w, job.channels, job.hwc, job.pad, job.swap = target
    if scale.shape[0] != 3 or bias.shape[0] != 3 or job.out_h < 1 or job.out_w < 1 or job.channels not in (1, 3):
        _refuse()
    job.scale, job.bias = &scale[0], &bias[0]
    return 0


cdef _refuse():
    raise ValueError("letterbox was called with shapes that its check refuses; call kernels.letterbox or kernels.warp")


cdef _run(Job* job, object image, long needed, object out, int use):
    """Check the sizes of both memories against the job, and do it without the GIL."""
    cdef Py_buffer source, sink
    cdef int bad = 1, chosen = LEVEL if use < 0 or use > LEVEL else use
    cdef int size
    job.type, size = TYPES[out.dtype.char]
    PyObject_GetBuffer(image, &source, PyBUF_C_CONTIGUOUS)
    try:
        PyObject_GetBuffer(out, &sink, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)
        try:
            if source.len != needed or sink.len != <long>job.out_h * job.out_w * job.channels * size:
                _refuse()
            job.image, job.out = <const uint8_t*>source.buf, sink.buf
            with nogil:
                bad = fill(job, chosen)
        finally:
            PyBuffer_Release(&sink)
    finally:
        PyBuffer_Release(&source)
    if bad:
        raise MemoryError("no memory for a few rows of the picture; free memory or send smaller pictures")


def letterbox(image not None, object source not None, const float[::1] scale not None, const float[::1] bias not None,
              object placed not None, object target not None, out not None, int use=-1):
    """See the package; arguments are checked there. `use` takes one of `levels()` instead of the best."""
    cdef Job job
    cdef long needed
    memset(&job, 0, sizeof(job))
    _aim(&job, target, scale, bias)
    job.height, job.width, job.pixels, job.antialias = source
    job.h, job.w, job.top, job.left = placed
    if job.height < 1 or job.width < 1 or job.h < 1 or job.w < 1 or job.top < 0 or job.left < 0 \
            or job.top + job.h > job.out_h or job.left + job.w > job.out_w or job.pixels not in (0, 1, 2, 3) \
            or (job.channels == 1 and job.pixels != 1) or (job.pixels >= 2 and job.width % 2) \
            or (job.pixels == 2 and job.height % 2):
        _refuse()
    needed = <long>job.height * job.width
    needed = [3 * needed, needed, needed * 3 // 2, 2 * needed][job.pixels]
    _run(&job, image, needed, out, use)


def warp(image not None, const double[:, ::1] matrix not None, int samples, const float[::1] scale not None,
         const float[::1] bias not None, object target not None, out not None, int use=-1):
    """See the package; arguments are checked there. `use` takes one of `levels()` instead of the best."""
    cdef Job job
    memset(&job, 0, sizeof(job))
    _aim(&job, target, scale, bias)
    if matrix.shape[0] != 3 or matrix.shape[1] != 3 or not 1 <= samples <= 64 or image.ndim not in (2, 3):
        _refuse()
    job.height, job.width = image.shape[0], image.shape[1]
    job.pixels = 0 if image.ndim == 3 else 1
    if job.height < 1 or job.width < 1 or (job.channels == 1 and job.pixels != 1):
        _refuse()
    job.h, job.w, job.matrix, job.samples = job.out_h, job.out_w, &matrix[0, 0], samples
    _run(&job, image, <long>job.height * job.width * (3 if job.pixels == 0 else 1), out, use)
