// A run of float rows against one query; compiled in a namespace of floats.h.
static void scan_float(const float* table, long first, long last, int d, const float* query, const uint8_t* blocked,
                       const Best<float>* best) {
    for (long row = first; row < last; row++) {
        const float* r = table + row * d;
        V even = V{}, odd = V{};
        int i = 0;
        for (; i + 2 * WIDE <= d; i += 2 * WIDE) {
            even = times_plus(load(r + i), load(query + i), even);
            odd = times_plus(load(r + i + WIDE), load(query + i + WIDE), odd);
        }
        float sum = sum_of(even + odd);
        for (; i < d; i++) sum += r[i] * query[i];
        if (__builtin_expect(sum > best->scores[0], 0)) offer(best, row, sum, blocked);
    }
}
