// Float rows against one query; compiled in a namespace of floats.h.
static inline float dot(const float* r, const float* query, int d) {
    V even = V{}, odd = V{};
    int i = 0;
    for (; i + 2 * WIDE <= d; i += 2 * WIDE) {
        even = times_plus(load(r + i), load(query + i), even);
        odd = times_plus(load(r + i + WIDE), load(query + i + WIDE), odd);
    }
    float sum = sum_of(even + odd);
    for (; i < d; i++) sum += r[i] * query[i];
    return sum;
}

// A run of rows.
static void scan_float(const Floats* t, long first, long last, int d, const float* query, float gain, const Best<float>* best) {
    for (long row = first; row < last; row++) {
        if (t->blocked && !(row & 7) && t->blocked[row >> 3] == 0xFF) {    // eight rows at once
            row += 7;
            continue;
        }
        const float score = weighed(dot(t->rows + row * d, query, d), t->scale, t->bias, row, gain);
        if (__builtin_expect(score > best->scores[0], 0)) offer(best, row, score, t->blocked);
    }
}

// The scores of some rows in place of those they have. They lie far apart, so that the next ones are asked for early.
static void settle(const Floats* t, uint64_t* keys, long count, int d, const float* query) {
    for (long i = 0; i < count; i++) {
        if (i + 8 < count) {
            const char* next = (const char*)(t->rows + (long)id_of(keys[i + 8]) * d);
            for (int at = 0; at < 4 * d && at < 512; at += 64) __builtin_prefetch(next + at);
        }
        const int32_t id = id_of(keys[i]);
        const float score = weighed(dot(t->rows + (long)id * d, query, d), nullptr, t->bias, id, 1.f);
        keys[i] = score > -INFINITY ? key_of(score, id) : 0;
    }
}
