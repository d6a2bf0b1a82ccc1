// Rows become columns, four by four in registers of the compiler's own vectors.
#pragma once
#include <stdint.h>
#include <string.h>

typedef uint32_t column_four __attribute__((vector_size(16)));

// Sixteen rows of 32-bit groups, `pitch` apart: group g of row k goes to to[g * stride + k]. Rows are read up to a multiple
// of four groups.
static inline void columns_of(const void* from, long pitch, int groups, uint32_t* to, long stride) {
    const uint32_t* rows = (const uint32_t*)from;
    for (int g = 0; g < groups; g += 4)
        for (int k = 0; k < 16; k += 4) {
            column_four r[4], c[4];
            for (int i = 0; i < 4; i++) memcpy(&r[i], rows + (k + i) * pitch + g, 16);
            const column_four low = {0, 4, 1, 5}, high = {2, 6, 3, 7}, front = {0, 1, 4, 5}, back = {2, 3, 6, 7};
            const column_four a = __builtin_shuffle(r[0], r[1], low), b = __builtin_shuffle(r[2], r[3], low);
            const column_four e = __builtin_shuffle(r[0], r[1], high), f = __builtin_shuffle(r[2], r[3], high);
            c[0] = __builtin_shuffle(a, b, front), c[1] = __builtin_shuffle(a, b, back);
            c[2] = __builtin_shuffle(e, f, front), c[3] = __builtin_shuffle(e, f, back);
            for (int i = 0; i < 4 && g + i < groups; i++) memcpy(to + (g + i) * stride + k, &c[i], 16);
        }
}

