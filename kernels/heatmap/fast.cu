// A thread a cell or pixel unless said otherwise; sums are those of the CPU in the same order. What a call's kernels hand
// on lies in its state: STATE_* below, then BINS counts, all 0 at first but the places.
#include "both.h"

#define THREADS 256
#define BINS 2048
enum { PREFIX, PLACES, UNSOUND, REGIONS, COUNTS };
enum { LEFT, TOP, RIGHT, BOTTOM, AREA, PEAK, NUMBERS };   // of a region; right and bottom are the last cells

extern "C" __global__ void smooth(const float* map, int h, int w, float* out) {
    const long long at = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    const int x = (int)(at % w), y = (int)(at / w);
    if (y >= h) return;
    const float *above = map + (long long)(y ? y - 1 : 0) * w, *here = map + (long long)y * w, *below = map + (long long)(y + 1 < h ? y + 1 : y) * w;
    float rows[3];
    for (int k = 0; k < 3; k++) {
        const int column = x + k - 1 < 0 ? 0 : x + k - 1 < w ? x + k - 1 : w - 1;
        rows[k] = above[column] + 2 * here[column] + below[column];
    }
    out[at] = (rows[0] + 2 * rows[1] + rows[2]) / 16;
}

struct Pair {
    int low, next;
    float part;
};

static __device__ Pair between(int o, int cells, int size) {
    float at = ((float)o + 0.5f) * (float)((double)cells / size) - 0.5f;
    at = at < 0 ? 0 : at > cells - 1 ? (float)(cells - 1) : at;
    const int low = (int)at;
    const Pair found = {low, low + 1 < cells ? low + 1 : cells - 1, at - (float)low};
    return found;
}

extern "C" __global__ void overlay(const uint8_t* image, int h, int w, const float* map, int gh, int gw, float low, float high, uint8_t* out) {
    const long long pixel = (long long)blockIdx.x * blockDim.x + threadIdx.x, at = 3 * pixel;
    const int x = (int)(pixel % w), y = (int)(pixel / w);
    if (y >= h) return;
    const Pair v = between(y, gh, h), u = between(x, gw, w);
    const float *upper = map + (long long)v.low * gw, *lower = map + (long long)v.next * gw;
    const float left = upper[u.low] + v.part * (lower[u.low] - upper[u.low]), right = upper[u.next] + v.part * (lower[u.next] - upper[u.next]);
    const float raw = (left + u.part * (right - left) - low) * (1 / (high - low)), heat = raw > 0 ? (raw < 1 ? raw : 1.f) : 0.f;
    const float share = 0.65f * (heat * 2 < 1 ? heat * 2 : 1), colour[3] = {0, 255 * (1 - heat), 255};
    for (int c = 0; c < 3; c++) {
        const float before = image[at + c];
        out[at + c] = (uint8_t)(before + share * (colour[c] - before) + 0.5f);
    }
}

extern "C" __global__ void sound(const float* map, int n, uint32_t* state) {
    const int at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at < n && !(fabsf(map[at]) < INFINITY)) atomicOr(state + UNSOUND, 1u);
}

// Rows first, then columns.
extern "C" __global__ void grow(const float* map, int h, int w, int high, int wide, float* out) {
    const int at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= high * wide) return;
    const Pair v = between(at / wide, h, high), u = between(at % wide, w, wide);
    const float *upper = map + (long long)v.low * w, *lower = map + (long long)v.next * w;
    const float above = upper[u.low] + u.part * (upper[u.next] - upper[u.low]), below = lower[u.low] + u.part * (lower[u.next] - lower[u.low]);
    out[at] = above + v.part * (below - above);
}

// ---- the mean of the highest cells: the lowest of them is found digit by digit

// 32 bits that sort as floats do; no number sorts above all.
static __device__ uint32_t order_of(float value) {
    if (value != value) return 0xFFFFFFFFu;
    const uint32_t bits = __float_as_uint(value);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}
static __device__ float value_of(uint32_t order) { return __uint_as_float(order & 0x80000000u ? order & 0x7FFFFFFFu : ~order); }

// Count the cells whose upper digits are those found so far by their next one.
extern "C" __global__ void top_count(const float* map, int n, int shift, int bits, uint32_t* state) {
    __shared__ uint32_t counts[BINS];
    for (int bin = threadIdx.x; bin < BINS; bin += THREADS) counts[bin] = 0;
    __syncthreads();
    const uint32_t prefix = state[PREFIX];
    for (long long at = (long long)blockIdx.x * THREADS + threadIdx.x; at < n; at += (long long)gridDim.x * THREADS) {
        const uint32_t order = order_of(map[at]);
        if (shift + bits == 32 || order >> (shift + bits) == prefix) atomicAdd(counts + (order >> shift & ((1u << bits) - 1)), 1u);
    }
    __syncthreads();
    for (int bin = threadIdx.x; bin < BINS; bin += THREADS)
        if (counts[bin]) atomicAdd(state + COUNTS + bin, counts[bin]);
}

// One block: the digit at which the counts from above reach the places left. The counts are 0 again then.
extern "C" __global__ void top_pick(int bits, uint32_t* state) {
    __shared__ uint32_t counts[BINS], sums[THREADS];
    uint32_t sum = 0;
    for (int k = 0; k < BINS / THREADS; k++) {
        const int bin = threadIdx.x * (BINS / THREADS) + k;
        sum += counts[bin] = state[COUNTS + bin];
        state[COUNTS + bin] = 0;
    }
    sums[threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.x) return;
    uint32_t places = state[PLACES];
    int part = THREADS - 1;
    for (; part > 0 && sums[part] < places; part--) places -= sums[part];
    int bin = (part + 1) * (BINS / THREADS) - 1;
    for (; bin > 0 && counts[bin] < places; bin--) places -= counts[bin];
    state[PREFIX] = state[PREFIX] << bits | (uint32_t)bin, state[PLACES] = places;
}

// A block's sum of the cells above the lowest of the highest, always in the same order.
extern "C" __global__ void top_sum(const float* map, int n, const uint32_t* state, double* partial) {
    __shared__ double sums[THREADS];
    double sum = 0;
    for (long long at = (long long)blockIdx.x * THREADS + threadIdx.x; at < n; at += (long long)gridDim.x * THREADS)
        if (order_of(map[at]) > state[PREFIX]) sum += map[at];
    sums[threadIdx.x] = sum;
    for (int half = THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
    }
    if (threadIdx.x == 0) partial[blockIdx.x] = sums[0];
}

// One thread.
extern "C" __global__ void top_end(const double* partial, int blocks, int count, const uint32_t* state, double* score) {
    if (blockIdx.x || threadIdx.x) return;
    double sum = (double)state[PLACES] * value_of(state[PREFIX]);
    for (int block = 0; block < blocks; block++) sum += partial[block];
    *score = sum / count;
}

// ---- regions: each cell points to a lower one of its region or to itself, until all point to the lowest

extern "C" __global__ void region_start(const float* map, int n, float threshold, int* labels) {
    const int at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at < n) labels[at] = map[at] > threshold ? at : -1;
}

static __device__ int root_of(const volatile int* labels, int at) {
    for (int next = labels[at]; next != at; next = labels[at]) at = next;
    return at;
}

// Hang the higher root below the lower; where another thread was quicker, go on with what it hung it below.
static __device__ void join(int* labels, int a, int b) {
    for (;;) {
        a = root_of(labels, a), b = root_of(labels, b);
        if (a == b) return;
        const int low = a < b ? a : b, high = a < b ? b : a, before = atomicMin(labels + high, low);
        if (before == high) return;
        a = before, b = low;
    }
}

// With the cells to the left and above, corners included: every pair that touches is seen once.
extern "C" __global__ void region_join(int h, int w, int* labels) {
    const int at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= h * w || labels[at] < 0) return;
    const int x = at % w, y = at / w;
    if (x && labels[at - 1] >= 0) join(labels, at, at - 1);
    if (!y) return;
    for (int column = x ? x - 1 : 0; column <= x + 1 && column < w; column++)
        if (labels[(y - 1) * w + column] >= 0) join(labels, at, (y - 1) * w + column);
}

extern "C" __global__ void region_flatten(int n, int* labels) {
    const int at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at < n && labels[at] >= 0) labels[at] = root_of(labels, at);
}

// A region's lowest cell takes a number for it, in no order, kept as -2 - number; its cell goes into the key.
extern "C" __global__ void region_number(int n, int* labels, uint32_t* state, uint32_t* found, unsigned long long* keys) {
    const int at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= n || labels[at] != at) return;
    const int number = (int)atomicAdd(state + REGIONS, 1u);
    uint32_t* region = found + (long long)number * NUMBERS;
    region[LEFT] = region[TOP] = 0xFFFFFFFFu;
    region[RIGHT] = region[BOTTOM] = region[AREA] = region[PEAK] = 0;
    keys[number] = 0xFFFFFFFFu - (uint32_t)at;
    labels[at] = -2 - number;
}

// A thread a stretch of 32 cells of a row: it adds each run of cells to their region at once.
extern "C" __global__ void region_sum(const float* map, int h, int w, const int* labels, uint32_t* found) {
    const long long stretch = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    const int across = (w + 31) / 32, y = (int)(stretch / across), first = (int)(stretch % across) * 32;
    if (y >= h) return;
    const int last = first + 32 < w ? first + 32 : w;
    const long long row = (long long)y * w;
    for (int x = first; x < last; x++) {
        if (labels[row + x] == -1) continue;
        const int root = labels[row + x], from = x;
        uint32_t peak = 0;
        for (; x < last && labels[row + x] != -1; x++) peak = order_of(map[row + x]) > peak ? order_of(map[row + x]) : peak;
        uint32_t* region = found + (long long)(-2 - (root < 0 ? root : labels[root])) * NUMBERS;
        atomicMin(region + LEFT, (uint32_t)from), atomicMax(region + RIGHT, (uint32_t)x - 1);
        atomicMin(region + TOP, (uint32_t)y), atomicMax(region + BOTTOM, (uint32_t)y);
        atomicAdd(region + AREA, (uint32_t)(x - from)), atomicMax(region + PEAK, peak);
    }
}

// The highest cell first, of equals the region found first in row order.
extern "C" __global__ void region_keys(const uint32_t* found, const uint32_t* state, unsigned long long* keys) {
    const uint32_t at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at < state[REGIONS]) keys[at] |= (unsigned long long)found[(long long)at * NUMBERS + PEAK] << 32;
}

// One block: the greatest key below the one before, `room` times or until none is left.
extern "C" __global__ void region_rank(const uint32_t* found, const unsigned long long* keys, const uint32_t* state, int room, float* out) {
    __shared__ unsigned long long greatest[THREADS];
    __shared__ uint32_t where[THREADS];
    unsigned long long below = 0xFFFFFFFFFFFFFFFFull;
    for (int place = 0; place < room && place < (int)state[REGIONS]; place++) {
        greatest[threadIdx.x] = 0, where[threadIdx.x] = 0;
        for (uint32_t at = threadIdx.x; at < state[REGIONS]; at += THREADS)
            if (keys[at] < below && keys[at] > greatest[threadIdx.x]) greatest[threadIdx.x] = keys[at], where[threadIdx.x] = at;
        for (int half = THREADS / 2; half > 0; half /= 2) {
            __syncthreads();
            if (threadIdx.x < half && greatest[threadIdx.x + half] > greatest[threadIdx.x])
                greatest[threadIdx.x] = greatest[threadIdx.x + half], where[threadIdx.x] = where[threadIdx.x + half];
        }
        __syncthreads();
        below = greatest[0];
        if (threadIdx.x == 0) {
            const uint32_t* r = found + (long long)where[0] * NUMBERS;
            const float box[6] = {(float)r[LEFT], (float)r[TOP], (float)(r[RIGHT] - r[LEFT] + 1), (float)(r[BOTTOM] - r[TOP] + 1),
                                  (float)r[AREA], value_of(r[PEAK])};
            for (int k = 0; k < 6; k++) out[6LL * place + k] = box[k];
        }
        __syncthreads();
    }
}
