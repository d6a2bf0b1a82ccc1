// A run of rows against queries; included in the namespace of each instruction set, once for each kind of score (SCORE).
// There, above() writes the scores of STEP rows and says which are greater than the worst.
static void scan(const Table* t, long first, long last, int d, const int8_t* query, float gain, const Best<SCORE>* best) {
    Query q;
    prepare(query, d, &q);
    SCORE scores[16];
    long row = first;
    for (; row + STEP <= last; row += STEP) {
        if (t->blocked && all_blocked<STEP>(t->blocked, row)) continue;
        uint32_t above = finish(t, row, sums_of(t->rows + row * d, &q, d), gain, best->scores[0], scores);
        for (; __builtin_expect(above != 0, 0); above &= above - 1) {
            const int lane = __builtin_ctz(above);
            offer(best, row + lane, scores[lane], t->blocked);
        }
    }
    for (; row < last; row++) offer(best, row, score_of<SCORE>(t, row, dot_int8(t->rows + row * d, query, d), gain), t->blocked);
}

#if MANY
// Rows are turned once for all queries, so that a register holds the same few values of STEP rows: then a query's sums grow
// side by side, and nothing has to be added across a register.
static void scan_many(const Table* t, long first, long last, int d, const int8_t* queries, int count, const float* gains,
                      const Best<SCORE>* best) {
    Queries q;
    Turned turned;
    SCORE scores[16];
    prepare_many(queries, count, d, &q);
    long row = first;
    for (; row + 2 * STEP <= last; row += 2 * STEP) {
        if (t->blocked && all_blocked<STEP>(t->blocked, row) && all_blocked<STEP>(t->blocked, row + STEP)) continue;
        turn(t->rows + row * d, d, turned.values);
        for (int at = 0; at < count; at += GROUP) {
            V sums[GROUP][2];
            multiply(turned.values, &q, at, d, sums);
            for (int i = 0; i < GROUP && at + i < count; i++)
                for (int half = 0; half < 2; half++) {
                    const long here = row + half * STEP;
                    uint32_t above = finish(t, here, sums[i][half], gains ? gains[at + i] : 1.f, best[at + i].scores[0], scores);
                    for (; __builtin_expect(above != 0, 0); above &= above - 1) {
                        const int lane = __builtin_ctz(above);
                        offer(&best[at + i], here + lane, scores[lane], t->blocked);
                    }
                }
        }
    }
    if (row < last)
        for (int i = 0; i < count; i++) scan(t, row, last, d, queries + (long)i * d, gains ? gains[i] : 1.f, &best[i]);
}
#endif
#undef SCORE
