// A thread a pixel; sRGB is undone by its formula, where the CPU has a table.
#include "core.h"

static __device__ float light(uint8_t value) {
    const float share = value * (1.f / 255);
    return share <= 0.04045f ? share * (1 / 12.92f) : powf((share + 0.055f) * (1 / 1.055f), 2.4f);
}

extern "C" __global__ void tint(const uint8_t* mask, const float* given, uint8_t* out, int pixels) {
    const int at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= pixels || !mask[at]) return;
    const TintNumbers numbers = tint_numbers(given);
    uint8_t* pixel = out + 3LL * at;
    float blue = light(pixel[0]), green = light(pixel[1]), red = light(pixel[2]);
    tint_colour(numbers, &blue, &green, &red);
    const float share = mask[at] * numbers.strength * (1.f / 255);
    pixel[0] = tint_mix(pixel[0], blue, share);
    pixel[1] = tint_mix(pixel[1], green, share);
    pixel[2] = tint_mix(pixel[2], red, share);
}
