// Squared Mahalanobis distances: rows of the factor, scaled by what the features lie off, added up in the first cache. The
// factor is read once, in order: its size is what the time is spent on.
#pragma once
#include "cpu.h"
#include "half.h"
#include <stdlib.h>
// gcc 12 says these of its own AVX-512 header.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

#define MAX_DEPTH 4096

static inline void add_row_base(float* sums, const uint16_t* row, float times, int count) {
    for (int i = 0; i < count; i++) sums[i] += times * from_half(row[i]);
}
#define SUFFIX _base
#define WIDE 4
#include "body.h"

#if AISLE_X86
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi,bmi2,lzcnt,popcnt")
static inline void add_row_avx2(float* sums, const uint16_t* row, float times, int count) {
    const __m256 by = _mm256_set1_ps(times);
    for (int i = 0; i < count; i += 8)
        _mm256_storeu_ps(sums + i, _mm256_fmadd_ps(by, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)(row + i))), _mm256_loadu_ps(sums + i)));
}
#define SUFFIX _avx2
#define WIDE 8
#include "body.h"
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi,bmi2,lzcnt,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx512vnni")
static inline void add_row_avx512(float* sums, const uint16_t* row, float times, int count) {
    const __m512 by = _mm512_set1_ps(times);
    for (int i = 0; i < count; i += 16)
        _mm512_storeu_ps(sums + i, _mm512_fmadd_ps(by, _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)(row + i))), _mm512_loadu_ps(sums + i)));
}
#define SUFFIX _avx512
#define WIDE 16
#include "body.h"
#pragma GCC pop_options
#endif

struct Places {
    float (*floats)(const float*, const float*, int, int, int, float*);
    float (*halves)(const float*, const uint16_t*, int, int, int, float*);
};
static inline Places places_for(int level) {
#if AISLE_X86
    if (level >= 4) return {place_float_avx512, place_half_avx512};
    if (level >= 2) return {place_float_avx2, place_half_avx2};
#endif
    return {place_float_base, place_half_base};
}

// `floats` or `halves` is the factor, the other NULL; `inverse` may be NULL; `columns` 0 for a packed triangle.
static inline void distances(const float* features, const float* mean, const float* floats, const uint16_t* halves, const float* inverse,
                             long places, int d, int columns, int level, float* out) {
    const Places run = places_for(level);
    const long size = columns ? (long)d * columns : (long)d * (d + 1) / 2;
    float gap[MAX_DEPTH], sums[MAX_DEPTH + 32];
    for (long p = 0; p < places; p++) {
        float far, whole = 0;
        for (int i = 0; i < d; i++) gap[i] = features[p * d + i] - mean[p * d + i];
        const int last = (places - 1 - p) * size < 16;
        far = floats ? run.floats(gap, floats + p * size, d, columns, last, sums) : run.halves(gap, halves + p * size, d, columns, last, sums);
        if (inverse) {
            for (int i = 0; i < d; i++) whole += gap[i] * gap[i];
            far = inverse[p] * whole - far;
        }
        out[p] = far < 0 ? 0 : far <= __builtin_inff() ? far : __builtin_inff();
    }
}
