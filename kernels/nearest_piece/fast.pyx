"""The quick version of `nearest_piece`: buckets, nearest rings first."""

from libc.math cimport sqrt
from libc.stdint cimport int32_t, int64_t

cdef extern from "search.h" namespace "aisle_nearest" nogil:
    cdef cppclass Pieces:
        const double *ax
        const double *ay
        const double *bx
        const double *by
        const int32_t *first
        const int32_t *pieces
        double x0, y0, step
        int64_t columns, rows
    cdef cppclass Found:
        int32_t piece
        double t, square
    Found search "aisle_nearest::nearest"(const Pieces&, double, double, double)


def level() -> str:
    """The instruction set in use."""
    return "base"


cdef class Index:
    """See the package; arguments are checked there, and what an index could lead astray is checked here."""

    cdef Pieces p
    cdef tuple held

    def __init__(self, const double[::1] ax not None, const double[::1] ay not None, const double[::1] bx not None,
                 const double[::1] by not None, const int32_t[::1] first not None, const int32_t[::1] pieces not None,
                 double x0, double y0, double step, int64_t columns, int64_t rows):
        cdef int64_t i, n = ax.shape[0]
        cdef bint good = ay.shape[0] == n and bx.shape[0] == n and by.shape[0] == n and step > 0 and columns > 0 and rows > 0
        good = good and first.shape[0] == columns * rows + 1 and first[0] == 0 and first[columns * rows] == pieces.shape[0]
        for i in range(columns * rows if good else 0):
            good = good and first[i] <= first[i + 1]
        for i in range(pieces.shape[0]):
            good = good and 0 <= pieces[i] < n
        if not good:
            raise ValueError("Index was called with buckets that do not hold together; call kernels.nearest_piece.index")
        self.held = (ax, ay, bx, by, first, pieces)
        if n:
            self.p.ax, self.p.ay, self.p.bx, self.p.by = &ax[0], &ay[0], &bx[0], &by[0]
            self.p.pieces = &pieces[0]
        self.p.first = &first[0]
        self.p.x0, self.p.y0, self.p.step, self.p.columns, self.p.rows = x0, y0, step, columns, rows

    def nearest(self, double x, double y, double limit):
        """See the package. The GIL stays: a search takes about as long as giving it away."""
        cdef Found found = search(self.p, x, y, limit)
        if found.piece < 0:
            return -1, 0.0, limit
        return found.piece, found.t, sqrt(found.square)

    def nearest_all(self, const double[::1] x not None, const double[::1] y not None, double limit, int32_t[::1] piece not None,
                    double[::1] t not None):
        """See the package."""
        cdef int64_t i, n = x.shape[0]
        cdef Found found
        if y.shape[0] != n or piece.shape[0] != n or t.shape[0] != n:
            raise ValueError(f"expected {n} of x, y, piece and t, got {y.shape[0]}, {piece.shape[0]} and {t.shape[0]}")
        with nogil:
            for i in range(n):
                found = search(self.p, x[i], y[i], limit)
                piece[i], t[i] = found.piece, found.t
