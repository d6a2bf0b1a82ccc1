// Sort the candidates by score, then try each against those that stay, 64 of them at a time: side by side in memory,
// so that the compiler makes whole registers of the comparisons.
#pragma once
#include "cpu.h"
#include <stdlib.h>

enum { BLOCK = 64 };

struct Stay {                                // n floats each, n a multiple of BLOCK, then kinds
    float *x0, *y0, *x1, *y1, *area;
    int32_t* kind;
};

struct Work {
    uint32_t *key, *other_key;               // n each
    int32_t *order, *other_order;
    Stay stay;
};

#define SUFFIX _base
#include "body.h"
#if AISLE_X86
#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi,bmi2,lzcnt,popcnt")
#define SUFFIX _avx2
#include "body.h"
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi,bmi2,lzcnt,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx512vnni")
#define SUFFIX _avx512
#include "body.h"
#pragma GCC pop_options
#endif

// The candidates into key and order; how many. Keys rise as scores fall, -0 and 0 alike.
static int candidates(const float* box, const float* score, int n, float least, Work* w) {
    int held = 0;
    for (int i = 0; i < n; i++, box += 4) {
        if (!(score[i] > least)) continue;
        const float far = 1e9f;
        if (!(box[2] >= box[0] && box[3] >= box[1] && box[0] >= -far && box[1] >= -far && box[2] <= far && box[3] <= far)) continue;
        const float plain = score[i] + 0.f;
        uint32_t bits;
        memcpy(&bits, &plain, 4);
        w->key[held] = bits & 0x80000000u ? bits : ~bits & 0x7fffffffu;
        w->order[held++] = i;
    }
    return held;
}

// Stable, by three digits of 11 bits; the result is in order (and key).
static void sort_candidates(Work* w, int n) {
    int count[3][2048];
    memset(count, 0, sizeof count);
    for (int i = 0; i < n; i++)
        for (int d = 0; d < 3; d++) count[d][w->key[i] >> 11 * d & 2047]++;
    for (int d = 0; d < 3; d++) {
        int at = 0, only = 0;
        for (int v = 0; v < 2048; v++) {
            const int here = count[d][v];
            only |= here == n;
            count[d][v] = at;
            at += here;
        }
        if (only) continue;                  // all share the digit
        for (int i = 0; i < n; i++) {
            const int to = count[d][w->key[i] >> 11 * d & 2047]++;
            w->other_key[to] = w->key[i];
            w->other_order[to] = w->order[i];
        }
        uint32_t* const key = w->key;
        int32_t* const order = w->order;
        w->key = w->other_key, w->order = w->other_order;
        w->other_key = key, w->other_order = order;
    }
}

static void suppress(const float* box, const int32_t* kind, int n, float iou, int level, const Work* w, int32_t* out, int room) {
#if AISLE_X86
    if (level >= 4) suppress_avx512(box, kind, n, iou, w, out, room);
    else if (level >= 2) suppress_avx2(box, kind, n, iou, w, out, room);
    else
#endif
        suppress_base(box, kind, n, iou, w, out, room);
}

// b pictures of n boxes; kind may be NULL. 0, or -1 without memory for the candidates.
static int suppress_all(const float* box, const float* score, const int32_t* kind, int b, int n, float iou, float least,
                        int level, int32_t* out, int room) {
    const size_t wide = ((size_t)n / BLOCK + 1) * BLOCK;
    uint32_t* memory = (uint32_t*)malloc(wide * 10 * sizeof(uint32_t));
    if (!memory) return -1;
    Work w;
    w.key = memory, w.other_key = memory + wide;
    w.order = (int32_t*)(memory + 2 * wide), w.other_order = (int32_t*)(memory + 3 * wide);
    float* stay = (float*)(memory + 4 * wide);
    w.stay = Stay{stay, stay + wide, stay + 2 * wide, stay + 3 * wide, stay + 4 * wide, (int32_t*)(memory + 9 * wide)};
    for (long p = 0; p < b; p++) {
        const int held = candidates(box + p * n * 4, score + p * n, n, least, &w);
        sort_candidates(&w, held);
        suppress(box + p * n * 4, kind ? kind + p * n : NULL, held, iou, level, &w, out + p * room, room);
    }
    free(memory);
    return 0;
}
