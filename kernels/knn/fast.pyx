"""The quick versions of `knn` and `within`: int8 codes laid out lane by lane, AVX2 or AVX-512 VNNI where the CPU has it."""

from libc.stdint cimport int8_t, int32_t, uint8_t, uint16_t

cdef extern from "core.h" nogil:
    int aisle_level()
    ctypedef struct Job:
        const int8_t* query
        const int8_t* bank
        const uint8_t* skip
        long cells, codes
        int parts, h, w, d, radius, verdict
        int32_t most
    int nearest(const Job*, int, int32_t*, uint8_t*)
    void list_codes(const Job*, int, int, int32_t*)
    int list_floats(const Job*, const float*, const float*, const uint16_t*, int, float, int, float*)

cdef int LEVEL = aisle_level()
cdef str REFUSED = "knn was called with arguments that its check refuses; call kernels.knn"
cdef str FULL = "no memory for the codes laid out; teach fewer parts or free memory"


def level() -> str:
    """The instruction set in use."""
    return {0: "base", 2: "avx2", 4: "avx512-vnni"}[LEVEL]


def levels() -> list:
    """Every instruction set that this CPU can run, for tests: numbers for `use`."""
    return [n for n in (0, 2, 4) if n <= LEVEL]


cdef Job _job(query, bank, const uint8_t[::1] skip, int radius, tuple cells, int deepest) except *:
    cdef Job job
    h, w, d = query.shape
    n, bh, bw, depth = bank.shape
    if min(h, w, d, n, bh, bw) < 1 or depth != d or d > deepest or skip.shape[0] != n or cells != (h, w) \
            or (radius >= 0 and (bh, bw) != (h, w)) or max(h * w, bh * bw) >= 1 << 31:
        raise ValueError(REFUSED)
    job.skip, job.cells, job.codes, job.parts = &skip[0], h * w, bh * bw, n
    job.h, job.w, job.d, job.radius, job.verdict, job.most = h, w, d, radius, 0, 0
    return job


def knn(query not None, bank not None, const uint8_t[::1] skip not None, int radius, out not None, int use=-1):
    """See the package; arguments are checked there, `out` is (h, w, k). `use` takes one of `levels()` instead of the best."""
    cdef Job job = _job(query, bank, skip, radius, out.shape[:2], 16384 if bank.dtype.char == "b" else 1 << 20)
    cdef int chosen = LEVEL if use < 0 or use > LEVEL else use, bad = 0, k = out.shape[2]
    cdef const int8_t[:, :, ::1] q
    cdef const int8_t[:, :, :, ::1] b
    cdef int32_t[:, :, ::1] far
    if k < 1:
        raise ValueError(REFUSED)
    if bank.dtype.char != "b":
        _floats(&job, query, bank, k, -1, chosen, out)
        return
    q, b, far = query, bank, out
    job.query, job.bank = &q[0, 0, 0], &b[0, 0, 0, 0]
    with nogil:
        if k == 1:
            bad = nearest(&job, chosen, &far[0, 0, 0], <uint8_t*>0)
        else:
            list_codes(&job, k, chosen, &far[0, 0, 0])
    if bad:
        raise MemoryError(FULL)


def within(query not None, bank not None, const uint8_t[::1] skip not None, int radius, bound, uint8_t[:, ::1] out not None,
           int use=-1):
    """See the package; arguments are checked there. `use` takes one of `levels()` instead of the best."""
    cdef Job job = _job(query, bank, skip, radius, (out.shape[0], out.shape[1]), 16384 if bank.dtype.char == "b" else 1 << 20)
    cdef int chosen = LEVEL if use < 0 or use > LEVEL else use, bad
    cdef const int8_t[:, :, ::1] q
    cdef const int8_t[:, :, :, ::1] b
    if bank.dtype.char != "b":
        import numpy
        far = numpy.empty((job.h, job.w, 1), numpy.float32)
        _floats(&job, query, bank, 1, bound, chosen, far)
        numpy.less_equal(far[:, :, 0], numpy.float32(bound), out=numpy.asarray(out).view(bool))
        return
    q, b = query, bank
    job.query, job.bank, job.verdict, job.most = &q[0, 0, 0], &b[0, 0, 0, 0], 1, bound
    with nogil:
        bad = nearest(&job, chosen, <int32_t*>0, &out[0, 0])
    if bad:
        raise MemoryError(FULL)


cdef _floats(Job* job, const float[:, :, ::1] query, bank, int k, float most, int use, float[:, :, ::1] out):
    cdef const float[:, :, :, ::1] floats
    cdef const uint16_t[:, :, :, ::1] halves
    cdef const float* f = <const float*>0
    cdef const uint16_t* e = <const uint16_t*>0
    cdef int bad
    if bank.dtype.char == "e":
        halves = bank.view("uint16")
        e = &halves[0, 0, 0, 0]
    else:
        floats = bank
        f = &floats[0, 0, 0, 0]
    with nogil:
        bad = list_floats(job, &query[0, 0, 0], f, e, k, most, use, &out[0, 0, 0])
    if bad:
        raise MemoryError(FULL)
