// One pass over all codes for one new centre; compiled in a namespace of codes.h.

static void lay_all(const int8_t* codes, long n, int d, uint32_t* tiles, int32_t* terms) {
    const long groups = (d + PER_GROUP - 1) / PER_GROUP;
    for (long at = 0; at < n; at += 16) {
        // The last lanes repeat the last code; nobody reads them.
        const int8_t* rows[16];
        for (int k = 0; k < 16; k++) rows[k] = codes + (at + k < n ? at + k : n - 1) * d;
        lay_codes(rows, d, tiles + at / CODES_BLOCK * groups * CODES_BLOCK + at % CODES_BLOCK, CODES_BLOCK, terms + at);
    }
}

// Lowers `far` to the distance from the new centre and returns the first code that is furthest then.
static long take_centre(const Space* s, long n, int d, const int8_t* centre, int32_t* furthest) {
    const long groups = (d + PER_GROUP - 1) / PER_GROUP;
    const Lanes start = every((uint32_t)lay_query(centre, d, s->query, 1));
    int32_t most = -2;
    long where = 0;
    for (long at = 0; at < n; at += CODES_BLOCK) {
        const uint32_t* tile = s->tiles + at * groups;
        Lanes sums[4] = {none(), none(), none(), none()};
        for (long g = 0; g < groups; g++) {
            const Lanes q = every(s->query[g]);
#pragma GCC unroll 4
            for (int t = 0; t < 4; t++) add_products(sums[t], q, load(tile + g * CODES_BLOCK + 16 * t));
        }
#pragma GCC unroll 4
        for (int t = 0; t < 4; t++) {
            const Lanes now = plus(without_twice(load(s->terms + at + 16 * t), sums[t]), start);
            const Lanes far = least(load(s->far + at + 16 * t), now);
            store(s->far + at + 16 * t, far);
            if (__builtin_expect(!any_above(far, most), 1)) continue;
            for (int k = 0; k < 16; k++)
                if (s->far[at + 16 * t + k] > most) most = s->far[at + 16 * t + k], where = at + 16 * t + k;
        }
    }
    *furthest = most;
    return where;
}
