// Resize by two short lists of taps: first down a column for a whole row at once (long loops, which the compiler
// vectorises), then along it, one pixel's channels in one 4-lane register. One output row at a time stays in the cache:
// source rows -> line (blended, float) -> three rows of planes -> out.
#pragma once
#include "cpu.h"
#include <stdlib.h>

typedef float float4 __attribute__((vector_size(16)));
typedef float float4u __attribute__((vector_size(16), aligned(4)));
typedef int int4 __attribute__((vector_size(16)));
#define AISLE_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (int4){__VA_ARGS__})

enum { COLOUR, GRAY, NV12, YUYV };
enum { FLOAT32, FLOAT16, INT8, UINT8 };

// Output o takes `count` source pixels from first[o] on, with weights weight[o * count ...], 0 beyond the picture.
struct Taps {
    int* first;
    float* weight;
    int count;
};

struct Job {
    const uint8_t* image;
    int height, width, pixels, antialias;    // of the image
    int h, w, top, left;                     // where it goes
    const float* scale;
    const float* bias;
    void* out;
    int out_h, out_w, channels, hwc, type, swap;
    float pad;
    const double* matrix;                    // warp only, with samples an axis
    int samples;
};

struct Scratch {
    Taps rows, columns;                      // of the picture, or of its luma
    Taps half_rows, half_columns;            // of chroma
    int* picked;                             // columns to gather first, in bytes, or NULL
    uint8_t* gathered;                       // two rows of these
    float* line;                             // one blended row
    float* half_line;                        // the same of NV12's chroma
    float* plane[3];                         // one output row a channel, as wide as `out`
    uint8_t* bytes[3];                       // the row of `out` a channel, where bytes are written without passing by `plane`
};

static int make_taps(int size, int wanted, int antialias, Taps* t) {
    const double step = (double)size / wanted;
    const int area = step > 1 && antialias;
    t->count = area ? (int)step + 2 : 2;
    t->first = (int*)malloc(sizeof(int) * wanted);
    t->weight = (float*)calloc((size_t)wanted * t->count, sizeof(float));
    if (!t->first || !t->weight) return -1;
    for (int o = 0; o < wanted; o++) {
        float* weight = t->weight + (long)o * t->count;
        if (!area) {
            double at = (o + 0.5) * step - 0.5;
            at = at < 0 ? 0 : at > size - 1 ? size - 1 : at;
            t->first[o] = (int)at;
            weight[1] = (float)(at - (int)at);
            weight[0] = (float)(1 - (at - (int)at));
            continue;
        }
        const double from = o * step, to = (o + 1) * step < size ? (o + 1) * step : size;
        t->first[o] = (int)from;
        for (int k = 0; k < t->count; k++) {
            const int i = t->first[o] + k;
            const double part = (i + 1 < to ? i + 1 : to) - (i > from ? i : from);
            weight[k] = i < size && part > 0 ? (float)(part / (to - from)) : 0.f;
        }
    }
    return 0;
}

static void free_taps(Taps* t) { free(t->first), free(t->weight); }

// The nearest half, ties to even, in whole-number arithmetic; a NaN cannot come.
static inline uint16_t half_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    const uint16_t sign = (uint16_t)((bits >> 16) & 0x8000);
    bits &= 0x7fffffff;
    if (bits >= 0x47800000) return sign | 0x7c00;
    if (bits < 0x38800000) {                 // below the least normal half: the float adder rounds for us
        float small;
        memcpy(&small, &bits, 4);
        small += 0.5f;
        memcpy(&bits, &small, 4);
        return sign | (uint16_t)(bits - 0x3f000000);
    }
    bits += 0xc8000fffu + ((bits >> 13) & 1);
    return sign | (uint16_t)(bits >> 13);
}

#define SUFFIX _base
#define ISA 0
#include "body.h"
#if AISLE_X86
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi,bmi2,lzcnt,popcnt")
#define SUFFIX _avx2
#define ISA 2
#include "body.h"
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi,bmi2,lzcnt,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx512vnni")
#define SUFFIX _avx512
#define ISA 4
#include "body.h"
#pragma GCC pop_options
#endif

// Where few of the columns are read, those are gathered before rows are blended: pairs of them, side by side.
static int pick_columns(const Job* j, Scratch* s) {
    if (j->pixels != COLOUR || j->antialias || j->width < 4L * j->w) return 0;
    s->picked = (int*)malloc(sizeof(int) * j->w);
    s->gathered = (uint8_t*)malloc(2 * (6 * (size_t)j->w + 8));
    if (!s->picked || !s->gathered) return -1;
    for (int x = 0; x < j->w; x++) {
        s->picked[x] = s->columns.first[x];
        if (s->picked[x] > j->width - 2) {   // the last column's partner has weight 0 and would lie outside
            s->picked[x] = j->width - 2;
            s->columns.weight[2 * x] = 0, s->columns.weight[2 * x + 1] = 1;
        }
        s->picked[x] *= 3;
        s->columns.first[x] = 2 * x;
    }
    return 0;
}

// Colour's columns as `across` wants them: places in floats, weights in groups of four pixels.
static int group_columns(const Job* j, Taps* t) {
    float* grouped = (float*)calloc(((size_t)j->w + 3) / 4 * 4 * t->count, sizeof(float));
    if (!grouped) return -1;
    for (int x = 0; x < j->w; x++) {
        t->first[x] *= 3;
        for (int k = 0; k < t->count; k++)
            grouped[((long)x / 4 * t->count + k) * 4 + x % 4] = t->weight[(long)x * t->count + k];
    }
    free(t->weight);
    t->weight = grouped;
    return 0;
}

static int prepare(const Job* j, Scratch* s) {
    int bad = make_taps(j->height, j->h, j->antialias, &s->rows) | make_taps(j->width, j->w, j->antialias, &s->columns);
    if (!bad) bad = pick_columns(j, s);
    if (!bad && j->pixels == COLOUR) bad = group_columns(j, &s->columns);
    if (!bad && j->pixels == NV12) bad = make_taps(j->height / 2, j->h, j->antialias, &s->half_rows);
    if (!bad && j->pixels >= NV12) bad = make_taps(j->width / 2, j->w, j->antialias, &s->half_columns);
    // Taps of weight 0 may read past the row: at most one pixel's taps, which calloc leaves at 0.
    const size_t spare = 4 * ((size_t)s->columns.count + s->half_columns.count) + 16;
    s->line = (float*)calloc(3 * (size_t)j->width + spare, sizeof(float));
    if (j->pixels == NV12) s->half_line = (float*)calloc((size_t)j->width + spare, sizeof(float));
    return bad || !s->line || (j->pixels == NV12 && !s->half_line) ? -1 : 0;
}

static int make_planes(const Job* j, Scratch* s) {
    s->plane[0] = (float*)malloc(3 * ((size_t)j->out_w + 16) * sizeof(float));
    for (int c = 1; c < 3 && s->plane[0]; c++) s->plane[c] = s->plane[0] + c * ((size_t)j->out_w + 16);
    return s->plane[0] ? 0 : -1;
}

static void release(Scratch* s) {
    free_taps(&s->rows), free_taps(&s->columns), free_taps(&s->half_rows), free_taps(&s->half_columns);
    free(s->picked), free(s->gathered), free(s->line), free(s->half_line), free(s->plane[0]);
}

// 0, or -1 when there is no memory for a few rows and the taps.
static int fill(const Job* j, int level) {
    Scratch s;
    memset(&s, 0, sizeof s);
    const int bad = (j->matrix ? 0 : prepare(j, &s)) | make_planes(j, &s);
    if (!bad) {
#if AISLE_X86
        if (level >= 4) fill_avx512(j, &s);
        else if (level >= 2) fill_avx2(j, &s);
        else
#endif
            fill_base(j, &s);
    }
    release(&s);
    return bad;
}
