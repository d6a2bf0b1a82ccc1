// What is not the one nearest int8 code: lists of the k nearest, and banks of float32 or float16. Windows are runs of codes.
#pragma once
#define FLOATS_BODY "runs.h"
#include "floats.h"

template <class T, class S> struct List {
    const T* query;
    const T* bank;           // codes of one part
    void (*run)(const T*, const T*, long, int, S*);
    int h, w, d, radius, k;
    long codes;
    S most;                  // a query is done once something is within this; below 0 never
    S* out;                  // k a cell, the nearest first
};

template <class S> static inline void insert(S* list, int k, S value) {
    if (!(value < list[k - 1])) return;
    int at = k - 1;
    for (; at > 0 && list[at - 1] > value; at--) list[at] = list[at - 1];
    list[at] = value;
}

template <class T, class S> static void list_run(const List<T, S>* l, long cell, long first, long count) {
    S far[64];
    S* list = l->out + cell * l->k;
    for (long at = 0; at < count; at += 64) {
        if (list[0] <= l->most) return;
        const long some = count - at < 64 ? count - at : 64;
        l->run(l->query + cell * l->d, l->bank + (first + at) * l->d, some, l->d, far);
        for (long i = 0; i < some; i++) insert(list, l->k, far[i]);
    }
}

template <class T, class S> static void list_part(const List<T, S>* l) {
    for (int y = 0; y < l->h; y++)
        for (int x = 0; x < l->w; x++) {
            const long cell = (long)y * l->w + x;
            if (l->radius < 0) {
                list_run(l, cell, 0, l->codes);
                continue;
            }
            const int top = y > l->radius ? y - l->radius : 0, bottom = l->h - 1 - y > l->radius ? y + l->radius : l->h - 1;
            const int left = x > l->radius ? x - l->radius : 0, right = l->w - 1 - x > l->radius ? x + l->radius : l->w - 1;
            for (int by = top; by <= bottom; by++) list_run(l, cell, (long)by * l->w + left, right - left + 1);
        }
}

typedef void (*RunFloats)(const float*, const float*, long, int, float*);
typedef void (*RunCodes)(const int8_t*, const int8_t*, long, int, int32_t*);
static inline RunFloats run_floats_for(int level) {
#if AISLE_X86
    if (level >= 4) return floats_avx512::run_floats;
    if (level >= 2) return floats_avx2::run_floats;
#endif
    return floats_base::run_floats;
}
static inline RunCodes run_codes_for(int level) {
#if AISLE_X86
    if (level >= 4) return vnni::run_codes;
    if (level >= 2) return avx2::run_codes;
#endif
    return base::run_codes;
}

static void list_codes(const Job* j, int k, int level, int32_t* out) {
    for (long i = 0; i < j->cells * k; i++) out[i] = INT32_MAX;
    for (int part = 0; part < j->parts; part++) {
        if (j->skip[part]) continue;
        const List<int8_t, int32_t> l = {j->query, j->bank + (long)part * j->codes * j->d, run_codes_for(level), j->h, j->w, j->d,
                                         j->radius, k, j->codes, -1, out};
        list_part(&l);
    }
}

// `halves` is the bank as float16 and `floats` as float32; the other is NULL. 0, or -1 when there is no memory for the scratch.
static int list_floats(const Job* j, const float* query, const float* floats, const uint16_t* halves, int k, float most, int level,
                       float* out) {
    const long values = j->codes * j->d;
    float* widened = halves ? (float*)malloc(values * 4) : NULL;
    if (halves && !widened) return -1;
    for (long i = 0; i < j->cells * k; i++) out[i] = __builtin_inff();
    for (int part = 0; part < j->parts; part++) {
        if (j->skip[part]) continue;
        for (long i = 0; halves && i < values; i++) widened[i] = from_half(halves[part * values + i]);
        const List<float, float> l = {query, halves ? widened : floats + part * values, run_floats_for(level), j->h, j->w, j->d,
                                      j->radius, k, j->codes, most, out};
        list_part(&l);
    }
    free(widened);
    return 0;
}
