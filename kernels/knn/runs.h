// Squared distances of float queries to codes; compiled in a namespace of floats.h.

// One query to `count` codes one after the other.
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

// As many sums as the registers hold, 32 with AVX-512 and NEON: each load of codes serves QUERIES queries.
#if defined(__aarch64__)
enum { QUERIES = 5, TILES = 4 };
#else
enum { QUERIES = WIDE == 16 ? 6 : 4, TILES = WIDE == 16 ? 4 : 2 };
#endif

// QUERIES queries to a block of 64 codes, whose values lie code beside code: out[64 * query + code]. Every 128 values the sums
// are added to those before, so that rounding does not grow with the depth.
static void meet(const float* const* queries, const float* block, int d, float* out) {
    for (int t = 0; t < 64; t += TILES * WIDE)
        for (int at = 0; at < d; at += 128) {
            const int end = d - at < 128 ? d : at + 128;
            V sums[QUERIES][TILES];
#pragma GCC unroll 8
            for (int k = 0; k < QUERIES; k++)
#pragma GCC unroll 8
                for (int i = 0; i < TILES; i++) sums[k][i] = at ? load(out + 64 * k + t + i * WIDE) : V{};
            for (int g = at; g < end; g++) {
                V codes[TILES];
#pragma GCC unroll 8
                for (int i = 0; i < TILES; i++) codes[i] = load(block + 64 * (long)g + t + i * WIDE);
#pragma GCC unroll 8
                for (int k = 0; k < QUERIES; k++) {
                    const V q = every(queries[k][g]);
#pragma GCC unroll 8
                    for (int i = 0; i < TILES; i++) sums[k][i] = times_plus(q - codes[i], q - codes[i], sums[k][i]);
                }
            }
#pragma GCC unroll 8
            for (int k = 0; k < QUERIES; k++)
#pragma GCC unroll 8
                for (int i = 0; i < TILES; i++) memcpy(out + 64 * k + t + i * WIDE, &sums[k][i], sizeof(V));
        }
}

// Up to 64 codes code beside code; lanes beyond them repeat the last one.
template <class T> FLOATS_INLINE void beside(const T* codes, long count, int d, float* block) {
    alignas(64) float rows[16][64];
    for (int t = 0; t < 64; t += 16)
        for (int at = 0; at < d; at += 64) {
            const int left = d - at < 64 ? d - at : 64;
            for (int k = 0; k < 16; k++) {
                const T* from = codes + (t + k < count ? t + k : count - 1) * d + at;
                int i = 0;
                for (; i + WIDE <= left; i += WIDE) {
                    const V v = load(from + i);
                    memcpy(rows[k] + i, &v, sizeof v);
                }
                for (; i < left; i++) rows[k][i] = value_of(from[i]);
            }
            columns_of(rows, 64, left, (uint32_t*)block + 64 * (long)at + t, 64);
        }
}
static void beside_floats(const float* codes, long count, int d, float* block) { beside(codes, count, d, block); }
static void beside_halves(const uint16_t* codes, long count, int d, float* block) { beside(codes, count, d, block); }

static bool any_below(const float* far, long count, float bound) {
    int below = 0;
    for (long i = 0; i < count; i++) below |= far[i] < bound;
    return below;
}
