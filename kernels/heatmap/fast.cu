// smooth and overlay, a thread a cell or pixel; the sums are those of the CPU in the same order.
#include "both.h"

extern "C" __global__ void smooth(const float* map, int h, int w, float* out) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= w || y >= h) return;
    const float *above = map + (long long)(y ? y - 1 : 0) * w, *here = map + (long long)y * w, *below = map + (long long)(y + 1 < h ? y + 1 : y) * w;
    float rows[3];
    for (int k = 0; k < 3; k++) {
        const int column = x + k - 1 < 0 ? 0 : x + k - 1 < w ? x + k - 1 : w - 1;
        rows[k] = above[column] + 2 * here[column] + below[column];
    }
    out[(long long)y * w + x] = (rows[0] + 2 * rows[1] + rows[2]) / 16;
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
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= w || y >= h) return;
    const Pair v = between(y, gh, h), u = between(x, gw, w);
    const float *upper = map + (long long)v.low * gw, *lower = map + (long long)v.next * gw;
    const float left = upper[u.low] + v.part * (lower[u.low] - upper[u.low]), right = upper[u.next] + v.part * (lower[u.next] - upper[u.next]);
    const float raw = (left + u.part * (right - left) - low) * (1 / (high - low)), heat = raw > 0 ? (raw < 1 ? raw : 1.f) : 0.f;
    const float share = 0.65f * (heat * 2 < 1 ? heat * 2 : 1), colour[3] = {0, 255 * (1 - heat), 255};
    const long long at = 3 * ((long long)y * w + x);
    for (int c = 0; c < 3; c++) {
        const float before = image[at + c];
        out[at + c] = (uint8_t)(before + share * (colour[c] - before) + 0.5f);
    }
}
