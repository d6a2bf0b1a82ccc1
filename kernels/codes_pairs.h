// Two values a group, as int16: what multiplies and adds pairs everywhere. Included by codes.h in a namespace.
static int32_t query_term(const int8_t* q, int d) {
    int32_t term = 0;
    for (int i = 0; i < d; i++) term += q[i] * q[i];
    return term;
}

static int32_t lay_query(const int8_t* q, int d, uint32_t* groups, long stride) {
    for (int i = 0; i < d; i += 2) {
        const int16_t pair[2] = {q[i], (int16_t)(i + 1 < d ? q[i + 1] : 0)};
        memcpy(groups + i / 2 * stride, pair, 4);
    }
    return query_term(q, d);
}

// Sixteen codes: group g of code k goes to to[g * stride + k], its |b|^2 to terms[k].
static void lay_codes(const int8_t* const* codes, int d, uint32_t* to, long stride, int32_t* terms) {
    alignas(64) int16_t rows[16][64];
    for (int k = 0; k < 16; k++) terms[k] = 0;
    for (int at = 0; at < d; at += 64) {
        const int left = d - at < 64 ? d - at : 64;
        for (int k = 0; k < 16; k++) {
            int32_t term = 0;
            for (int i = 0; i < left; i++) rows[k][i] = codes[k][at + i];
            for (int i = left; i < 64; i++) rows[k][i] = 0;
            for (int i = 0; i < 64; i++) term += rows[k][i] * rows[k][i];
            terms[k] += term;
        }
        columns_of(rows, 32, (left + 1) / 2, to + at / 2 * stride, stride);
    }
}
