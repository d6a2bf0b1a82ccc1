// The two passes; included once per instruction set, with SUFFIX defined. `line` holds one blended row, 8 floats spare.
static void AISLE_JOIN(resize, SUFFIX)(const Job* j, const Taps* rows, const Taps* columns, float* __restrict__ line) {
    const long n = 3L * j->width;
    const long plane = (long)j->out_h * j->out_w;
    for (int y = 0; y < j->h; y++) {
        const uint8_t* __restrict__ source = j->image + rows->first[y] * n;
        const float* weight = rows->weight + (long)y * rows->most;
        for (long i = 0; i < n; i++) line[i] = weight[0] * source[i];
        for (int k = 1; k < rows->count[y]; k++) {
            const uint8_t* __restrict__ next = source + k * n;
            const float share = weight[k];
            for (long i = 0; i < n; i++) line[i] += share * next[i];
        }
        float* at = j->out + (long)(y + j->top) * j->out_w + j->left;
        for (int x = 0; x < j->w; x++) {
            const float* pixel = line + 3L * columns->first[x];
            const float* share = columns->weight + (long)x * columns->most;
            float4 sum = {0, 0, 0, 0};
            for (int k = 0; k < columns->count[x]; k++) sum += *(const float4u*)(pixel + 3 * k) * share[k];
            for (int c = 0; c < 3; c++) at[c * plane + x] = sum[j->swap ? 2 - c : c] * j->scale[c] + j->bias[c];
        }
    }
}
#undef SUFFIX
