// Distances of int8 codes, sixteen a register; compiled in a namespace of codes.h.

// One query against a step of 16 to 64 codes, in variables of their own: in arrays and structures gcc keeps them in memory.
#define SUMS(i) Lanes a##i = a, b##i = b, c##i = c, d##i = d
#define ADD(i)                                                                                                      \
    if (QUERIES > i) {                                                                                              \
        const Lanes q = every(queries[i < QUERIES ? i : 0][g]);                                                     \
        add_products(a##i, q, a);                                                                                   \
        if (N >= 2) add_products(b##i, q, b);                                                                       \
        if (N == 4) add_products(c##i, q, c), add_products(d##i, q, d);                                             \
    }
#define RAISE(i)                                                                                                    \
    if (QUERIES > i) {                                                                                              \
        Lanes now = most(load(best[i < QUERIES ? i : 0]), a##i);                                                    \
        if (N >= 2) now = most(now, b##i);                                                                          \
        if (N == 4) now = most(now, most(c##i, d##i));                                                              \
        store(best[i < QUERIES ? i : 0], now);                                                                      \
    }

// Raises the running maxima of QUERIES queries by N times sixteen codes of a block. `best[i]` points to sixteen of them. Sums
// begin at the codes' terms, so that nothing is left to do at the end but the maximum.
template <int N> static __attribute__((noinline)) void raise(const uint32_t* const* queries, const uint32_t* codes, const int32_t* terms, long groups,
                                          int32_t* const* best) {
    Lanes a = load(terms), b = a, c = a, d = a;
    if (N >= 2) b = load(terms + 16);
    if (N == 4) c = load(terms + 32), d = load(terms + 48);
    SUMS(0); SUMS(1); SUMS(2); SUMS(3); SUMS(4); SUMS(5);
    for (long g = 0; g < groups; g++, codes += CODES_BLOCK) {
        a = load(codes);
        if (N >= 2) b = load(codes + 16);
        if (N == 4) c = load(codes + 32), d = load(codes + 48);
        ADD(0) ADD(1) ADD(2) ADD(3) ADD(4) ADD(5)
    }
    RAISE(0) RAISE(1) RAISE(2) RAISE(3) RAISE(4) RAISE(5)
}
#undef SUMS
#undef ADD
#undef RAISE

// The `count` codes of one block against every query that is still open; gives how many are then.
static long whole_block(const Job* j, const Space* s, const uint32_t* block, const int32_t* terms, long count, int odd, long open) {
    int32_t* best = s->best + odd * j->cells * 16;
    for (long i = 0; i < open; i += QUERIES) {
        const uint32_t* queries[QUERIES];
        int32_t* mine[QUERIES];
        for (int k = 0; k < QUERIES; k++) {
            const long c = s->open[i + k < open ? i + k : open - 1];
            queries[k] = s->queries + c * s->groups, mine[k] = best + c * 16;
        }
        for (long t = 0; t < count;) {
            if (TILES == 4 && count - t > 48) raise<TILES>(queries, block + t, terms + t, s->groups, mine), t += 64;
            else if (TILES == 4 && count - t > 16) raise<TILES / 2 + !(TILES / 2)>(queries, block + t, terms + t, s->groups, mine), t += 32;
            else raise<1>(queries, block + t, terms + t, s->groups, mine), t += 16;
        }
    }
    if (!j->verdict) return open;
    long left = 0;
    for (long i = 0; i < open; i++) {
        const long c = s->open[i];
        // odd - 2 m <= bound says the same as m > (odd - bound - 1) / 2, rounded down.
        if (!any_above(load(best + c * 16), (int32_t)(((int64_t)odd - s->bound[c] - 1) >> 1))) s->open[left++] = (int32_t)c;
    }
    return left;
}

// Up to 64 codes whose |b|^2 are all even or all odd; lanes beyond them repeat the last one: a maximum does not mind.
static void lay_block(const int8_t* const* codes, int count, int d, uint32_t* block, int32_t* terms) {
    const int8_t* rows[16];
    for (int t = 0; t < CODES_BLOCK; t += 16) {
        for (int k = 0; k < 16; k++) rows[k] = codes[t + k < count ? t + k : count - 1];
        lay_codes(rows, d, block + t, CODES_BLOCK, terms + t);
    }
    for (int k = 0; k < CODES_BLOCK; k++) terms[k] = -(terms[k] >> 1);
}

static void lay_whole(const Job* j, const Laid* laid) {
    const int8_t* codes[2][CODES_BLOCK];
    int count[2] = {0, 0};
    long at[2] = {0, blocks_of(laid->count[0])};
    const long all = j->parts * j->codes;
    for (long c = 0; c <= all; c++) {
        const int odd = c < all ? odd_code(j->bank + c * j->d, j->d) : 0;
        if (c < all) codes[odd][count[odd]++] = j->bank + c * j->d;
        for (int p = 0; p < 2; p++) {
            if (count[p] < (c < all ? CODES_BLOCK : 1)) continue;
            lay_block(codes[p], count[p], j->d, laid->codes + at[p] * CODES_BLOCK * laid->groups, laid->terms + at[p] * CODES_BLOCK);
            at[p]++, count[p] = 0;
        }
    }
}

// Blocks of the codes as they come, even ones and odd ones apart, each laid out once and met by every open query.
static void whole_plain(const Job* j, const Space* s, long open) {
    const int8_t* codes[2][CODES_BLOCK];
    int count[2] = {0, 0};
    for (int part = 0; part <= j->parts; part++) {
        const int last = part == j->parts;
        if (!last && j->skip[part]) continue;
        for (long c = 0; c < (last ? 1 : j->codes) && open; c++) {
            const int8_t* code = j->bank + ((long)part * j->codes + c) * j->d;
            const int odd = last ? 0 : odd_code(code, j->d);
            if (!last) codes[odd][count[odd]++] = code;
            for (int p = 0; p < 2 && open; p++) {
                if (count[p] < (last ? 1 : CODES_BLOCK)) continue;
                lay_block(codes[p], count[p], j->d, s->laid, s->terms);
                open = whole_block(j, s, s->laid, s->terms, count[p], p, open);
                count[p] = 0;
            }
        }
    }
}

static void whole_bank(const Job* j, const Space* s) {
    long open = j->cells;
    for (long c = 0; c < j->cells; c++) s->open[c] = (int32_t)c;
    if (!j->laid) {
        whole_plain(j, s, open);
        return;
    }
    const Laid* laid = j->laid;
    const uint32_t* block = laid->codes;
    const int32_t* terms = laid->terms;
    for (int odd = 0; odd < 2; odd++)
        for (long left = laid->count[odd]; left > 0 && open; left -= CODES_BLOCK) {
            open = whole_block(j, s, block, terms, left < CODES_BLOCK ? left : CODES_BLOCK, odd, open);
            block += CODES_BLOCK * s->groups, terms += CODES_BLOCK;
        }
}

// Three rows of the bank, sixteen lanes of each, against sixteen queries of a row: the minima of those queries.
static void three_rows(const uint32_t* queries, long stride, const uint32_t* const* rows, const int32_t* const* terms, long wide,
                       long groups, int32_t* nearest) {
    const uint32_t *first = rows[0], *second = rows[1], *third = rows[2];
    Lanes a = none(), b = a, c = a;
    for (long g = 0; g < groups; g++, queries += stride, first += wide, second += wide, third += wide) {
        const Lanes q = load(queries);
        add_products(a, q, load(first)), add_products(b, q, load(second)), add_products(c, q, load(third));
    }
    const Lanes now = least(load(nearest), without_twice(load(terms[0]), a));
    store(nearest, least(now, least(without_twice(load(terms[1]), b), without_twice(load(terms[2]), c))));
}

// Two rows of queries, each one cell to the left, at the place and to the right, against the three rows of the bank around
// each: eighteen sums, which take the 32 registers of AVX-512. `nearest` is a plane a shift.
static void two_by_three(const uint32_t* upper, const uint32_t* lower, long stride, const uint32_t* const* rows,
                         const int32_t* const* terms, long wide, long groups, int32_t* nearest, long row, long plane) {
    const uint32_t *r0 = rows[0], *r1 = rows[1], *r2 = rows[2], *r3 = rows[3];
#define SUMS(s) Lanes a##s = none(), b##s = a##s, c##s = a##s, d##s = a##s, e##s = a##s, f##s = a##s
#define ADD(s)                                                                       \
    {                                                                                \
        const Lanes q = load(upper + s - 1);                                         \
        add_products(a##s, q, v), add_products(b##s, q, w), add_products(c##s, q, x); \
    }                                                                                \
    {                                                                                \
        const Lanes q = load(lower + s - 1);                                         \
        add_products(d##s, q, w), add_products(e##s, q, x), add_products(f##s, q, y); \
    }
#define LOWER(s)                                                                                                              \
    store(nearest + s * plane, least(least(load(nearest + s * plane), without_twice(v, a##s)),                                \
                                     least(without_twice(w, b##s), without_twice(x, c##s))));                                  \
    store(nearest + s * plane + row, least(least(load(nearest + s * plane + row), without_twice(w, d##s)),                     \
                                           least(without_twice(x, e##s), without_twice(y, f##s))));
    SUMS(0); SUMS(1); SUMS(2);
    for (long g = 0; g < groups; g++, upper += stride, lower += stride, r0 += wide, r1 += wide, r2 += wide, r3 += wide) {
        const Lanes v = load(r0), w = load(r1), x = load(r2), y = load(r3);
        ADD(0) ADD(1) ADD(2)
    }
    const Lanes v = load(terms[0]), w = load(terms[1]), x = load(terms[2]), y = load(terms[3]);
    LOWER(0) LOWER(1) LOWER(2)
#undef SUMS
#undef ADD
#undef LOWER
}

// One row of a part. Lanes beyond it are infinitely far.
static void lay_row(const Job* j, const Space* s, const int8_t* codes, uint32_t* row, int32_t* terms) {
    const int8_t* rows[16];
    for (int x = 0; x < j->w; x += 16) {
        for (int k = 0; k < 16; k++) rows[k] = x + k < j->w ? codes + (long)(x + k) * j->d : s->pad;
        lay_codes(rows, j->d, row + x, s->wide, terms + x);
        for (int k = 0; k < 16; k++)
            if (x + k >= j->w) terms[x + k] = INT32_MAX;
    }
}

// Rows y and y + 1 of the queries against one part; a row of the bank that does not exist is empty and infinitely far.
static void pair_of_rows(const Job* j, const Space* s, const uint32_t* codes, const int32_t* terms, int y) {
    const long size = s->groups * s->wide, query_size = s->groups * s->stride;
    const uint32_t* rows[4];
    const int32_t* far[4];
    for (int k = 0; k < 4; k++) {
        const int by = y - 1 + k, there = by >= 0 && by < j->h;
        rows[k] = there ? codes + by * size : s->empty, far[k] = there ? terms + by * s->wide : s->beyond;
    }
    const uint32_t* queries = s->queries + y * query_size + s->margin;
    int32_t* nearest = s->best + y * s->stride + s->margin;
    for (long x = 0; x < j->w; x += 16) {
        const uint32_t* at[4] = {rows[0] + x, rows[1] + x, rows[2] + x, rows[3] + x};
        const int32_t* term[4] = {far[0] + x, far[1] + x, far[2] + x, far[3] + x};
        two_by_three(queries + x, queries + query_size + x, s->stride, at, term, s->wide, s->groups, nearest + x, s->stride,
                     (j->h + 1) * s->stride);
    }
}

// One row of queries against the rows of a part that reach it.
static void any_row(const Job* j, const Space* s, const uint32_t* codes, const int32_t* terms, int y) {
    const int low = y > j->radius ? y - j->radius : 0, high = j->h - 1 - y > j->radius ? y + j->radius : j->h - 1;
    const uint32_t* queries = s->queries + y * s->groups * s->stride + s->margin;
    int32_t* nearest = s->best + y * s->stride + s->margin;
    for (int by = low; by <= high; by += 3) {
        for (long shift = -s->reach; shift <= s->reach; shift++)
            for (long x = 0; x < j->w; x += 16) {
                const uint32_t* rows[3];
                const int32_t* far[3];
                for (int k = 0; k < 3; k++) {
                    const int there = by + k <= high;
                    rows[k] = there ? codes + (by + k) * s->groups * s->wide + x : s->empty;
                    far[k] = there ? terms + (by + k) * s->wide + x : s->beyond;
                }
                three_rows(queries + x + shift, s->stride, rows, far, s->wide, s->groups, nearest + x + shift);
            }
    }
}

static int row_done(const Job* j, const Space* s, int y) {
    int far = 0;
    for (long c = (long)y * j->w; c < (y + 1L) * j->w; c++) far += nearest_of(j, s, c) > s->bound[c];
    return !far;
}

// Cells nearby: part by part, its rows laid out once, against the rows of queries that are still open.
static void nearby(const Job* j, const Space* s) {
    int open = j->h;
    const long size = s->groups * s->wide;
    for (int y = 0; y < j->h; y++) s->open[y] = 1;
    for (int part = 0; part < j->parts && open; part++) {
        if (j->skip[part]) continue;
        const uint32_t* codes = j->laid ? j->laid->codes + part * j->h * size : s->laid;
        const int32_t* terms = j->laid ? j->laid->terms + (long)part * j->h * s->wide : s->terms;
        for (int y = 0; !j->laid && y < j->h; y++)
            lay_row(j, s, j->bank + ((long)part * j->codes + (long)y * j->w) * j->d, s->laid + y * size, s->terms + y * s->wide);
        for (int y = 0; y < j->h; y += s->planes == 3 ? 2 : 1) {
            const int both = s->planes == 3 && y + 1 < j->h;
            if (!s->open[y] && !(both && s->open[y + 1])) continue;
            if (s->planes == 3) pair_of_rows(j, s, codes, terms, y);
            else any_row(j, s, codes, terms, y);
            for (int k = y; j->verdict && k <= y + both; k++)
                if (s->open[k] && row_done(j, s, k)) s->open[k] = 0, open--;
        }
    }
}

// The queries' side: groups and terms, and what a distance without its query's term may be at most.
static void lay_queries(const Job* j, const Space* s) {
    for (int y = 0; y < j->h; y++)
        for (int x = 0; x < j->w; x++) {
            const long c = (long)y * j->w + x;
            const int8_t* query = j->query + c * j->d;
            const long at = j->radius < 0 ? c * s->groups : (long)y * s->groups * s->stride + s->margin + x;
            s->query_terms[c] = s->as_given ? query_term(query, j->d)
                                            : lay_query(query, j->d, s->room_of_queries + at, j->radius < 0 ? 1 : s->stride);
            const int64_t most = (int64_t)j->most - s->query_terms[c];
            s->bound[c] = (int32_t)(most > INT32_MAX - 1 ? INT32_MAX - 1 : most < INT32_MIN ? INT32_MIN : most);
        }
}

// Squared distances of one query to `count` codes one after the other.
static void run_codes(const int8_t* q, const int8_t* codes, long count, int d, int32_t* out) {
    for (long c = 0; c < count; c++, codes += d) {
        int32_t sum = 0;
        for (int i = 0; i < d; i++) {
            const int16_t gap = (int16_t)(q[i] - codes[i]);
            sum += (int32_t)gap * gap;
        }
        out[c] = sum;
    }
}
