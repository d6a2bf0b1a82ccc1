// A score becomes a 64-bit key that sorts as the answer does: the score's bits in an order of whole numbers, then the
// id turned over, so that the greatest key is the best row and of equal scores the lower id. 0 stands for a row that is
// blocked or no number. Blocks find the greatest keys of a stretch, then one block those of all stretches.
#include "both.h"

static __device__ unsigned long long key_of(uint32_t ordered, uint32_t id) { return (unsigned long long)ordered << 32 | (0xFFFFFFFFu - id); }

static __device__ int is_blocked(const uint8_t* blocked, int row) { return blocked && (blocked[row / 8] >> (row % 8) & 1); }

static __device__ int whole_product(const int8_t* q, const int8_t* t, int d) {
    int sum = 0;
    if (d % 4 == 0)
        for (int k = 0; k < d / 4; k++) sum = __dp4a(((const int*)q)[k], ((const int*)t)[k], sum);
    else
        for (int k = 0; k < d; k++) sum += q[k] * t[k];
    return sum;
}

static __device__ float real_product(const float* q, const float* t, int d) {
    float sum = 0;
    for (int k = 0; k < d; k++) sum += q[k] * t[k];
    return sum;
}

static __device__ unsigned long long real_key(float score, int row) {
    if (!(score > -INFINITY)) return 0;
    const uint32_t bits = __float_as_uint(score + 0.f);   // -0 is 0
    return key_of(bits & 0x80000000u ? ~bits : bits | 0x80000000u, (uint32_t)row);
}

extern "C" __global__ void topk_whole(const int8_t* queries, const int8_t* table, const uint8_t* blocked, int n, int d, unsigned long long* keys) {
    const int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= n) return;
    const int sum = whole_product(queries + (long long)blockIdx.y * d, table + (long long)row * d, d);
    keys[(long long)blockIdx.y * n + row] = is_blocked(blocked, row) ? 0 : key_of((uint32_t)sum ^ 0x80000000u, (uint32_t)row);
}

extern "C" __global__ void topk_real(const float* queries, const float* table, const uint8_t* blocked, int n, int d, unsigned long long* keys) {
    const int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= n) return;
    const float sum = real_product(queries + (long long)blockIdx.y * d, table + (long long)row * d, d);
    keys[(long long)blockIdx.y * n + row] = is_blocked(blocked, row) ? 0 : real_key(sum, row);
}

// Either kind of rows; scale, gain and bias may each be missing.
extern "C" __global__ void topk_weighed(const void* queries, const void* table, const uint8_t* blocked, const float* scale, const float* gain,
                                        const float* bias, int n, int d, int real, unsigned long long* keys) {
    const int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= n) return;
    const long long from = (long long)blockIdx.y * d, at = (long long)row * d;
    float score = real ? real_product((const float*)queries + from, (const float*)table + at, d)
                       : (float)whole_product((const int8_t*)queries + from, (const int8_t*)table + at, d);
    if (scale) score *= scale[row];
    if (gain) score *= gain[blockIdx.y];
    if (bias) score += bias[row];
    keys[(long long)blockIdx.y * n + row] = is_blocked(blocked, row) ? 0 : real_key(score, row);
}

#define THREADS 256
// The k greatest of each stretch of keys, greatest first; block (stretch, query). Keys differ, so that each is the
// greatest below the one before.
extern "C" __global__ void topk_best(const unsigned long long* keys, long long count, int stretch, int k, unsigned long long* best) {
    __shared__ unsigned long long found[THREADS];
    const long long first = (long long)blockIdx.x * stretch, last = first + stretch < count ? first + stretch : count;
    const unsigned long long* mine = keys + (long long)blockIdx.y * count;
    unsigned long long* out = best + ((long long)blockIdx.y * gridDim.x + blockIdx.x) * k;
    unsigned long long below = 0xFFFFFFFFFFFFFFFFull;
    for (int place = 0; place < k; place++) {
        unsigned long long most = 0;
        for (long long at = first + threadIdx.x; at < last; at += THREADS) {
            const unsigned long long key = mine[at];
            most = key < below && key > most ? key : most;
        }
        found[threadIdx.x] = most;
        for (int half = THREADS / 2; half > 0; half /= 2) {
            __syncthreads();
            if (threadIdx.x < half && found[threadIdx.x + half] > found[threadIdx.x]) found[threadIdx.x] = found[threadIdx.x + half];
        }
        __syncthreads();
        below = found[0];
        if (threadIdx.x == 0) out[place] = below;
        __syncthreads();
        if (below) continue;
        // Nothing is left: the same for every thread of the block.
        for (int rest = place + 1 + threadIdx.x; rest < k; rest += THREADS) out[rest] = 0;
        return;
    }
}

extern "C" __global__ void topk_write(const unsigned long long* best, int places, int real, int* ids, void* scores) {
    const int at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= places) return;
    const unsigned long long key = best[at];
    const uint32_t ordered = (uint32_t)(key >> 32), bits = ordered & 0x80000000u ? ordered & 0x7FFFFFFFu : ~ordered;
    ids[at] = key ? (int)(0xFFFFFFFFu - (uint32_t)key) : -1;
    ((uint32_t*)scores)[at] = real ? (key ? bits : 0xFF800000u) : (key ? ordered ^ 0x80000000u : 0x80000000u);
}
