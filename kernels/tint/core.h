// One pixel's colour through Lab and back, without branches, so that a loop of it becomes vector code; CPU and CUDA share
// it. Two curves need roots: both are made of a cube root (a guess from the exponent bits, then one step of Halley's
// method: relative error 2e-5) and square roots, as x^(1/2.4) = c * sqrt(sqrt(c)) with c the cube root of x.
#pragma once
#include <string.h>
#include "both.h"

struct TintNumbers {
    float lightness, a, b;            // target - base; target - keep * base, for a and b
    float keep, strength, gloss, base_lightness;
};

AISLE_BOTH TintNumbers tint_numbers(const float* given) {
    const TintNumbers n = {given[3] - given[0], given[4] - given[6] * given[1], given[5] - given[6] * given[2],
                           given[6], given[7], given[8], given[0]};
    return n;
}

AISLE_BOTH float tint_root(float x) {
    int32_t bits;
    memcpy(&bits, &x, 4);
    bits = (int32_t)((float)bits * (1.f / 3)) + 709921077;
    float y;
    memcpy(&y, &bits, 4);
    const float cube = y * y * y;
    return y * (cube + 2 * x) / (2 * cube + x);
}
AISLE_BOTH float tint_curve(float t) {
    return t > 216.f / 24389 ? tint_root(t) : t * (841.f / 108) + 4.f / 29;
}
AISLE_BOTH float tint_curve_back(float f) {
    return f > 6.f / 29 ? f * f * f : (f - 4.f / 29) * (108.f / 841);
}
// Linear light to 0..255.
AISLE_BOTH float tint_encode(float linear) {
    const float above = linear > 0 ? linear : 0, x = above < 1 ? above : 1, c = tint_root(x);
    return x <= 0.0031308f ? x * (12.92f * 255) : c * sqrtf(sqrtf(c)) * (1.055f * 255) - 0.055f * 255;
}

// Linear light in, 0..255 out.
AISLE_BOTH void tint_colour(const TintNumbers n, float* blue, float* green, float* red) {
    const float r = *red, g = *green, b = *blue;
    const float fx = tint_curve(0.4339528f * r + 0.3762194f * g + 0.1898278f * b);
    const float fy = tint_curve(0.2126710f * r + 0.7151600f * g + 0.0721690f * b);
    const float fz = tint_curve(0.0177579f * r + 0.1094765f * g + 0.8727656f * b);
    const float lightness = 116 * fy - 16, over = lightness - n.base_lightness;
    const float new_l = lightness + n.lightness + n.gloss * (over > 0 ? over : 0);
    const float new_a = n.a + n.keep * 500 * (fx - fy), new_b = n.b + n.keep * 200 * (fy - fz);
    const float y = (new_l + 16) * (1.f / 116);
    const float tx = tint_curve_back(y + new_a * (1.f / 500)), ty = tint_curve_back(y), tz = tint_curve_back(y - new_b * (1.f / 200));
    *red = tint_encode(3.0799349f * tx - 1.5371515f * ty - 0.5427834f * tz);
    *green = tint_encode(-0.9212342f * tx + 1.8759900f * ty + 0.0452442f * tz);
    *blue = tint_encode(0.0528897f * tx - 0.2040413f * ty + 1.1511517f * tz);
}

// `share` 0..1 of the new colour over what is there.
AISLE_BOTH uint8_t tint_mix(uint8_t before, float colour, float share) {
    return (uint8_t)((float)before + share * (colour - (float)before) + 0.5f);
}
