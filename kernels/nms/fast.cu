// A block a picture. Each round all threads look for the greatest key among the boxes that wait (score, then the lower
// index), and then each takes out what that box hides of its share: the greedy order itself, with the CPU's arithmetic.
#include "both.h"

#define THREADS 256

struct Box {
    float x0, y0, x1, y1;
};

static __device__ int sound(const Box& b) {
    const float far = 1e9f;
    return fabsf(b.x0) <= far && fabsf(b.y0) <= far && fabsf(b.x1) <= far && fabsf(b.y1) <= far && b.x1 >= b.x0 && b.y1 >= b.y0;
}

static __device__ float larger(float a, float b) { return a > b ? a : b; }

static __device__ int hides(const Box& a, const Box& b, float iou) {
    const float wide = -larger(-a.x1, -b.x1) - larger(a.x0, b.x0), high = -larger(-a.y1, -b.y1) - larger(a.y0, b.y0);
    const float shared = larger(wide, 0.f) * larger(high, 0.f);
    const float area_a = (a.x1 - a.x0) * (a.y1 - a.y0), area_b = (b.x1 - b.x0) * (b.y1 - b.y0);
    return shared > iou * ((area_a + area_b) - shared);
}

// Keys that sort as the boxes do, 0 for a box that does not count. A thread a box of all pictures.
extern "C" __global__ void nms_start(const Box* boxes, const float* scores, int count, int n, float least, unsigned long long* keys) {
    const int at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= count) return;
    const float score = scores[at] + 0.f;   // -0 is 0
    const uint32_t bits = __float_as_uint(score), ordered = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    keys[at] = score > least && sound(boxes[at]) ? (unsigned long long)ordered << 32 | (0xFFFFFFFFu - (uint32_t)(at % n)) : 0;
}

extern "C" __global__ void nms(const Box* boxes, const int* classes, unsigned long long* keys, int n, float iou, int k, int* out) {
    __shared__ unsigned long long found[THREADS];
    const Box* mine = boxes + (long long)blockIdx.x * n;
    const int* kinds = classes ? classes + (long long)blockIdx.x * n : 0;
    unsigned long long* waiting = keys + (long long)blockIdx.x * n;
    int* stays = out + (long long)blockIdx.x * k;
    int place = 0;
    for (; place < k; place++) {
        unsigned long long most = 0;
        for (int at = threadIdx.x; at < n; at += THREADS) most = waiting[at] > most ? waiting[at] : most;
        found[threadIdx.x] = most;
        for (int half = THREADS / 2; half > 0; half /= 2) {
            __syncthreads();
            if (threadIdx.x < half && found[threadIdx.x + half] > found[threadIdx.x]) found[threadIdx.x] = found[threadIdx.x + half];
        }
        __syncthreads();
        const unsigned long long key = found[0];
        __syncthreads();
        if (!key) break;
        const int best = (int)(0xFFFFFFFFu - (uint32_t)key);
        if (threadIdx.x == 0) stays[place] = best;
        for (int at = threadIdx.x; at < n; at += THREADS)
            if (at == best || (waiting[at] && (!kinds || kinds[at] == kinds[best]) && hides(mine[best], mine[at], iou))) waiting[at] = 0;
    }
    for (int rest = place + threadIdx.x; rest < k; rest += THREADS) stays[rest] = -1;
}
