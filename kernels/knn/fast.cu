// A thread a query cell. A distance is kept as 32 bits that sort as whole numbers do: an int32, or the bits of a float
// that is not negative (NaN counts as infinite). All threads of a warp read the same code of a whole bank at once, or
// codes side by side of a local one. int8 goes four bytes a step (DP4A) where codes are whole words.
#include "half.h"

#define WHOLE 0      // int8 query and bank
#define REAL 1       // float32 query and bank
#define HALF 2       // float32 query, float16 bank

struct Search {
    const void *query, *bank;
    const uint8_t* skip;
    int n, h, w, bh, bw, d, radius, kind, each;   // each: places of the bank that share a byte of skip
};

static __device__ int whole_distance(const int8_t* q, const int8_t* b, int d) {
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

static __device__ int distance(const Search& s, long long cell, long long code) {
    if (s.kind == WHOLE) return whole_distance((const int8_t*)s.query + cell * s.d, (const int8_t*)s.bank + code * s.d, s.d);
    const float* q = (const float*)s.query + cell * s.d;
    float sums[4] = {0, 0, 0, 0};   // four, so that the last terms are not lost in a large sum
    for (int k = 0; k < s.d; k++) {
        const float b = s.kind == REAL ? ((const float*)s.bank)[code * s.d + k] : from_half(((const uint16_t*)s.bank)[code * s.d + k]);
        sums[k % 4] += (q[k] - b) * (q[k] - b);
    }
    const float sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    return sum <= INFINITY ? __float_as_int(sum) : 0x7F800000;
}

// Calls `take` with the distance to each code near the cell in the parts first, first + step, ...; stops where it says so.
template <class Take>
static __device__ void search(const Search& s, int cell, int first, int step, Take take) {
    const int y = cell / s.w, x = cell % s.w;
    const int top = s.radius < 0 || y < s.radius ? 0 : y - s.radius, left = s.radius < 0 || x < s.radius ? 0 : x - s.radius;
    const int bottom = s.radius < 0 || s.radius >= s.bh - y ? s.bh - 1 : y + s.radius;
    const int right = s.radius < 0 || s.radius >= s.bw - x ? s.bw - 1 : x + s.radius;
    for (int part = first; part < s.n; part += step) {
        if (s.skip[part / s.each]) continue;
        for (int row = top; row <= bottom; row++)
            for (int column = left; column <= right; column++)
                if (take(distance(s, cell, ((long long)part * s.bh + row) * s.bw + column))) return;
    }
}

extern "C" __global__ void knn_none(uint8_t* out, int count) {
    const int at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at < count) out[at] = 0;
}

extern "C" __global__ void knn_start(int* out, int count, int value) {
    const int at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at < count) out[at] = value;
}

// The nearest alone; blocks in y share the parts.
extern "C" __global__ void knn_nearest(const void* query, const void* bank, const uint8_t* skip, int n, int h, int w, int bh, int bw, int d,
                                       int radius, int kind, int each, int* out) {
    const int cell = blockIdx.x * blockDim.x + threadIdx.x;
    if (cell >= h * w) return;
    const Search s = {query, bank, skip, n, h, w, bh, bw, d, radius, kind, each};
    int nearest = 0x7FFFFFFF;
    search(s, cell, blockIdx.y, gridDim.y, [&](int far) { nearest = far < nearest ? far : nearest; return false; });
    atomicMin(out + cell, nearest);
}

// The k nearest, by insertion into the cell's own row, which starts as the greatest value.
extern "C" __global__ void knn_several(const void* query, const void* bank, const uint8_t* skip, int n, int h, int w, int bh, int bw, int d,
                                       int radius, int kind, int each, int k, int* out) {
    const int cell = blockIdx.x * blockDim.x + threadIdx.x;
    if (cell >= h * w) return;
    const Search s = {query, bank, skip, n, h, w, bh, bw, d, radius, kind, each};
    int* row = out + (long long)cell * k;
    search(s, cell, 0, 1, [&](int far) {
        if (far >= row[k - 1]) return false;
        int at = k - 1;
        for (; at > 0 && row[at - 1] > far; at--) row[at] = row[at - 1];
        row[at] = far;
        return false;
    });
}

// Whether any lies within the bound, whose bits sort as those of a distance do. `out` starts as zeros; blocks in y share
// the parts, and what one of them finds spares the others the rest.
extern "C" __global__ void knn_within(const void* query, const void* bank, const uint8_t* skip, int n, int h, int w, int bh, int bw, int d,
                                      int radius, int kind, int each, int bound, uint8_t* out) {
    const int cell = blockIdx.x * blockDim.x + threadIdx.x;
    if (cell >= h * w) return;
    const Search s = {query, bank, skip, n, h, w, bh, bw, d, radius, kind, each};
    volatile uint8_t* found = out + cell;
    search(s, cell, blockIdx.y, gridDim.y, [&](int far) {
        if (far <= bound) *found = 1;
        return *found != 0;
    });
}
