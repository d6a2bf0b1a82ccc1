// A thread a pixel: its cell's four nodes are read through the cache that neighbours share.
#include "core.h"

extern "C" __global__ void warp_grid(const uint8_t* item, int ih, int iw, const float* grid, const uint8_t* visible, uint8_t* out,
                                     int h, int w) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= w || y >= h) return;
    const long long at = (long long)y * w + x;
    const int columns = (w + WARP_CELL - 1) / WARP_CELL + 1, shown = visible ? visible[at] : 255;
    const float* node = grid + 3 * ((long long)(y / WARP_CELL) * columns + x / WARP_CELL);
    const float* below = node + 3 * columns;
    if (!shown || !warp_good(node) || !warp_good(node + 3) || !warp_good(below) || !warp_good(below + 3)) return;
    const WarpRow row = warp_row(node, columns, y % WARP_CELL);
    const float step = (float)(x % WARP_CELL);
    warp_pixel(item, ih, iw, row.x + step * row.x_slope, row.y + step * row.y_slope, row.shade + step * row.shade_slope, shown, out + 3 * at);
}
