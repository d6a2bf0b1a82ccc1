// Resize by two short lists of taps: first down a column for a whole row at once (long loops, which the compiler
// vectorises), then along it, one pixel's channels in one 4-lane register.
#pragma once
#include "cpu.h"
#include <stdlib.h>

typedef float float4 __attribute__((vector_size(16)));
typedef float float4u __attribute__((vector_size(16), aligned(4)));

// Output o takes count[o] source pixels from first[o] on, with weights weight[o * most ...].
struct Taps {
    int* first;
    int* count;
    float* weight;
    int most;
};

static int make_taps(int size, int wanted, Taps* t) {
    const double step = (double)size / wanted;
    t->most = step <= 1 ? 2 : (int)step + 3;
    t->first = (int*)malloc(sizeof(int) * wanted);
    t->count = (int*)malloc(sizeof(int) * wanted);
    t->weight = (float*)malloc(sizeof(float) * wanted * t->most);
    if (!t->first || !t->count || !t->weight) return -1;
    for (int o = 0; o < wanted; o++) {
        float* weight = t->weight + (long)o * t->most;
        if (step <= 1) {
            double at = (o + 0.5) * step - 0.5;
            at = at < 0 ? 0 : at > size - 1 ? size - 1 : at;
            const int low = (int)at;
            t->first[o] = low;
            t->count[o] = low + 1 < size ? 2 : 1;
            weight[0] = t->count[o] == 2 ? (float)(1 - (at - low)) : 1.f;
            weight[1] = (float)(at - low);
            continue;
        }
        const double from = o * step, to = (o + 1) * step < size ? (o + 1) * step : size;
        const int low = (int)from;
        int count = 0;
        double sum = 0;
        for (int i = low; i < size && i < to && count < t->most; i++, count++)
            sum += (i + 1 < to ? i + 1 : to) - (i > from ? i : from);
        for (int k = 0; k < count; k++) {
            const int i = low + k;
            weight[k] = (float)(((i + 1 < to ? i + 1 : to) - (i > from ? i : from)) / sum);
        }
        t->first[o] = low;
        t->count[o] = count;
    }
    return 0;
}

static void free_taps(Taps* t) { free(t->first), free(t->count), free(t->weight); }

struct Job {
    const uint8_t* image;
    int height, width;                       // of the image
    int h, w, top, left;                     // where it goes
    const float* scale;
    const float* bias;
    int swap;
    float* out;
    int out_h, out_w;
};

#define SUFFIX _base
#include "body.h"
#if AISLE_X86
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi,bmi2,lzcnt,popcnt")
#define SUFFIX _avx2
#include "body.h"
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi,bmi2,lzcnt,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx512vnni")
#define SUFFIX _avx512
#include "body.h"
#pragma GCC pop_options
#endif

static void fill_pad(const Job* j, float pad) {
    for (int c = 0; c < 3; c++) {
        const float value = pad * j->scale[c] + j->bias[c];
        float* plane = j->out + (long)c * j->out_h * j->out_w;
        for (int y = 0; y < j->out_h; y++) {
            const int inside = y >= j->top && y < j->top + j->h;
            for (int x = 0; x < (inside ? j->left : j->out_w); x++) plane[(long)y * j->out_w + x] = value;
            if (inside)
                for (int x = j->left + j->w; x < j->out_w; x++) plane[(long)y * j->out_w + x] = value;
        }
    }
}

// 0, or -1 when there is no memory for one row and the taps.
static int resize(const Job* j, float pad, int level) {
    Taps rows = {0, 0, 0, 0}, columns = {0, 0, 0, 0};
    float* line = (float*)calloc(3 * (long)j->width + 8, sizeof(float));
    const int bad = make_taps(j->height, j->h, &rows) | make_taps(j->width, j->w, &columns) | !line;
    if (!bad) {
        fill_pad(j, pad);
#if AISLE_X86
        if (level >= 4) resize_avx512(j, &rows, &columns, line);
        else if (level >= 2) resize_avx2(j, &rows, &columns, line);
        else
#endif
            resize_base(j, &rows, &columns, line);
    }
    free_taps(&rows), free_taps(&columns), free(line);
    return bad ? -1 : 0;
}
