// One place; compiled in a namespace of floats.h.

// Lanes from `first` on, or those below `end`; the others 0, whatever they hold.
FLOATS_INLINE V keep(V value, int first, int end) {
    static const int32_t ones[48] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1, -1,
                                     -1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    VI low, high;
    memcpy(&low, ones + 16 - first, sizeof low);
    memcpy(&high, ones + 32 - end, sizeof high);
    return (V)((VI)value & low & high);
}

// The share of N registers of columns, from `left` on, in |gap @ factor|^2. Sums stay in registers while the rows pass by.
// `columns` is r, or 0 for a packed triangle, whose row j would begin at column 0 j values before it does.
template <int N, class T> FLOATS_INLINE float panel(const float* gap, const T* factor, int d, int columns, int left) {
    const int r = columns ? columns : d, whole = columns ? d : left;
    V sums[N];
#pragma GCC unroll 8
    for (int k = 0; k < N; k++) sums[k] = V{};
    const T* row = factor + left;
    int j = 0;
    if (N <= 2 && columns) {
        // One or two sums would wait for themselves: four rows at once have sums of their own.
        V second[2] = {}, third[2] = {}, fourth[2] = {};
        for (; j + 4 <= d; j += 4, row += 4 * (long)columns)
#pragma GCC unroll 2
            for (int k = 0; k < N && k < 2; k++) {
                sums[k] = times_plus(every(gap[j]), load(row + k * WIDE), sums[k]);
                second[k] = times_plus(every(gap[j + 1]), load(row + columns + k * WIDE), second[k]);
                third[k] = times_plus(every(gap[j + 2]), load(row + 2 * columns + k * WIDE), third[k]);
                fourth[k] = times_plus(every(gap[j + 3]), load(row + 3 * columns + k * WIDE), fourth[k]);
            }
#pragma GCC unroll 2
        for (int k = 0; k < N && k < 2; k++) sums[k] += (second[k] + third[k]) + fourth[k];
    }
    for (; j < whole; j++, row += columns ? columns : d - j) {
        const V by = every(gap[j]);
#pragma GCC unroll 8
        for (int k = 0; k < N; k++) sums[k] = times_plus(by, load(row + k * WIDE), sums[k]);
    }
    for (; j < d && j < left + N * WIDE; j++, row += d - j) {
        const V by = every(gap[j]);
        const int at = j - left;
#pragma GCC unroll 8
        for (int k = 0; k < N; k++) {
            // A register left of the diagonal holds nothing of this row.
            if (at >= (k + 1) * WIDE) continue;
            const V value = load(row + k * WIDE);
            sums[k] = times_plus(by, at > k * WIDE ? keep(value, at - k * WIDE, WIDE) : value, sums[k]);
        }
    }
    const int rest = r - left - (N - 1) * WIDE;
    if (rest < WIDE) sums[N - 1] = keep(sums[N - 1], 0, rest);
    V squares = V{};
#pragma GCC unroll 8
    for (int k = 0; k < N; k++) squares = times_plus(sums[k], sums[k], squares);
    return sum_of(squares);
}

template <class T> FLOATS_INLINE float place(const float* gap, const T* factor, int d, int columns) {
    const int r = columns ? columns : d;
    float sum = 0;
    for (int left = 0; left < r; left += 8 * WIDE) {
        const int registers = (r - left + WIDE - 1) / WIDE;
        switch (registers < 8 ? registers : 8) {
            case 1: sum += panel<1>(gap, factor, d, columns, left); break;
            case 2: sum += panel<2>(gap, factor, d, columns, left); break;
            case 3: sum += panel<3>(gap, factor, d, columns, left); break;
            case 4: sum += panel<4>(gap, factor, d, columns, left); break;
            case 5: sum += panel<5>(gap, factor, d, columns, left); break;
            case 6: sum += panel<6>(gap, factor, d, columns, left); break;
            case 7: sum += panel<7>(gap, factor, d, columns, left); break;
            default: sum += panel<8>(gap, factor, d, columns, left);
        }
    }
    return sum;
}
static float place_float(const float* gap, const float* factor, int d, int columns) { return place(gap, factor, d, columns); }
static float place_half(const float* gap, const uint16_t* factor, int d, int columns) { return place(gap, factor, d, columns); }
