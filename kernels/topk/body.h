// A run of rows against one query; included once per instruction set, with SUFFIX defined. There, STEP(SUFFIX) is how many
// rows are taken at once, and above_int8 and above_float write their scores and say which are greater than the worst.
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

static void AISLE_JOIN(scan_float, SUFFIX)(const float* table, long first, long last, int d, const float* query,
                                           const uint8_t* blocked, const Best<float>* best) {
    for (long row = first; row < last; row++) {
        const float* r = table + row * d;
        // Sixteen sums side by side: one register at AVX-512, two at AVX2, four at the base.
        float parts[16] = {0};
        int i = 0;
        for (; i + 16 <= d; i += 16)
            for (int k = 0; k < 16; k++) parts[k] += r[i + k] * query[i + k];
        for (int half = 8; half; half /= 2)
            for (int k = 0; k < half; k++) parts[k] += parts[k + half];
        float sum = parts[0];
        for (; i < d; i++) sum += r[i] * query[i];
        if (sum > best->scores[0]) offer(best, row, sum, blocked);
    }
}
#undef STEP
#undef SUFFIX
