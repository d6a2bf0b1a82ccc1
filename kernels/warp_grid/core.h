// One pixel of warp_grid, in fixed point where it samples and in float where it blends; CPU and CUDA share it.
//
// A place is rounded to 1/256 px. Each axis gives a pair of neighbouring texels inside the item and two weights of 0..256;
// beyond the edge a weight is 0, so that no texel outside is ever read. A product of weights is kept in 13 bits,
// rounded: what the rounding multiply of 16-bit numbers gives for both shifted by 6.
#pragma once
#include "both.h"

#define WARP_CELL 16
#define WARP_MAX_PLACE 32768.f
#define WARP_MAX_SHADE 4.f

struct WarpTap {
    int32_t first;       // the pair is first, first + 1 (or twice 0 where the item is one wide)
    int32_t low, high;   // weights of the two
};

AISLE_BOTH WarpTap warp_tap(float place, int32_t size) {
    const float above = place > -2.f ? place : -2.f, edge = (float)size + 1.f, bounded = above < edge ? above : edge;
    const int32_t fixed = (int32_t)((bounded + 2.f) * 256.f + 0.5f) - 512;
    const int32_t at = fixed >> 8, part = fixed & 255, last = size > 1 ? size - 2 : 0;
    const int32_t here = (uint32_t)at < (uint32_t)size ? 256 - part : 0, next = (uint32_t)(at + 1) < (uint32_t)size ? part : 0;
    const int32_t low = at > 0 ? at : 0;
    WarpTap tap;
    tap.first = low < last ? low : last;
    tap.low = at == tap.first ? here : next;    // moved by one, the pair has the weights the other way round
    tap.high = at == tap.first ? next : here;
    return tap;
}

// The weight of one texel, in 1/8192.
AISLE_BOTH int32_t warp_weight(int32_t a, int32_t b) { return (a * b + 4) >> 3; }

// Places and shade along one row of one cell: value + i * slope at its pixel i.
struct WarpRow {
    float x, y, shade, x_slope, y_slope, shade_slope;
};

AISLE_BOTH int warp_good(const float* node) {
    return fabsf(node[0]) <= WARP_MAX_PLACE && fabsf(node[1]) <= WARP_MAX_PLACE && node[2] >= 0 && node[2] <= WARP_MAX_SHADE;
}

// `node` is the cell's left upper corner in a grid `columns` wide, `row` the pixel row within the cell.
AISLE_BOTH WarpRow warp_row(const float* node, int32_t columns, int32_t row) {
    const float* below = node + 3 * (int64_t)columns;
    const float part = (float)row * (1.f / WARP_CELL);
    float left[3], slope[3];
    for (int k = 0; k < 3; k++) {
        left[k] = node[k] + part * (below[k] - node[k]);
        slope[k] = (node[3 + k] + part * (below[3 + k] - node[3 + k]) - left[k]) * (1.f / WARP_CELL);
    }
    const WarpRow found = {left[0], left[1], left[2], slope[0], slope[1], slope[2]};
    return found;
}

// The whole pixel: `visible` 0..255.
AISLE_BOTH void warp_pixel(const uint8_t* item, int32_t ih, int32_t iw, float x, float y, float shade, int32_t visible, uint8_t* at) {
    const WarpTap tx = warp_tap(x, iw), ty = warp_tap(y, ih);
    const int32_t w00 = warp_weight(tx.low, ty.low), w01 = warp_weight(tx.high, ty.low);
    const int32_t w10 = warp_weight(tx.low, ty.high), w11 = warp_weight(tx.high, ty.high);
    const int32_t across = iw > 1 ? 4 : 0;
    const uint8_t* upper = item + 4 * ((int64_t)ty.first * iw + tx.first);
    const uint8_t* lower = upper + (ih > 1 ? 4 * (int64_t)iw : 0);
    float sums[4];
    for (int k = 0; k < 4; k++)
        sums[k] = (float)(w00 * upper[k] + w01 * upper[across + k] + w10 * lower[k] + w11 * lower[across + k]);
    const float share = (float)visible * (1.f / (255.f * 8192.f));
    const float through = 1.f - share * sums[3] * (1.f / 255.f);
    for (int k = 0; k < 3; k++) {
        const float value = at[k] * through + share * (sums[k] * shade < sums[3] ? sums[k] * shade : sums[3]) + 0.5f;
        at[k] = (uint8_t)(value < 255.f ? value : 255.f);
    }
}
