// One place; included once per instruction set, with SUFFIX defined. There, WIDE values of a row are added at once.

// sums[0..count) += times * row; up to WIDE - 1 beyond `count` may be read and added too.
static inline void AISLE_JOIN(add_row, SUFFIX)(float* sums, const float* row, float times, int count) {
    for (int i = 0; i < count; i += WIDE)
        for (int k = 0; k < WIDE; k++) sums[i + k] += times * row[i + k];
}

// Squared length of gap @ factor. `columns` is r, or 0 for a packed triangle. `last`: nothing may be read beyond it.
#define PLACE(NAME, TYPE, VALUE)                                                                                    \
    static float AISLE_JOIN(NAME, SUFFIX)(const float* gap, const TYPE* factor, int d, int columns, int last, float* sums) { \
        const int r = columns ? columns : d;                                                                        \
        for (int i = 0; i < r + 16; i++) sums[i] = 0;                                                               \
        const TYPE* end = factor + (columns ? (long)d * r : (long)d * (d + 1) / 2);                                 \
        for (int j = 0; j < d; j++) {                                                                               \
            const int first = columns ? 0 : j, count = r - first;                                                   \
            if (last && end - factor < ((count + 15) & ~15))                                                        \
                for (int i = 0; i < count; i++) sums[first + i] += gap[j] * VALUE(factor[i]);                       \
            else                                                                                                    \
                AISLE_JOIN(add_row, SUFFIX)(sums + first, factor, gap[j], count);                                   \
            factor += count;                                                                                        \
        }                                                                                                           \
        float parts[8] = {0};                                                                                       \
        for (int i = r; i < r + 16; i++) sums[i] = 0;                                                               \
        for (int i = 0; i < r; i += 8)                                                                              \
            for (int k = 0; k < 8; k++) parts[k] += sums[i + k] * sums[i + k];                                      \
        return ((parts[0] + parts[4]) + (parts[1] + parts[5])) + ((parts[2] + parts[6]) + (parts[3] + parts[7]));   \
    }
#define FLOAT(x) (x)
PLACE(place_float, float, FLOAT)
PLACE(place_half, uint16_t, from_half)
#undef FLOAT
#undef PLACE
#undef WIDE
#undef SUFFIX
