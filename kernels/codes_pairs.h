// Two values a group, as int16: what multiplies and adds pairs everywhere. Included by codes.h in a namespace.
static int32_t lay_query(const int8_t* q, int d, uint32_t* groups, long stride) {
    int32_t term = 0;
    for (int i = 0; i < d; i++) term += q[i] * q[i];
    for (int i = 0; i < d; i += 2) {
        const int16_t pair[2] = {q[i], (int16_t)(i + 1 < d ? q[i + 1] : 0)};
        memcpy(groups + i / 2 * stride, pair, 4);
    }
    return term;
}

// Sixteen codes: group g of code k goes to to[g * stride + k], its |b|^2 to terms[k].
static void lay_codes(const int8_t* const* codes, int d, uint32_t* to, long stride, int32_t* terms) {
    for (int k = 0; k < 16; k++) terms[k] = lay_query(codes[k], d, to + k, stride);
}
