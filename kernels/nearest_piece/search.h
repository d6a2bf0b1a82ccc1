// Rings of buckets around a point, until the next ring cannot hold anything nearer.
#pragma once
#include <math.h>
#include <stdint.h>
#include <algorithm>

namespace aisle_nearest {

struct Pieces {
    const double *ax, *ay, *bx, *by;
    const int32_t *first, *pieces;
    double x0, y0, step;
    int64_t columns, rows;
};

struct Found {
    int32_t piece;
    double t, square;                            // squared distance: one root at the end
};

static inline void look(const Pieces& p, int64_t column, int64_t row, double x, double y, Found& best) {
    const int64_t bucket = row * p.columns + column;
    for (int32_t i = p.first[bucket]; i < p.first[bucket + 1]; i++) {
        const int32_t k = p.pieces[i];
        const double dx = x - p.ax[k], dy = y - p.ay[k], bx = p.bx[k], by = p.by[k], square = bx * bx + by * by;
        const double t = std::min(std::max((dx * bx + dy * by) / (square > 0 ? square : 1.0), 0.0), 1.0);
        const double ex = dx - t * bx, ey = dy - t * by, away = ex * ex + ey * ey;
        if (away < best.square || (away == best.square && (best.piece < 0 || k < best.piece))) best = {k, t, away};
    }
}

static Found nearest(const Pieces& p, double x, double y, double limit) {
    Found best{-1, 0.0, limit * limit};
    const double c = floor((x - p.x0) / p.step), r = floor((y - p.y0) / p.step), far = 1e15;
    if (!(fabs(c) < far && fabs(r) < far)) return best;
    const int64_t column = (int64_t)c, row = (int64_t)r;
    int64_t ring = std::max({-column, column - p.columns + 1, -row, row - p.rows + 1, (int64_t)0});
    const int64_t last = ring + std::max(p.columns, p.rows);
    // All that stands r rings away is at least r - 1 buckets away (the point may lie at the edge of its own).
    for (; ring <= last; ring++) {
        const double gap = (ring - 1) * p.step;
        if (ring > 0 && gap > 0 && gap * gap > best.square) break;
        const int64_t left = std::max(column - ring, (int64_t)0), right = std::min(column + ring, p.columns - 1);
        const int64_t low = std::max(row - ring, (int64_t)0), high = std::min(row + ring, p.rows - 1);
        for (int64_t at = low; at <= high; at++) {
            if (at == row - ring || at == row + ring) {
                for (int64_t k = left; k <= right; k++) look(p, k, at, x, y, best);
                continue;
            }
            if (column - ring >= 0 && column - ring < p.columns) look(p, column - ring, at, x, y, best);
            if (ring > 0 && column + ring >= 0 && column + ring < p.columns) look(p, column + ring, at, x, y, best);
        }
    }
    return best;
}

}  // namespace aisle_nearest
