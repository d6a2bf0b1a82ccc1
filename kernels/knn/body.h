// One row of queries against codes; included once per instruction set, with SUFFIX, LANES and DOTS defined.
// DOTS(q, b, qstep, bstep, d, out): LANES dot products of unsigned q (code + 128) with signed b, pair by pair.

// For every x: out[x] = min(out[x], qn[x] + bn[bx] - 2 dot), bx = x + shift where that lies inside the row.
static void AISLE_JOIN(row_shifted, SUFFIX)(const uint8_t* q, const int32_t* qn, const int8_t* b, const int32_t* bn,
                                            int w, int d, int shift, int32_t* out) {
    const int first = shift < 0 ? -shift : 0, last = shift > 0 ? w - shift : w;
    int32_t dots[LANES];
    int x = first;
    for (; x + LANES <= last; x += LANES) {
        DOTS(q + (long)x * d, b + (long)(x + shift) * d, d, d, d, dots);
        for (int i = 0; i < LANES; i++) {
            const int32_t far = qn[x + i] + bn[x + shift + i] - 2 * dots[i];
            out[x + i] = far < out[x + i] ? far : out[x + i];
        }
    }
    // The rest: the last whole group once more, overlapping (a minimum does not mind), else one by one.
    if (x < last && last - first >= LANES) {
        x = last - LANES;
        DOTS(q + (long)x * d, b + (long)(x + shift) * d, d, d, d, dots);
        for (int i = 0; i < LANES; i++) {
            const int32_t far = qn[x + i] + bn[x + shift + i] - 2 * dots[i];
            out[x + i] = far < out[x + i] ? far : out[x + i];
        }
        return;
    }
    for (; x < last; x++) {
        const int32_t far = qn[x] + bn[x + shift] - 2 * dot_one(q + (long)x * d, b + (long)(x + shift) * d, d);
        out[x] = far < out[x] ? far : out[x];
    }
}

// The same against one single code for all x.
static void AISLE_JOIN(row_single, SUFFIX)(const uint8_t* q, const int32_t* qn, const int8_t* b, int32_t bn,
                                           long cells, int d, int32_t* out) {
    int32_t dots[LANES];
    long x = 0;
    for (; x + LANES <= cells; x += LANES) {
        DOTS(q + x * d, b, d, 0, d, dots);
        for (int i = 0; i < LANES; i++) {
            const int32_t far = qn[x + i] + bn - 2 * dots[i];
            out[x + i] = far < out[x + i] ? far : out[x + i];
        }
    }
    for (; x < cells; x++) {
        const int32_t far = qn[x] + bn - 2 * dot_one(q + x * d, b, d);
        out[x] = far < out[x] ? far : out[x];
    }
}

// The query shifted to unsigned, and the two terms of the sum that belong to one side alone.
static void AISLE_JOIN(fill_terms, SUFFIX)(const int8_t* query, const int8_t* bank, long cells, long codes, int d, Terms* t) {
    for (long c = 0; c < cells; c++) {
        int32_t norm = 0;
        for (int i = 0; i < d; i++) {
            const int32_t v = query[c * d + i];
            t->query[c * d + i] = (uint8_t)(v + 128);
            norm += v * v;
        }
        t->query_norm[c] = norm;
    }
    for (long c = 0; c < codes; c++) {
        int32_t norm = 0, sum = 0;
        for (int i = 0; i < d; i++) {
            const int32_t v = bank[c * d + i];
            norm += v * v;
            sum += v;
        }
        t->bank_term[c] = norm + 256 * sum;
    }
}
#undef DOTS
#undef LANES
#undef SUFFIX
