// Squared Mahalanobis distances. The factor is read once, in order: its size is what the time is spent on.
#pragma once
#define FLOATS_BODY "body.h"
#include "floats.h"

#define MAX_DEPTH 4096

struct Places {
    float (*floats)(const float*, const float*, int, int);
    float (*halves)(const float*, const uint16_t*, int, int);
};
static inline Places places_for(int level) {
#if AISLE_X86
    if (level >= 4) return {floats_avx512::place_float, floats_avx512::place_half};
    if (level >= 2) return {floats_avx2::place_float, floats_avx2::place_half};
#endif
    return {floats_base::place_float, floats_base::place_half};
}

// Value by value, for the last places: whole registers would be read beyond the factor there.
static inline float value_of(float x) { return x; }
static inline float value_of(uint16_t x) { return from_half(x); }
template <class T> static float place_plain(const float* gap, const T* factor, int d, int columns) {
    const int r = columns ? columns : d;
    float sum = 0;
    for (int c = 0; c < r; c++) {
        const T* at = factor + c;
        float one = 0;
        for (int j = 0; j < (columns ? d : c + 1); j++, at += columns ? columns : d - j) one += gap[j] * value_of(*at);
        sum += one * one;
    }
    return sum;
}

// `floats` or `halves` is the factor, the other NULL; `inverse` may be NULL; `columns` 0 for a packed triangle.
static inline void distances(const float* features, const float* mean, const float* floats, const uint16_t* halves, const float* inverse,
                             long places, int d, int columns, int level, float* out) {
    const Places run = places_for(level);
    const long size = columns ? (long)d * columns : (long)d * (d + 1) / 2;
    float gap[MAX_DEPTH];
    for (long p = 0; p < places; p++) {
        for (int i = 0; i < d; i++) gap[i] = features[p * d + i] - mean[p * d + i];
        // A row is read up to fifteen values beyond its end.
        const bool plain = (places - 1 - p) * size < 16;
        float far;
        if (floats) far = (plain ? place_plain<float> : run.floats)(gap, floats + p * size, d, columns);
        else far = (plain ? place_plain<uint16_t> : run.halves)(gap, halves + p * size, d, columns);
        if (inverse) {
            // Eight sums side by side: one alone would wait for itself.
            float parts[8] = {0}, whole = 0;
            int i = 0;
            for (; i + 8 <= d; i += 8)
                for (int k = 0; k < 8; k++) parts[k] += gap[i + k] * gap[i + k];
            for (; i < d; i++) whole += gap[i] * gap[i];
            for (int k = 0; k < 8; k++) whole += parts[k];
            far = inverse[p] * whole - far;
        }
        out[p] = far < 0 ? 0 : far <= __builtin_inff() ? far : __builtin_inff();
    }
}
