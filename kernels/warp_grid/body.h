// One row of one cell, 16 pixels; included once per instruction set, with SUFFIX, LANES and BLEND defined.
// BLEND(run, at): blend the run's 16 pixels at `at`.
typedef float AISLE_JOIN(Floats, SUFFIX) __attribute__((vector_size(4 * LANES), aligned(4)));
typedef int32_t AISLE_JOIN(Ints, SUFFIX) __attribute__((vector_size(4 * LANES), aligned(4)));
typedef uint8_t AISLE_JOIN(Bytes, SUFFIX) __attribute__((vector_size(LANES), aligned(1)));
#define FLOATS AISLE_JOIN(Floats, SUFFIX)
#define INTS AISLE_JOIN(Ints, SUFFIX)

// warp_tap and warp_weight of core.h for LANES pixels at once; the tests hold the two together.
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
static inline void AISLE_JOIN(warp_taps_inside, SUFFIX)(FLOATS place, INTS* first, INTS* low, INTS* high) {
    const INTS fixed = __builtin_convertvector((place + 2.f) * 256.f + 0.5f, INTS) - 512;
    *first = fixed >> 8;
    *high = fixed & 255;
    *low = 256 - *high;
}
static inline INTS AISLE_JOIN(warp_weights, SUFFIX)(INTS a, INTS b) {
    const INTS product = (a * b + 2) >> 2, most = INTS{} + 16383;
    return product < most ? product : most;
}

static inline void AISLE_JOIN(warp_run, SUFFIX)(const WarpJob* j, const WarpRow* row, int inside, const uint8_t* visible, uint8_t* at) {
    WarpRun run;
    run.item = j->item;
    run.stride = 4L * j->iw;
    uint64_t shown[2] = {~0ull, ~0ull};
    if (visible) memcpy(shown, visible, WARP_CELL);
    if (!(shown[0] | shown[1])) return;
    for (int i = 0; i < WARP_CELL; i += LANES) {
        FLOATS step;
        for (int k = 0; k < LANES; k++) step[k] = (float)(i + k);
        const FLOATS share = __builtin_convertvector(__builtin_convertvector(*(const AISLE_JOIN(Bytes, SUFFIX)*)((const uint8_t*)shown + i), INTS), FLOATS);
        INTS x, y, left, right, upper, lower;
        const FLOATS across = row->x + step * row->x_slope, down = row->y + step * row->y_slope;
        if (inside) {
            AISLE_JOIN(warp_taps_inside, SUFFIX)(across, &x, &left, &right);
            AISLE_JOIN(warp_taps_inside, SUFFIX)(down, &y, &upper, &lower);
        } else {
            AISLE_JOIN(warp_taps, SUFFIX)(across, j->iw, &x, &left, &right);
            AISLE_JOIN(warp_taps, SUFFIX)(down, j->ih, &y, &upper, &lower);
        }
        const INTS w00 = AISLE_JOIN(warp_weights, SUFFIX)(left, upper), w01 = AISLE_JOIN(warp_weights, SUFFIX)(right, upper);
        const INTS w10 = AISLE_JOIN(warp_weights, SUFFIX)(left, lower), w11 = AISLE_JOIN(warp_weights, SUFFIX)(right, lower);
        const INTS low = (w00 & 127) | (w01 & 127) << 8 | (w10 & 127) << 16 | (w11 & 127) << 24;
        const INTS high = w00 >> 7 | w01 >> 7 << 8 | w10 >> 7 << 16 | w11 >> 7 << 24;
        *(INTS*)(run.low + i) = low;
        *(INTS*)(run.high + i) = high;
        *(INTS*)(run.offset + i) = (y * j->iw + x) * 4;
        *(FLOATS*)(run.shade + i) = row->shade + step * row->shade_slope;
        *(FLOATS*)(run.share + i) = share * (1.f / (255.f * 16384.f));
    }
    BLEND(&run, at);
}

// One row of pixels; `kinds` says what each cell of the band is.
static void AISLE_JOIN(warp_line, SUFFIX)(const WarpJob* j, int y, const float* nodes, int columns, const uint8_t* kinds) {
    for (int cell = 0; cell < columns - 1; cell++) {
        if (kinds[cell] == WARP_NOTHING) continue;
        const WarpRow row = warp_row(nodes + 3 * cell, columns, y % WARP_CELL);
        const long at = (long)y * j->w + cell * WARP_CELL;
        const uint8_t* visible = j->visible ? j->visible + at : 0;
        if (kinds[cell] == WARP_INSIDE) AISLE_JOIN(warp_run, SUFFIX)(j, &row, 1, visible, j->out + 3 * at);
        else if (kinds[cell] == WARP_EDGE) AISLE_JOIN(warp_run, SUFFIX)(j, &row, 0, visible, j->out + 3 * at);
        else warp_plain(j, &row, visible, j->out + 3 * at, j->w - cell * WARP_CELL);
    }
}
#undef FLOATS
#undef INTS
#undef LANES
#undef BLEND
#undef SUFFIX
