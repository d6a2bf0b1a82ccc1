// Distances of int8 codes, sixteen a register; compiled in a namespace of codes.h.

// One query against a step of 16 or 64 codes, in variables of their own: in arrays and structures gcc keeps them in memory.
#define SUMS(i) Lanes a##i = none(), b##i = none(), c##i = none(), d##i = none()
#define ADD(i)                                                                                                      \
    if (QUERIES > i) {                                                                                              \
        const Lanes q = every(queries[i < QUERIES ? i : 0][g]);                                                                       \
        add_products(a##i, q, a);                                                                                   \
        if (TILES == 4) add_products(b##i, q, b), add_products(c##i, q, c), add_products(d##i, q, d);               \
    }
#define LOWER(i)                                                                                                    \
    if (QUERIES > i) {                                                                                              \
        Lanes now = least(load(nearest[i < QUERIES ? i : 0]), without_twice(load(terms + t), a##i));                                  \
        if (TILES == 4) {                                                                                           \
            const Lanes b = without_twice(load(terms + t + 16), b##i), c = without_twice(load(terms + t + 32), c##i); \
            now = least(least(now, b), least(c, without_twice(load(terms + t + 48), d##i)));                        \
        }                                                                                                           \
        store(nearest[i < QUERIES ? i : 0], now);                                                                                     \
    }

// Lowers the running minima of QUERIES queries by the 64 codes of a block. `nearest[i]` points to sixteen of them.
static void lower(const uint32_t* const* queries, const uint32_t* block, const int32_t* terms, long groups, int32_t* const* nearest) {
    for (int t = 0; t < CODES_BLOCK; t += 16 * TILES) {
        SUMS(0); SUMS(1); SUMS(2); SUMS(3); SUMS(4); SUMS(5);
        const uint32_t* codes = block + t;
        for (long g = 0; g < groups; g++, codes += CODES_BLOCK) {
            const Lanes a = load(codes);
            Lanes b = a, c = a, d = a;
            if (TILES == 4) b = load(codes + 16), c = load(codes + 32), d = load(codes + 48);
            ADD(0) ADD(1) ADD(2) ADD(3) ADD(4) ADD(5)
        }
        LOWER(0) LOWER(1) LOWER(2) LOWER(3) LOWER(4) LOWER(5)
    }
}
#undef SUMS
#undef ADD
#undef LOWER

// The whole bank: blocks of 64 codes outside, every query that is still open inside.
static void whole_bank(const Job* j, const Space* s) {
    const int8_t* rows[16];
    long open = j->cells;
    for (long c = 0; c < j->cells; c++) s->open[c] = (int32_t)c;
    for (int part = 0; part < j->parts && open; part++) {
        if (j->skip[part]) continue;
        const int8_t* codes = j->bank + (long)part * j->codes * j->d;
        for (long at = 0; at < j->codes && open; at += CODES_BLOCK) {
            // Lanes beyond the bank repeat its last code: a minimum does not mind.
            for (int t = 0; t < CODES_BLOCK; t += 16) {
                for (int k = 0; k < 16; k++) rows[k] = codes + (at + t + k < j->codes ? at + t + k : j->codes - 1) * j->d;
                lay_codes(rows, j->d, s->laid + t, CODES_BLOCK, s->terms + t);
            }
            for (long i = 0; i < open; i += QUERIES) {
                const uint32_t* queries[QUERIES];
                int32_t* nearest[QUERIES];
                for (int k = 0; k < QUERIES; k++) {
                    const long c = s->open[i + k < open ? i + k : open - 1];
                    queries[k] = s->queries + c * s->groups, nearest[k] = s->nearest + c * 16;
                }
                lower(queries, s->laid, s->terms, s->groups, nearest);
            }
            if (!j->verdict) continue;
            long left = 0;
            for (long i = 0; i < open; i++) {
                const long c = s->open[i];
                if (!at_most(load(s->nearest + c * 16), s->bound[c])) s->open[left++] = (int32_t)c;
            }
            open = left;
        }
    }
}

// Sixteen queries of a row against the same places of a bank's row, `first` lanes to the side, and up to two beside that.
static inline __attribute__((always_inline)) void side_by_side(const uint32_t* queries, long qstride, const uint32_t* row, long stride,
                                                               const int32_t* terms, long groups, const int count, int32_t* nearest) {
    Lanes a = none(), b = a, c = a;
    for (long g = 0; g < groups; g++, queries += qstride, row += stride) {
        const Lanes q = load(queries);
        add_products(a, q, load(row));
        if (count == 3) add_products(b, q, load(row + 1)), add_products(c, q, load(row + 2));
    }
    Lanes now = least(load(nearest), without_twice(load(terms), a));
    if (count == 3) now = least(now, least(without_twice(load(terms + 1), b), without_twice(load(terms + 2), c)));
    store(nearest, now);
}

// The same for three rows and three places: nine sums, none of which waits for itself.
static inline void three_by_three(const uint32_t* queries, long qstride, const uint32_t* row, long stride, const int32_t* terms, long groups,
                           int32_t* nearest) {
    const long next = stride * groups;
    Lanes a0 = none(), a1 = a0, a2 = a0, b0 = a0, b1 = a0, b2 = a0, c0 = a0, c1 = a0, c2 = a0;
    for (long g = 0; g < groups; g++, queries += qstride, row += stride) {
        const Lanes q = load(queries);
        const uint32_t *second = row + next, *third = second + next;
        add_products(a0, q, load(row)), add_products(a1, q, load(row + 1)), add_products(a2, q, load(row + 2));
        add_products(b0, q, load(second)), add_products(b1, q, load(second + 1)), add_products(b2, q, load(second + 2));
        add_products(c0, q, load(third)), add_products(c1, q, load(third + 1)), add_products(c2, q, load(third + 2));
    }
    const int32_t *second = terms + stride, *third = second + stride;
    const Lanes a = least(without_twice(load(terms), a0), least(without_twice(load(terms + 1), a1), without_twice(load(terms + 2), a2)));
    const Lanes b = least(without_twice(load(second), b0), least(without_twice(load(second + 1), b1), without_twice(load(second + 2), b2)));
    const Lanes c = least(without_twice(load(third), c0), least(without_twice(load(third + 1), c1), without_twice(load(third + 2), c2)));
    store(nearest, least(load(nearest), least(a, least(b, c))));
}

// One row of the bank's part, its codes from lane `margin` on; what lies beside it stays as it was made.
static void lay_row(const Job* j, const Space* s, const int8_t* codes, uint32_t* row, int32_t* terms) {
    const int8_t* rows[16];
    for (int x = 0; x < j->w; x += 16) {
        for (int k = 0; k < 16; k++) rows[k] = x + k < j->w ? codes + (long)(x + k) * j->d : s->pad;
        lay_codes(rows, j->d, row + x, s->stride, terms + x);
        for (int k = 0; k < 16; k++)
            if (x + k >= j->w) terms[x + k] = INT32_MAX;
    }
}

// Cells nearby: part by part, each of its rows laid out once, against the rows of queries that reach it.
static void nearby(const Job* j, const Space* s) {
    const long reach = s->reach;
    int open = j->h;
    for (int y = 0; y < j->h; y++) s->open[y] = 1;
    for (int part = 0; part < j->parts && open; part++) {
        if (j->skip[part]) continue;
        for (int y = 0; y < j->h; y++)
            lay_row(j, s, j->bank + ((long)part * j->codes + (long)y * j->w) * j->d, s->laid + y * s->stride * s->groups + s->margin,
                    s->terms + y * s->stride + s->margin);
        for (int y = 0; y < j->h; y++) {
            if (!s->open[y]) continue;
            const int low = y > j->radius ? y - j->radius : 0, high = j->h - 1 - y > j->radius ? y + j->radius : j->h - 1;
            for (int x = 0; x < j->w; x += 16) {
                const uint32_t* queries = s->queries + (long)y * s->groups * s->wide + x;
                int32_t* nearest = s->nearest + (long)y * s->wide + x;
                // Nine sums want the 32 registers of AVX-512.
                int by = low;
                for (; TILES == 4 && by + 2 <= high && reach == 1; by += 3)
                    three_by_three(queries, s->wide, s->laid + by * s->stride * s->groups + s->margin + x - 1, s->stride,
                                   s->terms + by * s->stride + s->margin + x - 1, s->groups, nearest);
                for (; by <= high; by++) {
                    const uint32_t* row = s->laid + by * s->stride * s->groups + s->margin + x;
                    const int32_t* terms = s->terms + by * s->stride + s->margin + x;
                    long first = -reach;
                    for (; first + 2 <= reach; first += 3)
                        side_by_side(queries, s->wide, row + first, s->stride, terms + first, s->groups, 3, nearest);
                    for (; first <= reach; first++)
                        side_by_side(queries, s->wide, row + first, s->stride, terms + first, s->groups, 1, nearest);
                }
            }
            if (!j->verdict) continue;
            int far = 0;
            for (int x = 0; x < j->w; x++) far += s->nearest[(long)y * s->wide + x] > s->bound[(long)y * j->w + x];
            if (!far) s->open[y] = 0, open--;
        }
    }
}

// The queries' side: groups and terms, and what a distance without its query's term may be at most.
static void lay_queries(const Job* j, const Space* s) {
    for (int y = 0; y < j->h; y++)
        for (int x = 0; x < j->w; x++) {
            const long c = (long)y * j->w + x;
            uint32_t* to = j->radius < 0 ? s->queries + c * s->groups : s->queries + (long)y * s->groups * s->wide + x;
            s->query_terms[c] = lay_query(j->query + c * j->d, j->d, to, j->radius < 0 ? 1 : s->wide);
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
