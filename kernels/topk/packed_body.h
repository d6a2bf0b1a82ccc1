// A run of packed rows, whole blocks of 16, against queries; included in the namespace of each instruction set, once for each
// kind of list (LIST). There, sums_packed() gives the sums of STEP rows of a block with one query.
static void scan_packed(const Table* t, long first, long last, int d, const int8_t* queries, int count, const float* gains,
                        LIST* best) {
    Packed q;
    float scores[16];
    const int units = (d + 3) / 4;
    prepare_packed(queries, count, d, &q);
    long row = first;
#if PAIRS
    if (count == 1 && units == 16) {    // what an item table has: the query stays in registers
        V codes[16];
#pragma GCC unroll 16
        for (int u = 0; u < 16; u++) codes[u] = _mm512_set1_epi32(q.fours[u][0]);
        const V offset = _mm512_set1_epi32(q.offset[0]);
        const float gain = gains ? *gains : 1.f;
        for (; row < last; row += STEP) {
            const uint32_t out = t->blocked ? blocked_of<STEP>(t->blocked, row) : 0;
            if (out == (1u << STEP) - 1) continue;
            const int8_t* block = t->rows + row * 64;
            V even = offset, odd = _mm512_setzero_si512();
#pragma GCC unroll 8
            for (int u = 0; u < 16; u += 2) {
                even = _mm512_dpbusd_epi32(even, _mm512_loadu_si512(block + u * 64), codes[u]);
                odd = _mm512_dpbusd_epi32(odd, _mm512_loadu_si512(block + u * 64 + 64), codes[u + 1]);
            }
            uint32_t above = finish(t, row, _mm512_add_epi32(even, odd), gain, worst_of(best), scores) & ~out;
            for (; __builtin_expect(above != 0, 0); above &= above - 1) {
                const int lane = __builtin_ctz(above);
                offer(best, row + lane, scores[lane], nullptr);
            }
        }
        return;
    }
    for (; count > 1 && row + 2 * STEP <= last; row += 2 * STEP) {
        if (t->blocked && all_blocked<STEP>(t->blocked, row) && all_blocked<STEP>(t->blocked, row + STEP)) continue;
        for (int at = 0; at < count; at += GROUP) {
            V sums[GROUP][2];
            multiply_packed(t->rows + row * units * 4, &q, at, units, sums);
            for (int i = 0; i < GROUP && at + i < count; i++)
                for (int half = 0; half < 2; half++) {
                    const long here = row + half * STEP;
                    uint32_t above = finish(t, here, sums[i][half], gains ? gains[at + i] : 1.f, worst_of(&best[at + i]), scores);
                    for (; __builtin_expect(above != 0, 0); above &= above - 1) {
                        const int lane = __builtin_ctz(above);
                        offer(&best[at + i], here + lane, scores[lane], t->blocked);
                    }
                }
        }
    }
#endif
    for (; row < last; row += STEP) {
        if (t->blocked && all_blocked<STEP>(t->blocked, row)) continue;
        const int8_t* block = t->rows + (row & ~15L) * units * 4;
        for (int i = 0; i < count; i++) {
            uint32_t above = finish(t, row, sums_packed(block, (int)(row & 15), &q, i, units), gains ? gains[i] : 1.f, worst_of(&best[i]), scores);
            for (; __builtin_expect(above != 0, 0); above &= above - 1) {
                const int lane = __builtin_ctz(above);
                offer(&best[i], row + lane, scores[lane], t->blocked);
            }
        }
    }
}
#undef LIST
