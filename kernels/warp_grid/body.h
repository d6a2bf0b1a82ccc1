// One row of one cell, 16 pixels; included once per instruction set, with SUFFIX, LANES, MULHRS and BLEND defined.
// MULHRS multiplies 16-bit numbers, rounding; BLEND(run, at) blends the run's 16 pixels at `at`.
typedef float AISLE_JOIN(Floats, SUFFIX) __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t AISLE_JOIN(Ints, SUFFIX) __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint8_t AISLE_JOIN(Bytes, SUFFIX) __attribute__((vector_size(LANES), aligned(1)));
#define FLOATS AISLE_JOIN(Floats, SUFFIX)
#define INTS AISLE_JOIN(Ints, SUFFIX)

// warp_tap of core.h for LANES pixels at once; the tests hold the two together.
static inline void AISLE_JOIN(warp_taps, SUFFIX)(FLOATS place, int32_t size, INTS* first, INTS* low, INTS* high) {
    const FLOATS none = FLOATS{} - 2.f, edge = FLOATS{} + ((float)size + 1.f), half = FLOATS{} + 0.5f;
    const FLOATS above = place > none ? place : none, bounded = above < edge ? above : edge;
    const INTS fixed = __builtin_convertvector((bounded + 2.f) * 256.f + half, INTS) - 512;
    const INTS zero = {}, at = fixed >> 8, part = fixed & 255, last = zero + (size - 2);
    const INTS here = (at >= 0) & (at < size) ? 256 - part : zero, next = (at >= -1) & (at < size - 1) ? part : zero;
    const INTS inside = at > zero ? at : zero;
    *first = inside < last ? inside : last;
    *low = at == *first ? here : next;
    *high = at == *first ? next : here;
}
// The same where no place is near the item's edge.
static inline void AISLE_JOIN(warp_taps_inside, SUFFIX)(float place, float slope, FLOATS step, INTS* first, INTS* low, INTS* high) {
    const INTS fixed = __builtin_convertvector((place * 256.f + 0.5f) + step * (slope * 256.f), INTS);
    *first = fixed >> 8;
    *high = fixed & 255;
    *low = 256 - *high;
}

// Fill a run; 0 where nothing of it is visible.
static inline int AISLE_JOIN(warp_run, SUFFIX)(const WarpJob* j, const WarpRow* row, int inside, const uint8_t* visible, WarpRun* run) {
    run->item = j->item;
    run->stride = 4L * j->iw;
    uint64_t shown[2] = {~0ull, ~0ull};
    if (visible) memcpy(shown, visible, WARP_CELL);
    if (!(shown[0] | shown[1])) return 0;
    for (int i = 0; i < WARP_CELL; i += LANES) {
        FLOATS step;
        for (int k = 0; k < LANES; k++) step[k] = (float)(i + k);
        const FLOATS share = __builtin_convertvector(__builtin_convertvector(*(const AISLE_JOIN(Bytes, SUFFIX)*)((const uint8_t*)shown + i), INTS), FLOATS);
        INTS x, y, left, right, upper, lower;
        if (inside) {
            AISLE_JOIN(warp_taps_inside, SUFFIX)(row->x, row->x_slope, step, &x, &left, &right);
            AISLE_JOIN(warp_taps_inside, SUFFIX)(row->y, row->y_slope, step, &y, &upper, &lower);
        } else {
            AISLE_JOIN(warp_taps, SUFFIX)(row->x + step * row->x_slope, j->iw, &x, &left, &right);
            AISLE_JOIN(warp_taps, SUFFIX)(row->y + step * row->y_slope, j->ih, &y, &upper, &lower);
        }
        const INTS pair = (left | right << 16) << 6, above = upper << 6, below = lower << 6;
        *(INTS*)(run->top + i) = (INTS)MULHRS(pair, above | above << 16);
        *(INTS*)(run->bottom + i) = (INTS)MULHRS(pair, below | below << 16);
        *(INTS*)(run->offset + i) = (y * j->iw + x) * 4;
        // The item's rows are rarely in the nearest cache, and the pixels' turn comes a few runs later.
        __builtin_prefetch(j->item + run->offset[i]);
        __builtin_prefetch(j->item + run->offset[i] + run->stride);
        *(FLOATS*)(run->shade + i) = row->shade + step * row->shade_slope;
        *(FLOATS*)(run->share + i) = share * (1.f / (255.f * 8192.f));
    }
    return 1;
}

// One row of pixels; `kinds` says what each cell of the band is. Places of a few runs first, then their pixels: each
// part is a long chain of steps, and only chains that do not wait for each other overlap.
static void AISLE_JOIN(warp_line, SUFFIX)(const WarpJob* j, int y, const float* nodes, int columns, const uint8_t* kinds) {
    WarpRun runs[WARP_BATCH];
    uint8_t* places[WARP_BATCH];
    int held = 0;
    for (int cell = 0; cell < columns - 1; cell++) {
        if (kinds[cell] != WARP_NOTHING) {
            const WarpRow row = warp_row(nodes + 3 * cell, columns, y % WARP_CELL);
            const long at = (long)y * j->w + cell * WARP_CELL;
            const uint8_t* visible = j->visible ? j->visible + at : 0;
            places[held] = j->out + 3 * at;
            if (kinds[cell] == WARP_INSIDE) held += AISLE_JOIN(warp_run, SUFFIX)(j, &row, 1, visible, runs + held);
            else if (kinds[cell] == WARP_EDGE) held += AISLE_JOIN(warp_run, SUFFIX)(j, &row, 0, visible, runs + held);
            else warp_plain(j, &row, visible, j->out + 3 * at, j->w - cell * WARP_CELL);
        }
        if (held == WARP_BATCH || cell == columns - 2) {
            for (int k = 0; k < held; k++) BLEND(runs + k, places[k]);
            held = 0;
        }
    }
}
#undef FLOATS
#undef INTS
#undef LANES
#undef MULHRS
#undef BLEND
#undef SUFFIX
