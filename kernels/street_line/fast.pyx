"""The quick version of `street_line`: one walk over the way."""

from libc.stdint cimport int32_t, int64_t, uint8_t

cdef extern from "line.h" namespace "aisle_line" nogil:
    cdef cppclass Streets:
        int64_t edges, nodes, points
        const int32_t *tail
        const int32_t *head
        const int32_t *first
        const double *node_x
        const double *node_y
        const double *shape_x
        const double *shape_y
    int64_t c_follow "aisle_line::follow"(const Streets&, const int32_t*, int64_t, double*, int64_t)
    int64_t c_encode "aisle_line::encode"(const double*, int64_t, double, uint8_t*)


def level() -> str:
    """The instruction set in use."""
    return "base"


def follow(const int32_t[::1] edges not None, const int32_t[::1] tail not None, const int32_t[::1] head not None,
           const double[::1] node_x not None, const double[::1] node_y not None, const int32_t[::1] first not None,
           const double[::1] shape_x not None, const double[::1] shape_y not None, double[:, ::1] out not None):
    """See the package; arguments are checked there, and what edges name is checked on the way."""
    cdef Streets s
    cdef int64_t count = edges.shape[0], room = out.shape[0], e = tail.shape[0]
    if head.shape[0] != e or first.shape[0] != e + 1 or node_y.shape[0] != node_x.shape[0] \
            or shape_y.shape[0] != shape_x.shape[0] or out.shape[1] != 2:
        raise ValueError("follow was called with shapes that its check refuses; call kernels.street_line.follow")
    s.edges, s.nodes, s.points = e, node_x.shape[0], shape_x.shape[0]
    s.first = &first[0]
    if e:
        s.tail, s.head = &tail[0], &head[0]
    if s.nodes:
        s.node_x, s.node_y = &node_x[0], &node_y[0]
    if s.points:
        s.shape_x, s.shape_y = &shape_x[0], &shape_y[0]
    return c_follow(s, &edges[0] if count else NULL, count, &out[0, 0] if room else NULL, room)


def encode(const double[:, ::1] points not None, double scale, uint8_t[::1] out not None):
    """See the package."""
    cdef int64_t count = points.shape[0]
    if points.shape[1] != 2 or out.shape[0] < 20 * count:
        raise ValueError("encode was called with shapes that its check refuses; call kernels.street_line.encode")
    return c_encode(&points[0, 0], count, scale, &out[0]) if count else 0
