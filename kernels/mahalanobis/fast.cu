// A block a place: the factor is read once, side by side by neighbouring threads, and is by far the most of the memory.
#include "half.h"

#define THREADS 128
#define MOST 4096    // features a place, kept in shared memory

static __device__ float entry(const void* factor, int half, long long at) {
    return half ? from_half(((const uint16_t*)factor)[at]) : ((const float*)factor)[at];
}

// columns 0: the upper triangle, packed row by row.
extern "C" __global__ void mahalanobis(const float* features, const float* mean, const void* factor, const float* inverse, int d,
                                       int columns, int half, float* out) {
    __shared__ float gap[MOST], parts[THREADS];
    const long long place = blockIdx.x, row = place * d;
    float whole = 0, sum = 0;
    for (int k = threadIdx.x; k < d; k += THREADS) {
        gap[k] = features[row + k] - mean[row + k];
        whole += gap[k] * gap[k];
    }
    __syncthreads();
    const long long first = place * (columns ? (long long)d * columns : (long long)d * (d + 1) / 2);
    for (int c = threadIdx.x; c < (columns ? columns : d); c += THREADS) {
        float dots[2] = {0, 0};
        for (int k = 0; k < (columns ? d : c + 1); k++)
            dots[k % 2] += gap[k] * entry(factor, half, first + (columns ? (long long)k * columns + c : (long long)k * d - (long long)k * (k - 1) / 2 + c - k));
        const float dot = dots[0] + dots[1];
        sum += dot * dot;
    }
    parts[threadIdx.x] = inverse ? inverse[place] * whole - sum : sum;
    for (int half_way = THREADS / 2; half_way > 0; half_way /= 2) {
        __syncthreads();
        if (threadIdx.x < half_way) parts[threadIdx.x] += parts[threadIdx.x + half_way];
    }
    // NaN is infinitely far.
    if (threadIdx.x == 0) out[place] = parts[0] != parts[0] ? INFINITY : parts[0] > 0 ? parts[0] : 0.f;
}
