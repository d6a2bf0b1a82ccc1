// Nearest int8 codes: |q-b|^2 = |q|^2 + |b|^2 - 2 q.b, with q shifted by 128 to be unsigned as VNNI wants it:
// (q+128).b = q.b + 128 sum(b), so the bank's term is |b|^2 + 256 sum(b). All whole numbers: every variant is exact.
#pragma once
#include "cpu.h"
#include <stdlib.h>
// gcc 12 says these of its own AVX-512 header.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

// Scratch of a call: the shifted query, its norms, the bank's terms.
struct Terms {
    uint8_t* query;
    int32_t* query_norm;
    int32_t* bank_term;
};

static inline int32_t dot_one(const uint8_t* q, const int8_t* b, int d) {
    int32_t sum = 0;
    for (int i = 0; i < d; i++) sum += (int32_t)q[i] * b[i];
    return sum;
}

static inline void dots_base(const uint8_t* q, const int8_t* b, long qstep, long bstep, int d, int32_t* out) {
    for (int k = 0; k < 4; k++) out[k] = dot_one(q + k * qstep, b + k * bstep, d);
}
#define SUFFIX _base
#define LANES 4
#define DOTS dots_base
#include "body.h"

#if AISLE_X86
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi,bmi2,lzcnt,popcnt")
// The sum of eight registers' lanes, one a lane of the result.
static inline __m256i sum_lanes8(const __m256i* a) {
    const __m256i p = _mm256_hadd_epi32(_mm256_hadd_epi32(a[0], a[1]), _mm256_hadd_epi32(a[2], a[3]));
    const __m256i r = _mm256_hadd_epi32(_mm256_hadd_epi32(a[4], a[5]), _mm256_hadd_epi32(a[6], a[7]));
    return _mm256_add_epi32(_mm256_permute2x128_si256(p, r, 0x20), _mm256_permute2x128_si256(p, r, 0x31));
}
static inline void dots_avx2(const uint8_t* q, const int8_t* b, long qstep, long bstep, int d, int32_t* out) {
    __m256i sums[8];
    const int whole = d & ~15;
    for (int k = 0; k < 8; k++) {
        const uint8_t* u = q + k * qstep;
        const int8_t* s = b + k * bstep;
        __m256i sum = _mm256_setzero_si256();
        for (int i = 0; i < whole; i += 16)
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(
                _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i*)(u + i))),
                _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i*)(s + i)))));
        sums[k] = sum;
    }
    _mm256_storeu_si256((__m256i*)out, sum_lanes8(sums));
    if (whole < d)
        for (int k = 0; k < 8; k++) out[k] += dot_one(q + k * qstep + whole, b + k * bstep + whole, d - whole);
}
#define SUFFIX _avx2
#define LANES 8
#define DOTS dots_avx2
#include "body.h"
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi,bmi2,lzcnt,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx512vnni")
// Sixteen registers become one: lane k of the result is the sum of the lanes of a[k].
static inline __m512i sum_lanes16(const __m512i* a) {
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
static inline void dots_vnni(const uint8_t* q, const int8_t* b, long qstep, long bstep, int d, int32_t* out) {
    __m512i sums[16];
    if (d == 64) {   // what a recipe has: no loop, sixteen registers
#pragma GCC unroll 16
        for (int k = 0; k < 16; k++)
            sums[k] = _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_loadu_si512(q + k * qstep), _mm512_loadu_si512(b + k * bstep));
        _mm512_storeu_si512(out, sum_lanes16(sums));
        return;
    }
    const int whole = d & ~63;
    const __mmask64 tail = d > whole ? ~(__mmask64)0 >> (64 - (d - whole)) : 0;
    for (int k = 0; k < 16; k++) {
        const uint8_t* u = q + k * qstep;
        const int8_t* s = b + k * bstep;
        __m512i sum = _mm512_setzero_si512();
        for (int i = 0; i < whole; i += 64)
            sum = _mm512_dpbusd_epi32(sum, _mm512_loadu_si512(u + i), _mm512_loadu_si512(s + i));
        if (tail)
            sum = _mm512_dpbusd_epi32(sum, _mm512_maskz_loadu_epi8(tail, u + whole), _mm512_maskz_loadu_epi8(tail, s + whole));
        sums[k] = sum;
    }
    _mm512_storeu_si512(out, sum_lanes16(sums));
}
#define SUFFIX _vnni
#define LANES 16
#define DOTS dots_vnni
#include "body.h"
#pragma GCC pop_options
#endif

typedef void (*RowShifted)(const uint8_t*, const int32_t*, const int8_t*, const int32_t*, int, int, int, int32_t*);
typedef void (*FillTerms)(const int8_t*, const int8_t*, long, long, int, Terms*);
typedef void (*RowSingle)(const uint8_t*, const int32_t*, const int8_t*, int32_t, long, int, int32_t*);

static RowShifted row_shifted_for(int level) {
#if AISLE_X86
    if (level >= 4) return row_shifted_vnni;
    if (level >= 2) return row_shifted_avx2;
#endif
    return row_shifted_base;
}
static RowSingle row_single_for(int level) {
#if AISLE_X86
    if (level >= 4) return row_single_vnni;
    if (level >= 2) return row_single_avx2;
#endif
    return row_single_base;
}

static FillTerms fill_terms_for(int level) {
#if AISLE_X86
    if (level >= 4) return fill_terms_vnni;
    if (level >= 2) return fill_terms_avx2;
#endif
    return fill_terms_base;
}

// 0, or -1 when there is no memory for the scratch. `radius` -1 compares with the whole bank.
static int nearest(const int8_t* query, const int8_t* bank, const uint8_t* skip, int n, int h, int w, int bh, int bw,
                   int d, int radius, int level, int32_t* out) {
    const long cells = (long)h * w, codes = (long)bh * bw;
    // Whole cache lines: a code of 64 bytes is then read by one load.
    Terms t = {(uint8_t*)aligned_alloc(64, (cells * d + 63) & ~63L), (int32_t*)malloc(cells * 4), (int32_t*)malloc(n * codes * 4)};
    if (!t.query || !t.query_norm || !t.bank_term) {
        free(t.query), free(t.query_norm), free(t.bank_term);
        return -1;
    }
    fill_terms_for(level)(query, bank, cells, n * codes, d, &t);
    for (long c = 0; c < cells; c++) out[c] = INT32_MAX;
    const RowShifted shifted = row_shifted_for(level);
    const RowSingle single = row_single_for(level);
    for (int part = 0; part < n; part++) {
        if (skip[part]) continue;
        const int8_t* b = bank + part * codes * d;
        const int32_t* bn = t.bank_term + part * codes;
        if (radius < 0) {
            for (long c = 0; c < codes; c++) single(t.query, t.query_norm, b + c * d, bn[c], cells, d, out);
            continue;
        }
        const int reach = radius < w - 1 ? radius : w - 1;
        for (int y = 0; y < h; y++)
            for (int by = y > radius ? y - radius : 0; by < h && by <= y + radius; by++)
                for (int shift = -reach; shift <= reach; shift++)
                    shifted(t.query + (long)y * w * d, t.query_norm + (long)y * w, b + (long)by * w * d,
                            bn + (long)by * w, w, d, shift, out + (long)y * w);
    }
    free(t.query), free(t.query_norm), free(t.bank_term);
    return 0;
}
