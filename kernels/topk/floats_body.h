// A run of float rows against one query; compiled in a namespace of floats.h.
static void scan_float(const Floats* t, long first, long last, int d, const float* query, float gain, const Best<float>* best) {
    for (long row = first; row < last; row++) {
        if (t->blocked && !(row & 7) && t->blocked[row >> 3] == 0xFF) {    // eight rows at once
            row += 7;
            continue;
        }
        const float* r = t->rows + row * d;
        V even = V{}, odd = V{};
        int i = 0;
        for (; i + 2 * WIDE <= d; i += 2 * WIDE) {
            even = times_plus(load(r + i), load(query + i), even);
            odd = times_plus(load(r + i + WIDE), load(query + i + WIDE), odd);
        }
        float sum = sum_of(even + odd);
        for (; i < d; i++) sum += r[i] * query[i];
        const float score = weighed(sum, t->scale, t->bias, row, gain);
        if (__builtin_expect(score > best->scores[0], 0)) offer(best, row, score, t->blocked);
    }
}
