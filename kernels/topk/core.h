// The best k rows by inner product: scores of a group of rows, of which nearly none is above the worst of the best; those
// that are go into a heap that lies in the caller's arrays, worst at the root.
#pragma once
#include "cpu.h"
// gcc 12 says these of its own AVX-512 header.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

#define MAX_DEPTH 4096
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

// Rows come with rising ids, so that of equals the first stays.
template <class S> static void offer(const Best<S>* best, long row, S score, const uint8_t* blocked) {
    if (!(score > best->scores[0]) || (blocked && blocked[row >> 3] >> (row & 7) & 1)) return;
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

static inline int32_t dot_int8(const int8_t* a, const int8_t* b, int d) {
    int32_t sum = 0;
    for (int i = 0; i < d; i++) sum += (int32_t)a[i] * b[i];
    return sum;
}

#define FLOATS_BODY "floats_body.h"
#include "floats.h"

// A query in the form its instruction set wants.
template <int depth> struct Query {
    alignas(64) int16_t wide[depth];
    alignas(64) int8_t codes[depth];
    int32_t offset;
};

static inline void prepare_base(const int8_t* query, int d, Query<MAX_DEPTH>* q) {
    for (int i = 0; i < d; i++) q->codes[i] = query[i];
}
static inline uint32_t above_int8_base(const int8_t* rows, const Query<MAX_DEPTH>* q, int d, int32_t worst, int32_t* out) {
    uint32_t above = 0;
    for (int k = 0; k < 4; k++) {
        out[k] = dot_int8(rows + (long)k * d, q->codes, d);
        above |= (uint32_t)(out[k] > worst) << k;
    }
    return above;
}
#define SUFFIX _base
#define STEP 4
#include "body.h"

#if AISLE_X86
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi,bmi2,lzcnt,popcnt")
static inline void prepare_avx2(const int8_t* query, int d, Query<MAX_DEPTH>* q) {
    for (int i = 0; i < d; i++) q->wide[i] = query[i];
    for (int i = 0; i < d; i++) q->codes[i] = query[i];
}
static inline uint32_t above_int8_avx2(const int8_t* rows, const Query<MAX_DEPTH>* q, int d, int32_t worst, int32_t* out) {
    __m256i a[8];
    const int whole = d & ~15;
    for (int k = 0; k < 8; k++) {
        a[k] = _mm256_setzero_si256();
        for (int i = 0; i < whole; i += 16)
            a[k] = _mm256_add_epi32(a[k], _mm256_madd_epi16(_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i*)(rows + (long)k * d + i))),
                                                            _mm256_load_si256((const __m256i*)(q->wide + i))));
    }
    // The sum of eight registers' lanes, one a lane of the result.
    const __m256i p = _mm256_hadd_epi32(_mm256_hadd_epi32(a[0], a[1]), _mm256_hadd_epi32(a[2], a[3]));
    const __m256i r = _mm256_hadd_epi32(_mm256_hadd_epi32(a[4], a[5]), _mm256_hadd_epi32(a[6], a[7]));
    __m256i sum = _mm256_add_epi32(_mm256_permute2x128_si256(p, r, 0x20), _mm256_permute2x128_si256(p, r, 0x31));
    _mm256_storeu_si256((__m256i*)out, sum);
    if (whole < d) {
        for (int k = 0; k < 8; k++) out[k] += dot_int8(rows + (long)k * d + whole, q->codes + whole, d - whole);
        sum = _mm256_loadu_si256((const __m256i*)out);
    }
    return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(sum, _mm256_set1_epi32(worst))));
}
#define SUFFIX _avx2
#define STEP 8
#include "body.h"
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi,bmi2,lzcnt,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx512vnni")
// VNNI multiplies unsigned by signed: a row with its top bits flipped is row + 128, so 128 sum(query) is taken off again.
static inline void prepare_vnni(const int8_t* query, int d, Query<MAX_DEPTH>* q) {
    int32_t sum = 0;
    for (int i = 0; i < d; i++) q->codes[i] = query[i], sum += query[i];
    for (int i = d; i < ((d + 63) & ~63); i++) q->codes[i] = 0;
    q->offset = -128 * sum;
}
// Sixteen registers become one: lane k of the result is the sum of the lanes of a[k].
static inline __m512i lanes_vnni(const __m512i* a) {
    __m512i two[8], four[4];
#pragma GCC unroll 8
    for (int k = 0; k < 8; k++)
        two[k] = _mm512_add_epi32(_mm512_unpacklo_epi32(a[2 * k], a[2 * k + 1]), _mm512_unpackhi_epi32(a[2 * k], a[2 * k + 1]));
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++)
        four[k] = _mm512_add_epi32(_mm512_unpacklo_epi64(two[2 * k], two[2 * k + 1]), _mm512_unpackhi_epi64(two[2 * k], two[2 * k + 1]));
    const __m512i low = _mm512_add_epi32(_mm512_shuffle_i32x4(four[0], four[1], 0x88), _mm512_shuffle_i32x4(four[0], four[1], 0xDD));
    const __m512i high = _mm512_add_epi32(_mm512_shuffle_i32x4(four[2], four[3], 0x88), _mm512_shuffle_i32x4(four[2], four[3], 0xDD));
    return _mm512_add_epi32(_mm512_shuffle_i32x4(low, high, 0x88), _mm512_shuffle_i32x4(low, high, 0xDD));
}
static inline uint32_t above_int8_vnni(const int8_t* rows, const Query<MAX_DEPTH>* q, int d, int32_t worst, int32_t* out) {
    __m512i sums[16];
    const __m512i flip = _mm512_set1_epi8((char)0x80), zero = _mm512_setzero_si512();
    if (d == 64) {   // what an item table has: no loop, and the query stays in a register
        const __m512i codes = _mm512_load_si512(q->codes);
#pragma GCC unroll 16
        for (int k = 0; k < 16; k++) sums[k] = _mm512_dpbusd_epi32(zero, _mm512_xor_si512(_mm512_loadu_si512(rows + k * 64), flip), codes);
    } else {
        const int whole = d & ~63;
        const __mmask64 tail = d > whole ? ~(__mmask64)0 >> (64 - (d - whole)) : 0;
        for (int k = 0; k < 16; k++) {
            const int8_t* r = rows + (long)k * d;
            __m512i sum = zero;
            for (int i = 0; i < whole; i += 64)
                sum = _mm512_dpbusd_epi32(sum, _mm512_xor_si512(_mm512_loadu_si512(r + i), flip), _mm512_load_si512(q->codes + i));
            if (tail)
                sum = _mm512_dpbusd_epi32(sum, _mm512_xor_si512(_mm512_maskz_loadu_epi8(tail, r + whole), flip), _mm512_load_si512(q->codes + whole));
            sums[k] = sum;
        }
    }
    const __m512i scores = _mm512_add_epi32(lanes_vnni(sums), _mm512_set1_epi32(q->offset));
    const __mmask16 above = _mm512_cmpgt_epi32_mask(scores, _mm512_set1_epi32(worst));
    if (__builtin_expect(above, 0)) _mm512_storeu_si512(out, scores);
    return above;
}
#define SUFFIX _vnni
#define STEP 16
#include "body.h"
#pragma GCC pop_options
#endif

static inline void scan(const int8_t* table, long first, long last, int d, const int8_t* query, const uint8_t* blocked,
                        const Best<int32_t>* best, int level) {
#if AISLE_X86
    if (level >= 4) return scan_int8_vnni(table, first, last, d, query, blocked, best);
    if (level >= 2) return scan_int8_avx2(table, first, last, d, query, blocked, best);
#endif
    scan_int8_base(table, first, last, d, query, blocked, best);
}
static inline void scan(const float* table, long first, long last, int d, const float* query, const uint8_t* blocked,
                        const Best<float>* best, int level) {
#if AISLE_X86
    if (level >= 4) return floats_avx512::scan_float(table, first, last, d, query, blocked, best);
    if (level >= 2) return floats_avx2::scan_float(table, first, last, d, query, blocked, best);
#endif
    floats_base::scan_float(table, first, last, d, query, blocked, best);
}

// `lowest` fills the heap at first: whatever is above it replaces it.
template <class T, class S>
static void best_rows(const T* queries, const T* table, const uint8_t* blocked, long n, int q, int d, int k, S lowest, int level,
                      int32_t* ids, S* scores) {
    for (long i = 0; i < (long)q * k; i++) ids[i] = -1, scores[i] = lowest;
    const long fits = BLOCK_BYTES / ((long)d * (long)sizeof(T)) & ~15L;
    const long block = q == 1 ? n : fits > 16 ? fits : 16;
    for (long first = 0; first < n; first += block)
        for (int i = 0; i < q; i++) {
            const Best<S> best = {ids + (long)i * k, scores + (long)i * k, k};
            scan(table, first, first + block < n ? first + block : n, d, queries + (long)i * d, blocked, &best, level);
        }
    for (int i = 0; i < q; i++) {
        const Best<S> best = {ids + (long)i * k, scores + (long)i * k, k};
        sort_best(&best);
    }
}

static inline void best_int8(const int8_t* queries, const int8_t* table, const uint8_t* blocked, long n, int q, int d, int k, int level,
                             int32_t* ids, int32_t* scores) {
    best_rows(queries, table, blocked, n, q, d, k, INT32_MIN, level, ids, scores);
}
static inline void best_float(const float* queries, const float* table, const uint8_t* blocked, long n, int q, int d, int k, int level,
                              int32_t* ids, float* scores) {
    best_rows(queries, table, blocked, n, q, d, k, -__builtin_inff(), level, ids, scores);
}
