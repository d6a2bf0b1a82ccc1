// What is not the one nearest int8 code: lists of the k nearest, and banks of float32 or float16. Windows are runs of codes.
#pragma once
#include "columns.h"
#include "half.h"
static inline float value_of(float x) { return x; }
static inline float value_of(uint16_t x) { return from_half(x); }
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

typedef void (*RunCodes)(const int8_t*, const int8_t*, long, int, int32_t*);
struct Floats {
    void (*run)(const float*, const float*, long, int, float*);
    void (*meet)(const float* const*, const float*, int, float*);
    void (*beside_floats)(const float*, long, int, float*);
    void (*beside_halves)(const uint16_t*, long, int, float*);
    bool (*any_below)(const float*, long, float);
    int queries;
};
#define FLOATS(set) {set::run_floats, set::meet, set::beside_floats, set::beside_halves, set::any_below, set::QUERIES}
static inline Floats floats_for(int level) {
#if AISLE_X86
    if (level >= 4) return FLOATS(floats_avx512);
    if (level >= 2) return FLOATS(floats_avx2);
#endif
    return FLOATS(floats_base);
}
static inline RunCodes run_codes_for(int level) {
#if AISLE_X86
    if (level >= 4) return vnni::run_codes;
    if (level >= 2) return avx2::run_codes;
#elif defined(__aarch64__)
    if (level >= 1) return dot::run_codes;
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

// One part of the whole bank: blocks of 64 codes, made once and met by all queries that are open, of which some are left.
template <class T> static long whole_floats(const Job* j, const Floats* f, const float* query, const T* codes,
                                            void (*beside)(const T*, long, int, float*), int k, float most, float* block, int32_t* ids,
                                            long open, float* out) {
    float far[8 * 64];
    for (long at = 0; at < j->codes && open; at += 64) {
        const long count = j->codes - at < 64 ? j->codes - at : 64;
        beside(codes + at * j->d, count, j->d, block);
        for (long i = 0; i < open; i += f->queries) {
            const float* some[8];
            for (int n = 0; n < f->queries; n++) some[n] = query + (long)ids[i + n < open ? i + n : open - 1] * j->d;
            f->meet(some, block, j->d, far);
            for (int n = 0; n < f->queries && i + n < open; n++) {
                float* list = out + (long)ids[i + n] * k;
                if (!f->any_below(far + 64 * n, count, list[k - 1])) continue;
                for (long c = 0; c < count; c++) insert(list, k, far[64 * n + c]);
            }
        }
        long left = 0;
        for (long i = 0; i < open; i++)
            if (!(out[(long)ids[i] * k] <= most)) ids[left++] = ids[i];
        open = left;
    }
    return open;
}

// `halves` is the bank as float16 and `floats` as float32; the other is NULL. 0, or -1 when there is no memory for the scratch.
static int list_floats(const Job* j, const float* query, const float* floats, const uint16_t* halves, int k, float most, int level,
                       float* out) {
    const Floats f = floats_for(level);
    const long values = j->codes * j->d;
    const int whole = j->radius < 0 && j->d <= CODES_DEPTH;
    float* room = whole || halves ? (float*)aligned_alloc(64, (whole ? 64L * j->d : (values + 15) & ~15L) * 4) : NULL;
    int32_t* ids = whole ? (int32_t*)malloc(j->cells * 4) : NULL;
    const int bad = ((whole || halves) && !room) || (whole && !ids);
    long open = j->cells;
    for (long i = 0; !bad && i < j->cells * k; i++) out[i] = __builtin_inff();
    for (long c = 0; !bad && whole && c < j->cells; c++) ids[c] = (int32_t)c;
    for (int part = 0; !bad && part < j->parts && open; part++) {
        if (j->skip[part]) continue;
        const float* codes = halves ? NULL : floats + part * values;
        const uint16_t* small = halves ? halves + part * values : NULL;
        if (whole) {
            open = halves ? whole_floats(j, &f, query, small, f.beside_halves, k, most, room, ids, open, out)
                          : whole_floats(j, &f, query, codes, f.beside_floats, k, most, room, ids, open, out);
            continue;
        }
        for (long i = 0; halves && i < values; i++) room[i] = from_half(small[i]);
        const List<float, float> l = {query, halves ? room : codes, f.run, j->h, j->w, j->d, j->radius, k, j->codes, most, out};
        list_part(&l);
    }
    free(room), free(ids);
    return bad ? -1 : 0;
}
