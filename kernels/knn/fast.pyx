"""The quick versions of `knn` and `within`: int8 codes laid out lane by lane, for AVX2, AVX-512 VNNI or NEON where there is."""

from libc.stdint cimport int8_t, int32_t, uint8_t, uint16_t
from libc.string cimport memset

cdef extern from "core.h" nogil:
    int codes_level()
    int codes_has(int)
    const char* codes_name(int)
    ctypedef struct CLaid "Laid":
        int near
        long bytes
    ctypedef struct Job:
        const int8_t* query
        const int8_t* bank
        const CLaid* laid
        const uint8_t* skip
        long cells, codes
        int parts, h, w, d, radius, verdict
        int32_t most
    int nearest(const Job*, int, int32_t*, uint8_t*)
    int lay_out(const Job*, int, CLaid*)
    void drop(CLaid*)
    void list_codes(const Job*, int, int, int32_t*)
    int list_floats(const Job*, const float*, const float*, const uint16_t*, int, float, int, float*)

cdef int LEVEL = codes_level()
cdef str REFUSED = "knn was called with arguments that its check refuses; call kernels.knn"
cdef str FULL = "no memory for the codes laid out; teach fewer parts or free memory"


def level() -> str:
    """The instruction set in use."""
    return codes_name(LEVEL).decode()


def levels() -> list:
    """Every instruction set that this CPU can run, for tests: numbers for `use`."""
    return [n for n in (0, 1, 2, 4) if codes_has(n)]


cdef class Laid:
    """A bank laid out by `lay`, in memory of its own; `knn` and `within` take it in the place of the bank."""

    cdef CLaid made
    cdef readonly tuple shape

    def __cinit__(self):
        memset(&self.made, 0, sizeof(self.made))

    def __dealloc__(self):
        drop(&self.made)

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return self.made.bytes


def lay(const int8_t[:, :, :, ::1] bank not None, int near, int use=-1) -> Laid:
    """`bank` laid out for one nearest cell nearby or, without `near`, anywhere; `use` takes one of `levels()`."""
    cdef Laid laid = Laid()
    cdef Job job
    cdef int bad
    memset(&job, 0, sizeof(job))
    if min(bank.shape[0], bank.shape[1], bank.shape[2], bank.shape[3]) < 1 or bank.shape[3] > 16384 \
            or bank.shape[1] * bank.shape[2] >= 1 << 31:
        raise ValueError(REFUSED)
    job.parts, job.h, job.w, job.d = bank.shape[0], bank.shape[1], bank.shape[2], bank.shape[3]
    job.codes, job.radius, job.bank = bank.shape[1] * bank.shape[2], 0 if near else -1, &bank[0, 0, 0, 0]
    with nogil:
        bad = lay_out(&job, LEVEL if use < 0 or not codes_has(use) else use, &laid.made)
    if bad:
        raise MemoryError(FULL)
    laid.shape = (bank.shape[0], bank.shape[1], bank.shape[2], bank.shape[3])
    return laid


cdef Job _job(query, bank, const uint8_t[::1] skip, int radius, tuple cells, int deepest) except *:
    """What both functions ask for; the bank's codes are entered here where they are laid out."""
    cdef Job job
    memset(&job, 0, sizeof(job))
    h, w, d = query.shape
    n, bh, bw, depth = bank.shape
    if min(h, w, d, n, bh, bw) < 1 or depth != d or d > deepest or skip.shape[0] != n or cells != (h, w) \
            or (radius >= 0 and (bh, bw) != (h, w)) or max(h * w, bh * bw) >= 1 << 31:
        raise ValueError(REFUSED)
    job.skip, job.cells, job.codes, job.parts = &skip[0], h * w, bh * bw, n
    job.h, job.w, job.d, job.radius = h, w, d, radius
    if isinstance(bank, Laid):
        job.laid = &(<Laid>bank).made
        if job.laid.near != (radius >= 0):
            raise ValueError(REFUSED)
    return job


cdef bint _floats_in(bank):
    return not isinstance(bank, Laid) and bank.dtype.char != "b"


def knn(query not None, bank not None, const uint8_t[::1] skip not None, int radius, out not None, int use=-1):
    """See the package; arguments are checked there, `out` is (h, w, k). `use` takes one of `levels()` instead of the best.

    `bank` may be what `lay` made, for one nearest; then parts are skipped only nearby.
    """
    cdef bint floats = _floats_in(bank)
    cdef Job job = _job(query, bank, skip, radius, out.shape[:2], 1 << 20 if floats else 16384)
    cdef int chosen = LEVEL if use < 0 or not codes_has(use) else use, bad = 0, k = out.shape[2]
    cdef const int8_t[:, :, ::1] q
    cdef const int8_t[:, :, :, ::1] b
    cdef int32_t[:, :, ::1] far
    if k < 1 or (k > 1 and job.laid):
        raise ValueError(REFUSED)
    if floats:
        _floats(&job, query, bank, k, -1, chosen, out)
        return
    q, far = query, out
    job.query = &q[0, 0, 0]
    if not job.laid:
        b = bank
        job.bank = &b[0, 0, 0, 0]
    with nogil:
        if k == 1:
            bad = nearest(&job, chosen, &far[0, 0, 0], <uint8_t*>0)
        else:
            list_codes(&job, k, chosen, &far[0, 0, 0])
    if bad:
        raise MemoryError(FULL)


def within(query not None, bank not None, const uint8_t[::1] skip not None, int radius, bound, uint8_t[:, ::1] out not None,
           int use=-1):
    """See the package and `knn`; arguments are checked there."""
    cdef bint floats = _floats_in(bank)
    cdef Job job = _job(query, bank, skip, radius, (out.shape[0], out.shape[1]), 1 << 20 if floats else 16384)
    cdef int chosen = LEVEL if use < 0 or not codes_has(use) else use, bad
    cdef const int8_t[:, :, ::1] q
    cdef const int8_t[:, :, :, ::1] b
    if floats:
        import numpy
        far = numpy.empty((job.h, job.w, 1), numpy.float32)
        _floats(&job, query, bank, 1, bound, chosen, far)
        numpy.less_equal(far[:, :, 0], numpy.float32(bound), out=numpy.asarray(out).view(bool))
        return
    q = query
    job.query, job.verdict, job.most = &q[0, 0, 0], 1, bound
    if not job.laid:
        b = bank
        job.bank = &b[0, 0, 0, 0]
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
