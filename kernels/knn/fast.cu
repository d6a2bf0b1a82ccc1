// A thread a query cell, blocks in y the parts of the bank; the nearest of all parts by atomicMin. All threads of a warp
// read the same code of a whole bank at once, or neighbours of neighbours in a local one. Four bytes a step (DP4A) where
// codes are whole words: |q-b|^2 = |q|^2 + |b|^2 - 2 q.b.
#include "both.h"

static __device__ int distance(const int8_t* q, const int8_t* b, int d) {
    int sum = 0;
    if (d % 4 == 0) {
        const int *query = (const int*)q, *code = (const int*)b;
        for (int k = 0; k < d / 4; k++) {
            const int u = query[k], v = code[k];
            sum = __dp4a(u, u, sum);
            sum = __dp4a(v, v, sum) - 2 * __dp4a(u, v, 0);
        }
        return sum;
    }
    for (int k = 0; k < d; k++) sum += (q[k] - b[k]) * (q[k] - b[k]);
    return sum;
}

extern "C" __global__ void knn_start(int* out, int cells) {
    const int cell = blockIdx.x * blockDim.x + threadIdx.x;
    if (cell < cells) out[cell] = 0x7FFFFFFF;
}

// radius -1: every code of the part's bh x bw.
extern "C" __global__ void knn(const int8_t* query, const int8_t* bank, const uint8_t* skip, int n, int h, int w, int bh, int bw, int d,
                               int radius, int* out) {
    const int cell = blockIdx.x * blockDim.x + threadIdx.x, y = cell / w, x = cell % w;
    if (cell >= h * w) return;
    const int8_t* q = query + (long long)cell * d;
    int nearest = 0x7FFFFFFF;
    for (int part = blockIdx.y; part < n; part += gridDim.y) {
        if (skip[part]) continue;
        const int8_t* codes = bank + (long long)part * bh * bw * d;
        const int top = radius < 0 || y < radius ? 0 : y - radius, bottom = radius < 0 || y + radius >= bh ? bh - 1 : y + radius;
        const int left = radius < 0 || x < radius ? 0 : x - radius, right = radius < 0 || x + radius >= bw ? bw - 1 : x + radius;
        for (int row = top; row <= bottom; row++)
            for (int column = left; column <= right; column++) {
                const int far = distance(q, codes + ((long long)row * bw + column) * d, d);
                nearest = far < nearest ? far : nearest;
            }
    }
    atomicMin(out + cell, nearest);
}
