"""The quick version of `kcenter`: one pass over codes laid out lane by lane for every centre."""

from libc.stdint cimport int8_t, int32_t

cdef extern from "core.h" nogil:
    int codes_level()
    int codes_has(int)
    const char* codes_name(int)
    int32_t choose_centres(const int8_t*, long, int, long, int, int, int32_t*)

cdef int LEVEL = codes_level()


def level() -> str:
    """The instruction set in use."""
    return codes_name(LEVEL).decode()


def levels() -> list:
    """Every instruction set that this CPU can run, for tests: numbers for `use`."""
    return [n for n in (0, 1, 2, 4) if codes_has(n)]


def kcenter(const int8_t[:, ::1] codes not None, long first, int32_t[::1] out not None, int use=-1) -> int:
    """See the package; arguments are checked there. `use` takes one of `levels()` instead of the best."""
    cdef long n = codes.shape[0]
    cdef Py_ssize_t d = codes.shape[1], k = out.shape[0]
    cdef int chosen = LEVEL if use < 0 or not codes_has(use) else use
    cdef int32_t most
    if not (1 <= d <= 16384 and 1 <= k <= n < 1 << 31 and 0 <= first < n):
        raise ValueError("kcenter was called with arguments that its check refuses; call kernels.kcenter")
    with nogil:
        most = choose_centres(&codes[0, 0], n, d, first, k, chosen, &out[0])
    if most < 0:
        raise MemoryError("no memory for the codes laid out; choose among fewer codes or free memory")
    return most
