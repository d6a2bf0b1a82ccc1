// The best k rows by inner product: scores of a group of rows, of which nearly none is above the worst of the best; those
// that are go into a heap that lies in the caller's arrays, worst at the root.
#pragma once
#include "cpu.h"
#include <algorithm>
#include <functional>
// gcc 12 says these of its own AVX-512 header.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

#define MAX_DEPTH 4096
#define MAX_MANY 16                // queries that pass over the same rows together
#define BLOCK_BYTES (128 * 1024)   // of the table, kept in the second cache while every query passes over it

template <class S> struct Best {
    int32_t* ids;
    S* scores;
    int k;
};

template <class S> static inline bool worse(S a, int32_t a_id, S b, int32_t b_id) {
    return a < b || (a == b && a_id > b_id);
}

template <class S> static void sift(const Best<S>* best, int size, S score, int32_t id) {
    int at = 0;
    for (int child = 1; child < size; child = 2 * at + 1) {
        if (child + 1 < size && worse(best->scores[child + 1], best->ids[child + 1], best->scores[child], best->ids[child])) child++;
        if (!worse(best->scores[child], best->ids[child], score, id)) break;
        best->scores[at] = best->scores[child], best->ids[at] = best->ids[child];
        at = child;
    }
    best->scores[at] = score, best->ids[at] = id;
}

static inline bool is_blocked(const uint8_t* blocked, long row) { return blocked && blocked[row >> 3] >> (row & 7) & 1; }

// Rows come with rising ids, so that of equals the first stays.
template <class S> static void offer(const Best<S>* best, long row, S score, const uint8_t* blocked) {
    if (!(score > best->scores[0]) || is_blocked(blocked, row)) return;
    sift(best, best->k, score, (int32_t)row);
}

template <class S> static void sort_best(const Best<S>* best) {
    for (int size = best->k - 1; size > 0; size--) {
        const S score = best->scores[size];
        const int32_t id = best->ids[size];
        best->scores[size] = best->scores[0], best->ids[size] = best->ids[0];
        sift(best, size, score, id);
    }
}

static inline float worst_of(const Best<float>* best) { return best->scores[0]; }

// Many of the best: no heap, but a list that is cut to the best `many` whenever its room is full. A row is one whole number,
// the greater the better: its score's bits, in an order that whole numbers have too, above the complement of its id.
struct Pool {
    uint64_t* keys;
    int size, many, room;
    float worst;
};
static inline uint64_t key_of(float score, int32_t id) {
    score += 0.f;    // -0 is 0
    uint32_t bits;
    memcpy(&bits, &score, 4);
    bits ^= (uint32_t)((int32_t)bits >> 31) | 0x80000000u;
    return (uint64_t)bits << 32 | (uint32_t)~id;
}
static inline int32_t id_of(uint64_t key) { return (int32_t) ~(uint32_t)key; }
static inline float score_of_key(uint64_t key) {
    uint32_t bits = (uint32_t)(key >> 32);
    bits ^= bits >> 31 ? 0x80000000u : 0xFFFFFFFFu;
    float score;
    memcpy(&score, &bits, 4);
    return score;
}
static inline float worst_of(const Pool* pool) { return pool->worst; }
static void cut(Pool* pool) {
    if (pool->size < pool->many) return;
    std::nth_element(pool->keys, pool->keys + pool->many - 1, pool->keys + pool->size, std::greater<uint64_t>());
    pool->size = pool->many, pool->worst = score_of_key(pool->keys[pool->many - 1]);
}
static inline void offer(Pool* pool, long row, float score, const uint8_t* blocked) {
    if (!(score > pool->worst) || is_blocked(blocked, row)) return;
    pool->keys[pool->size++] = key_of(score, (int32_t)row);
    if (pool->size == pool->room) cut(pool);
}

// A sum as a score; product by product, so that every instruction set rounds alike. Null counts as 1 and as 0.
static inline float weighed(float sum, const float* scale, const float* bias, long row, float gain) {
    if (scale) sum *= scale[row];
    sum *= gain;
    return bias ? sum + bias[row] : sum;
}

struct Floats {
    const float* rows;
    const uint8_t* blocked;
    const float* scale;
    const float* bias;
};

#define FLOATS_BODY "floats_body.h"
#include "floats.h"

#include "rows.h"

struct PackedTable { Table table; };

template <class S> static inline void scan(const Table* t, long first, long last, int d, const int8_t* queries, int count, const float* gains,
                                           const Best<S>* best, int level) {
#if AISLE_X86
    if (level >= 4 && count > 1) return rows_vnni::scan_many(t, first, last, d, queries, count, gains, best);
    if (level >= 4) return rows_vnni::scan(t, first, last, d, queries, gains ? *gains : 1.f, best);
    if (level >= 2 && count > 1) return rows_avx2::scan_many(t, first, last, d, queries, count, gains, best);
    if (level >= 2) return rows_avx2::scan(t, first, last, d, queries, gains ? *gains : 1.f, best);
#endif
    for (int i = 0; i < count; i++) rows_base::scan(t, first, last, d, queries + (long)i * d, gains ? gains[i] : 1.f, &best[i]);
}
static inline void scan(const PackedTable* p, long first, long last, int d, const int8_t* queries, int count, const float* gains,
                        const Best<float>* best, int level) {
    const Table* t = &p->table;
#if AISLE_X86
    if (level >= 4) return rows_vnni::scan_packed(t, first, last, d, queries, count, gains, best);
    if (level >= 2) return rows_avx2::scan_packed(t, first, last, d, queries, count, gains, best);
#endif
    rows_base::scan_packed(t, first, last, d, queries, count, gains, best);
}
static inline void scan(const Floats* t, long first, long last, int d, const float* queries, int count, const float* gains,
                        const Best<float>* best, int level) {
    for (int i = 0; i < count; i++) {
        const float gain = gains ? gains[i] : 1.f;
        const float* query = queries + (long)i * d;
#if AISLE_X86
        if (level >= 4) floats_avx512::scan_float(t, first, last, d, query, gain, &best[i]);
        else if (level >= 2) floats_avx2::scan_float(t, first, last, d, query, gain, &best[i]);
        else
#endif
        floats_base::scan_float(t, first, last, d, query, gain, &best[i]);
    }
}

static inline void scan_pool(const Table* t, long last, int d, const int8_t* query, const float* gain, Pool* pool, int level) {
#if AISLE_X86
    if (level >= 4) return rows_vnni::scan_packed(t, 0, last, d, query, 1, gain, pool);
    if (level >= 2) return rows_avx2::scan_packed(t, 0, last, d, query, 1, gain, pool);
#endif
    rows_base::scan_packed(t, 0, last, d, query, 1, gain, pool);
}

// `lowest` fills the heap at first: whatever is above it replaces it.
template <class T, class Q, class S>
static void best_rows(const Q* queries, const T* table, const float* gains, long n, int q, int d, int k, S lowest, int level, int32_t* ids,
                      S* scores) {
    for (long i = 0; i < (long)q * k; i++) ids[i] = -1, scores[i] = lowest;
    const long fits = BLOCK_BYTES / ((long)d * (long)sizeof(Q)) & ~31L;
    const long block = q <= MAX_MANY && sizeof(Q) == 1 ? n : q == 1 ? n : fits > 32 ? fits : 32;
    for (long first = 0; first < n; first += block)
        for (int i = 0; i < q; i += MAX_MANY) {
            const int count = q - i < MAX_MANY ? q - i : MAX_MANY;
            Best<S> best[MAX_MANY];
            for (int j = 0; j < count; j++) best[j] = {ids + (long)(i + j) * k, scores + (long)(i + j) * k, k};
            scan(table, first, first + block < n ? first + block : n, d, queries + (long)i * d, count, gains ? gains + i : gains, best, level);
        }
    for (int i = 0; i < q; i++) {
        const Best<S> best = {ids + (long)i * k, scores + (long)i * k, k};
        sort_best(&best);
    }
}

static inline void best_int8(const int8_t* queries, const int8_t* rows, const uint8_t* blocked, long n, int q, int d, int k, int level,
                             int32_t* ids, int32_t* scores) {
    const Table table = {rows, blocked, nullptr, nullptr};
    best_rows(queries, &table, (const float*)nullptr, n, q, d, k, (int32_t)INT32_MIN, level, ids, scores);
}
static inline void best_int8(const int8_t* queries, const int8_t* rows, const uint8_t* blocked, const float* scale, const float* gains,
                             const float* bias, long n, int q, int d, int k, int level, int32_t* ids, float* scores) {
    const Table table = {rows, blocked, scale, bias};
    best_rows(queries, &table, gains, n, q, d, k, -__builtin_inff(), level, ids, scores);
}
// Rows in blocks of 16, [block][d / 4][16][4], each code + 128; n is a multiple of 16.
static inline void best_packed(const int8_t* queries, const uint8_t* rows, const uint8_t* blocked, const float* scale, const float* gains,
                               const float* bias, long n, int q, int d, int k, int level, int32_t* ids, float* scores) {
    const PackedTable table = {{(const int8_t*)rows, blocked, scale, bias}};
    best_rows(queries, &table, gains, n, q, d, k, -__builtin_inff(), level, ids, scores);
}
static inline void best_float(const float* queries, const float* rows, const uint8_t* blocked, const float* scale, const float* gains,
                              const float* bias, long n, int q, int d, int k, int level, int32_t* ids, float* scores) {
    const Floats table = {rows, blocked, scale, bias};
    best_rows(queries, &table, gains, n, q, d, k, -__builtin_inff(), level, ids, scores);
}

#include "exact.h"
