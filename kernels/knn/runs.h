// Squared distances of one float query to `count` codes one after the other; compiled in a namespace of floats.h.
static void run_floats(const float* q, const float* codes, long count, int d, float* out) {
    for (long c = 0; c < count; c++, codes += d) {
        V even = V{}, odd = V{};
        int i = 0;
        for (; i + 2 * WIDE <= d; i += 2 * WIDE) {
            const V a = load(q + i) - load(codes + i), b = load(q + i + WIDE) - load(codes + i + WIDE);
            even = times_plus(a, a, even), odd = times_plus(b, b, odd);
        }
        float sum = sum_of(even + odd);
        for (; i < d; i++) sum += (q[i] - codes[i]) * (q[i] - codes[i]);
        out[c] = sum;
    }
}
