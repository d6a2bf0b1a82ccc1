// Included once per instruction set, with SUFFIX and ISA (0, 2, 4 as aisle_level) defined.
#define FN(name) AISLE_JOIN(name, SUFFIX)

// One bit a cell: whether it is above the bound. Bits past the row's end are 0.
static void FN(above)(const float* row, int w, float bound, uint64_t* mask) {
    for (int word = 0; 64 * word < w; word++) {
        const float* at = row + 64 * word;
        const int cells = w - 64 * word < 64 ? w - 64 * word : 64;
        uint64_t bits = 0;
        int i = 0;
#if ISA >= 4
        for (; i + 16 <= cells; i += 16)
            bits |= (uint64_t)_mm512_cmp_ps_mask(_mm512_loadu_ps(at + i), _mm512_set1_ps(bound), _CMP_GT_OQ) << i;
#elif ISA >= 2
        for (; i + 8 <= cells; i += 8)
            bits |= (uint64_t)_mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(at + i), _mm256_set1_ps(bound), _CMP_GT_OQ)) << i;
#elif AISLE_X86
        for (; i + 4 <= cells; i += 4)
            bits |= (uint64_t)_mm_movemask_ps(_mm_cmpgt_ps(_mm_loadu_ps(at + i), _mm_set1_ps(bound))) << i;
#endif
        for (; i < cells; i++) bits |= (uint64_t)(at[i] > bound) << i;
        mask[word] = bits;
    }
}

// Enter a row's cells that are higher than the lowest of the highest so far.
static void FN(climb)(Fused* f, const float* row, uint64_t* mask) {
    int x = 0;
    for (; x < f->out_w && f->held < f->count; x++) heat_push(f->best, &f->held, f->count, row[x]);
    if (x == f->out_w) return;
    row += x;
    FN(above)(row, f->out_w - x, f->best[0], mask);
    for (int word = 0; 64 * word < f->out_w - x; word++)
        for (uint64_t bits = mask[word]; bits; bits &= bits - 1)
            heat_push(f->best, &f->held, f->count, row[64 * word + __builtin_ctzll(bits)]);
}

// Grow the widened map down its columns, one row at a time while it is in the cache. -1 without memory.
static int FN(look)(Fused* f, Labels* labels) {
    for (int y = 0; y < f->out_h; y++) {
        int y0, y1;
        float part;
        heat_tap(y, f->h, f->out_h, &y0, &y1, &part);
        const float *__restrict__ a = f->wide + (long)y0 * f->out_w, *__restrict__ b = f->wide + (long)y1 * f->out_w;
        float* __restrict__ row = f->out + (long)y * f->out_w;
        for (int x = 0; x < f->out_w; x++) row[x] = a[x] + part * (b[x] - a[x]);
        FN(climb)(f, row, labels->mask);
        FN(above)(row, f->out_w, f->threshold, labels->mask);
        if (heat_row(labels, row, y, f->out_w)) return -1;
    }
    return 0;
}
#undef FN
#undef SUFFIX
#undef ISA
