// Runs of pixels that the mask shows; sRGB is undone by a table of its 256 values.
#pragma once
#include "core.h"
#include "cpu.h"

#define TINT_RUN 64

#define SUFFIX _base
#include "body.h"
#if AISLE_X86
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi,bmi2,lzcnt,popcnt")
#define SUFFIX _avx2
#include "body.h"
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi,bmi2,lzcnt,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx512vnni,prefer-vector-width=512")
#define SUFFIX _avx512
#include "body.h"
#pragma GCC pop_options
#endif

static void tint_table(float* light) {
    for (int v = 0; v < 256; v++) light[v] = (float)(v / 255. <= 0.04045 ? v / 255. / 12.92 : pow((v / 255. + 0.055) / 1.055, 2.4));
}

// Whether a run of the mask shows nothing: most of a picture does, so that this is a good part of the time.
static int tint_hidden(const uint8_t* mask) {
    uint64_t words[TINT_RUN / 8], any = 0;
    memcpy(words, mask, TINT_RUN);
    for (int k = 0; k < TINT_RUN / 8; k++) any |= words[k];
    return !any;
}

static void tint_picture(const uint8_t* mask, const float* given, const float* light, long pixels, uint8_t* out, int level) {
    void (*run)(const TintNumbers*, const float*, const uint8_t*, int, uint8_t*) = tint_run_base;
#if AISLE_X86
    if (level >= 2) run = level >= 4 ? tint_run_avx512 : tint_run_avx2;
#endif
    const TintNumbers numbers = tint_numbers(given);
    for (long x = 0; x < pixels; x += TINT_RUN) {
        const int left = pixels - x < TINT_RUN ? (int)(pixels - x) : TINT_RUN;
        if (left == TINT_RUN && tint_hidden(mask + x)) continue;
        int first = 0, last = left;
        while (first < last && !mask[x + first]) first++;
        while (last > first && !mask[x + last - 1]) last--;
        if (first < last) run(&numbers, light, mask + x + first, last - first, out + 3 * (x + first));
    }
}
