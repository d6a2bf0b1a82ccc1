// The points of a way, and a line as text.
#pragma once
#include <math.h>
#include <stdint.h>

namespace aisle_line {

struct Streets {
    int64_t edges = 0, nodes = 0, points = 0;
    const int32_t *tail = nullptr, *head = nullptr, *first = nullptr;
    const double *node_x = nullptr, *node_y = nullptr, *shape_x = nullptr, *shape_y = nullptr;
};

// -1, or the place in `way` of the first edge that is not whole on this map (`count`, if only the room does not fit).
static int64_t follow(const Streets& s, const int32_t* way, int64_t count, double* out, int64_t room) {
    int64_t at = 0;
    const auto put = [&](double x, double y) {
        if (at < room) out[2 * at] = x, out[2 * at + 1] = y;
        at++;
    };
    for (int64_t i = 0; i < count; i++) {
        const int64_t e = way[i];
        if (e < 0 || e >= s.edges) return i;
        const int64_t begin = s.first[e], end = s.first[e + 1], a = s.tail[e], b = s.head[e];
        if (begin < 0 || begin > end || end > s.points || a < 0 || a >= s.nodes || b < 0 || b >= s.nodes) return i;
        if (!i) put(s.node_x[a], s.node_y[a]);
        for (int64_t k = begin; k < end; k++) put(s.shape_x[k], s.shape_y[k]);
        put(s.node_x[b], s.node_y[b]);
    }
    return at == room ? -1 : count;
}

static inline uint8_t* group(int64_t step, uint8_t* out) {       // five bits a byte, the lowest first; all but the last carry a sixth
    uint64_t number = step < 0 ? ~((uint64_t)step << 1) : (uint64_t)step << 1;
    for (; number >= 32; number >>= 5) *out++ = (uint8_t)((number & 31) + 95);
    *out++ = (uint8_t)(number + 63);
    return out;
}

// How many bytes, or -1 less the place of a point that is not finite or too large.
static int64_t encode(const double* points, int64_t count, double scale, uint8_t* out) {
    constexpr double LIMIT = 140737488355328.0;                    // 2^47
    uint8_t* at = out;
    int64_t x = 0, y = 0;
    for (int64_t i = 0; i < count; i++) {
        const double fx = points[2 * i] * scale, fy = points[2 * i + 1] * scale;
        if (!(fabs(fx) < LIMIT && fabs(fy) < LIMIT)) return -1 - i;
        const int64_t nx = (int64_t)nearbyint(fx), ny = (int64_t)nearbyint(fy);
        at = group(nx - x, group(ny - y, at));
        x = nx, y = ny;
    }
    return at - out;
}

}  // namespace aisle_line
