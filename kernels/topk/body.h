// A run of rows against one query; included once per instruction set, with SUFFIX defined. There, STEP(SUFFIX) is how many
// rows are taken at once, and above_int8 writes their scores and says which are greater than the worst.
static void AISLE_JOIN(scan_int8, SUFFIX)(const int8_t* table, long first, long last, int d, const int8_t* query,
                                          const uint8_t* blocked, const Best<int32_t>* best) {
    Query<MAX_DEPTH> q;
    AISLE_JOIN(prepare, SUFFIX)(query, d, &q);
    int32_t scores[16];
    long row = first;
    for (; row + STEP <= last; row += STEP) {
        uint32_t above = AISLE_JOIN(above_int8, SUFFIX)(table + row * d, &q, d, best->scores[0], scores);
        for (; __builtin_expect(above != 0, 0); above &= above - 1) {
            const int lane = __builtin_ctz(above);
            offer(best, row + lane, scores[lane], blocked);
        }
    }
    for (; row < last; row++) offer(best, row, dot_int8(table + row * d, query, d), blocked);
}
#undef STEP
#undef SUFFIX
