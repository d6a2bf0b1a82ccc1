// Codes are laid out once, four values a word and word by word, so that threads side by side read side by side. A pass
// for a centre is one launch: a thread a code lowers its distance, a block finds its furthest, and the furthest of all
// blocks, kept as a key for the next pass, is that pass's centre. Nothing comes back to the host until the end.
#include "both.h"

#define THREADS 256
#define MOST_WORDS 4096      // 16384 values, four a word

// Greatest for the furthest code, of those for the lowest id; 0 in its upper half for a code that was chosen.
static __device__ unsigned long long key_of(int far, int id) {
    return (unsigned long long)(uint32_t)(far + 1) << 32 | (0xFFFFFFFFu - (uint32_t)id);
}

extern "C" __global__ void kcenter_lay(const int8_t* codes, int n, int d, uint32_t* words, int* terms, int* far) {
    const int at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= n) return;
    const int8_t* code = codes + (long long)at * d;
    int term = 0;
    for (int word = 0; 4 * word < d; word++) {
        uint32_t packed = 0;
        for (int k = 0; k < 4 && 4 * word + k < d; k++) packed |= (uint32_t)(uint8_t)code[4 * word + k] << 8 * k;
        words[(long long)word * n + at] = packed;
        term = __dp4a((int)packed, (int)packed, term);
    }
    terms[at] = term, far[at] = 0x7FFFFFFE;
}

// Row `row` of `out` is the code of best[row]; best[row + 1], 0 before, becomes the next one's.
extern "C" __global__ void kcenter_pass(const uint32_t* words, const int* terms, int n, int groups, int row, int* far,
                                        unsigned long long* best, int* out) {
    __shared__ uint32_t centre[MOST_WORDS];
    __shared__ unsigned long long found[THREADS];
    const int chosen = (int)(0xFFFFFFFFu - (uint32_t)best[row]), at = blockIdx.x * THREADS + threadIdx.x;
    for (int word = threadIdx.x; word < groups; word += THREADS) centre[word] = words[(long long)word * n + chosen];
    if (at == 0) out[row] = chosen;
    __syncthreads();
    found[threadIdx.x] = 0;
    if (at < n) {
        int product = 0;
        for (int word = 0; word < groups; word++) product = __dp4a((int)words[(long long)word * n + at], (int)centre[word], product);
        const int now = terms[at] + terms[chosen] - 2 * product, before = far[at];
        const int nearest = at == chosen ? -1 : now < before ? now : before;
        far[at] = nearest;
        found[threadIdx.x] = key_of(nearest, at);
    }
    for (int half = THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half && found[threadIdx.x + half] > found[threadIdx.x]) found[threadIdx.x] = found[threadIdx.x + half];
    }
    if (threadIdx.x == 0) atomicMax(best + row + 1, found[0]);
}
