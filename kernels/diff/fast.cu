// diff: a block loads the rows and columns around its 32 x 8 pixels once, as least and greatest down each column, in
// shared memory; then each thread looks along its row. find_shift: a block sums one shift over some rows.
#include "core.h"

#define REACH 16
#define WIDE 32
#define HIGH 8

// Least and greatest of `picture` in the square of side 2 reach + 1 around (x, y), which may lie outside.
static __device__ void bounds(const uint8_t* picture, int h, int w, int x0, int y, int reach, uint8_t (*low)[WIDE + 2 * REACH],
                              uint8_t (*high)[WIDE + 2 * REACH], uint8_t* least, uint8_t* most) {
    const int row = threadIdx.y;
    for (int k = threadIdx.x; k < WIDE + 2 * reach; k += WIDE) {
        const int x = x0 + k - reach;
        int least_here = 255, most_here = 0;
        for (int from = y > reach ? y - reach : 0; x >= 0 && x < w && from < h && from <= y + reach; from++) {
            const int value = picture[(long long)from * w + x];
            least_here = value < least_here ? value : least_here;
            most_here = value > most_here ? value : most_here;
        }
        low[row][k] = (uint8_t)least_here, high[row][k] = (uint8_t)most_here;
    }
    __syncthreads();
    int least_here = 255, most_here = 0;
    for (int k = threadIdx.x; k <= threadIdx.x + 2 * reach; k++) {
        least_here = low[row][k] < least_here ? low[row][k] : least_here;
        most_here = high[row][k] > most_here ? high[row][k] : most_here;
    }
    *least = (uint8_t)least_here, *most = (uint8_t)most_here;
    __syncthreads();   // the next picture goes into the same place
}

extern "C" __global__ void diff_marks(const uint8_t* golden, const uint8_t* test, const uint8_t* mask, uint8_t* out, int h, int w,
                                      int band, int reach, int down, int right) {
    __shared__ uint8_t low[HIGH][WIDE + 2 * REACH], high[HIGH][WIDE + 2 * REACH];
    const int x0 = blockIdx.x * WIDE, x = x0 + threadIdx.x, y = blockIdx.y * HIGH + threadIdx.y;
    uint8_t golden_low, golden_high, test_low, test_high;
    bounds(golden, h, w, x0, y, reach, low, high, &golden_low, &golden_high);
    bounds(test, h, w, x0 + right, y + down, reach, low, high, &test_low, &test_high);
    if (x >= w || y >= h) return;
    const long long at = (long long)y * w + x;
    const int tx = x + right, ty = y + down, seen = tx >= 0 && tx < w && ty >= 0 && ty < h && (!mask || mask[at]);
    out[at] = seen ? diff_judge(golden[at], test[(long long)ty * w + tx], golden_low, golden_high, test_low, test_high, (uint8_t)band) : 0;
}

// AND (erode) or OR of the marks in the square around each pixel.
extern "C" __global__ void diff_morph(const uint8_t* marks, uint8_t* out, int h, int w, int reach, int erode) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= w || y >= h) return;
    int all = erode ? 255 : 0;
    for (int row = y > reach ? y - reach : 0; row < h && row <= y + reach; row++)
        for (int column = x > reach ? x - reach : 0; column < w && column <= x + reach; column++) {
            const int mark = marks[(long long)row * w + column];
            all = erode ? all & mark : all | mark;
        }
    out[(long long)y * w + x] = (uint8_t)all;
}

#define THREADS 256
// sums[shift] += absolute differences; block (rows' part, shift). `sums` starts as zeros.
extern "C" __global__ void diff_sums(const uint8_t* golden, const uint8_t* test, int h, int w, int reach, int rows,
                                     unsigned long long* sums) {
    __shared__ unsigned long long parts[THREADS];
    const int side = 2 * reach + 1, down = (int)blockIdx.y / side - reach, right = (int)blockIdx.y % side - reach;
    const int first = reach + (int)blockIdx.x * rows, last = first + rows < h - reach ? first + rows : h - reach;
    unsigned long long sum = 0;
    for (int y = first; y < last; y++)
        for (int x = reach + threadIdx.x; x < w - reach; x += THREADS) {
            const int apart = (int)golden[(long long)y * w + x] - test[(long long)(y + down) * w + x + right];
            sum += apart < 0 ? -apart : apart;
        }
    parts[threadIdx.x] = sum;
    for (int half = THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) parts[threadIdx.x] += parts[threadIdx.x + half];
    }
    if (threadIdx.x == 0) atomicAdd(sums + blockIdx.y, parts[0]);
}
