// int8 codes laid out for squared distances without sums across a register: sixteen codes side by side, one a lane, a group
// of their values in each lane's 32 bits. |q-b|^2 = query term + |b|^2 - 2 * (sum of group products), in whole numbers.
// An op defines CODES_BODY, the file of its loops, which is compiled here once per instruction set, in its namespace.
// Nothing overflows up to CODES_DEPTH values a code: a distance without its query term is below 81,409 a value.
#pragma once
#include "columns.h"
#include "cpu.h"
#include <stdlib.h>
#if defined(__aarch64__)
#include <arm_neon.h>
#endif
// gcc 12 says these of its own AVX-512 header.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

#define CODES_DEPTH 16384
#define CODES_BLOCK 64   // codes of a block: four times sixteen lanes, groups 64 lanes apart

// What codes can be laid out for: 0 base, 1 the dot products of aarch64, 2 AVX2, 4 AVX-512 with VNNI.
static inline int codes_level(void) { return aisle_dot_products() ? 1 : aisle_level(); }
static inline int codes_has(int level) { return level == 0 || level == codes_level() || (level == 2 && codes_level() == 4); }
static inline const char* codes_name(int level) {
    return level == 4 ? "avx512-vnni" : level == 2 ? "avx2" : level == 1 ? "neon-dotprod" : AISLE_BASE;
}
static inline long codes_groups(int d, int level) { return level == 4 || level == 1 ? (d + 3) / 4 : (d + 1) / 2; }

namespace base {
enum { PER_GROUP = 2, QUERIES = 2, TILES = 1, PAD = 0 };
#include "codes_lanes.h"
static inline void add_products(Lanes& sum, Lanes q, Lanes b) {
    for (int i = 0; i < 4; i++) {
#if AISLE_X86
        sum.v[i] += (Four)_mm_madd_epi16((__m128i)q.v[i], (__m128i)b.v[i]);
#elif defined(__aarch64__)
        const int16x8_t x = (int16x8_t)q.v[i], y = (int16x8_t)b.v[i];
        sum.v[i] += (Four)vpaddq_s32(vmull_s16(vget_low_s16(x), vget_low_s16(y)), vmull_high_s16(x, y));
#else
        for (int k = 0; k < 4; k++) sum.v[i][k] += (int16_t)q.v[i][k] * (int16_t)b.v[i][k] + (q.v[i][k] >> 16) * (b.v[i][k] >> 16);
#endif
    }
}
#include "codes_pairs.h"
#include CODES_BODY
}

#if defined(__aarch64__)
#pragma GCC push_options
#pragma GCC target("arch=armv8.2-a+dotprod")
namespace dot {
// Four values a group, signed by signed: as they lie.
enum { PER_GROUP = 4, QUERIES = 6, TILES = 1, PAD = 0 };
#include "codes_lanes.h"
static inline void add_products(Lanes& sum, Lanes q, Lanes b) {
    for (int i = 0; i < 4; i++) sum.v[i] = (Four)vdotq_s32((int32x4_t)sum.v[i], (int8x16_t)q.v[i], (int8x16_t)b.v[i]);
}
static int32_t query_term(const int8_t* q, int d) {
    int32_t term = 0;
    for (int i = 0; i < d; i++) term += q[i] * q[i];
    return term;
}
static int32_t lay_query(const int8_t* q, int d, uint32_t* groups, long stride) {
    for (int g = 0; g < d / 4; g++) memcpy(groups + g * stride, q + 4 * g, 4);
    if (d & 3) groups[d / 4 * stride] = 0, memcpy(groups + d / 4 * stride, q + (d & ~3), d & 3);
    return query_term(q, d);
}
static void lay_codes(const int8_t* const* codes, int d, uint32_t* to, long stride, int32_t* terms) {
    alignas(64) int8_t rows[16][64];
    for (int k = 0; k < 16; k++) terms[k] = 0;
    for (int at = 0; at < d; at += 64) {
        const int left = d - at < 64 ? d - at : 64;
        for (int k = 0; k < 16; k++) {
            memset(rows[k], 0, 64), memcpy(rows[k], codes[k] + at, left);
            for (int i = 0; i < 64; i++) terms[k] += rows[k][i] * rows[k][i];
        }
        columns_of(rows, 16, (left + 3) / 4, to + at / 4 * stride, stride);
    }
}
#include CODES_BODY
}
#pragma GCC pop_options
#endif

#if AISLE_X86
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi,bmi2,lzcnt,popcnt")
namespace avx2 {
enum { PER_GROUP = 2, QUERIES = 4, TILES = 1, PAD = 0 };
struct Lanes { __m256i a, b; };
static inline Lanes none() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
static inline Lanes load(const void* p) { return {_mm256_loadu_si256((const __m256i*)p), _mm256_loadu_si256((const __m256i*)p + 1)}; }
static inline void store(void* p, Lanes x) { _mm256_storeu_si256((__m256i*)p, x.a), _mm256_storeu_si256((__m256i*)p + 1, x.b); }
static inline Lanes every(uint32_t x) { const __m256i v = _mm256_set1_epi32((int)x); return {v, v}; }
static inline void add_products(Lanes& sum, Lanes q, Lanes b) {
    sum = {_mm256_add_epi32(sum.a, _mm256_madd_epi16(q.a, b.a)), _mm256_add_epi32(sum.b, _mm256_madd_epi16(q.b, b.b))};
}
static inline Lanes least(Lanes x, Lanes y) { return {_mm256_min_epi32(x.a, y.a), _mm256_min_epi32(x.b, y.b)}; }
static inline Lanes most(Lanes x, Lanes y) { return {_mm256_max_epi32(x.a, y.a), _mm256_max_epi32(x.b, y.b)}; }
static inline Lanes plus(Lanes x, Lanes y) { return {_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)}; }
static inline Lanes without_twice(Lanes t, Lanes s) {
    return {_mm256_sub_epi32(t.a, _mm256_slli_epi32(s.a, 1)), _mm256_sub_epi32(t.b, _mm256_slli_epi32(s.b, 1))};
}
static inline bool any_above(Lanes x, int32_t bound) {
    const __m256i most = _mm256_set1_epi32(bound);
    return _mm256_movemask_epi8(_mm256_or_si256(_mm256_cmpgt_epi32(x.a, most), _mm256_cmpgt_epi32(x.b, most))) != 0;
}
#include "codes_pairs.h"
#include CODES_BODY
}
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi,bmi2,lzcnt,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx512vnni")
namespace vnni {
// Four values a group. VNNI multiplies unsigned by signed: a code with its top bits flipped is code + 128, so that the sum
// holds 128 * sum(q) too much, which the query's term takes off.
enum { PER_GROUP = 4, QUERIES = 6, TILES = 4, PAD = -128 };
typedef __m512i Lanes;
static inline Lanes none() { return _mm512_setzero_si512(); }
static inline Lanes load(const void* p) { return _mm512_loadu_si512(p); }
static inline void store(void* p, Lanes x) { _mm512_storeu_si512(p, x); }
static inline Lanes every(uint32_t x) { return _mm512_set1_epi32((int)x); }
// As text, because gcc 12 copies and spills the sums of the intrinsic when there are more than a dozen.
static inline void add_products(Lanes& sum, Lanes q, Lanes b) { __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(b), "v"(q)); }
static inline Lanes least(Lanes x, Lanes y) { return _mm512_min_epi32(x, y); }
static inline Lanes most(Lanes x, Lanes y) { return _mm512_max_epi32(x, y); }
static inline Lanes plus(Lanes x, Lanes y) { return _mm512_add_epi32(x, y); }
static inline Lanes without_twice(Lanes t, Lanes s) { return _mm512_sub_epi32(t, _mm512_slli_epi32(s, 1)); }
static inline bool any_above(Lanes x, int32_t bound) { return _mm512_cmpgt_epi32_mask(x, _mm512_set1_epi32(bound)) != 0; }

static int32_t query_term(const int8_t* q, int d) {
    int32_t term = 0;
    for (int i = 0; i < d; i++) term += q[i] * (q[i] + 256);
    return term;
}
static int32_t lay_query(const int8_t* q, int d, uint32_t* groups, long stride) {
    for (int g = 0; g < d / 4; g++) memcpy(groups + g * stride, q + 4 * g, 4);
    if (d & 3) groups[d / 4 * stride] = 0, memcpy(groups + d / 4 * stride, q + (d & ~3), d & 3);
    return query_term(q, d);
}
// Rows of sixteen 32-bit groups become columns.
static inline void turn(Lanes* r) {
    Lanes a[16], b[16];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++)
        a[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]), a[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        b[4 * i] = _mm512_unpacklo_epi64(a[4 * i], a[4 * i + 2]), b[4 * i + 1] = _mm512_unpackhi_epi64(a[4 * i], a[4 * i + 2]);
        b[4 * i + 2] = _mm512_unpacklo_epi64(a[4 * i + 1], a[4 * i + 3]), b[4 * i + 3] = _mm512_unpackhi_epi64(a[4 * i + 1], a[4 * i + 3]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        const Lanes lo = _mm512_shuffle_i32x4(b[i], b[i + 4], 0x88), hi = _mm512_shuffle_i32x4(b[i], b[i + 4], 0xDD);
        const Lanes lo2 = _mm512_shuffle_i32x4(b[i + 8], b[i + 12], 0x88), hi2 = _mm512_shuffle_i32x4(b[i + 8], b[i + 12], 0xDD);
        r[i] = _mm512_shuffle_i32x4(lo, lo2, 0x88), r[i + 8] = _mm512_shuffle_i32x4(lo, lo2, 0xDD);
        r[i + 4] = _mm512_shuffle_i32x4(hi, hi2, 0x88), r[i + 12] = _mm512_shuffle_i32x4(hi, hi2, 0xDD);
    }
}
static void lay_codes(const int8_t* const* codes, int d, uint32_t* to, long stride, int32_t* terms) {
    const Lanes flip = _mm512_set1_epi8((char)0x80);
    Lanes norm = none(), sum = none(), rows[16];
    for (int i = 0; i < d; i += 64) {
        const int left = d - i < 64 ? d - i : 64;
        const __mmask64 some = ~(__mmask64)0 >> (64 - left);
#pragma GCC unroll 16
        for (int k = 0; k < 16; k++) rows[k] = _mm512_maskz_loadu_epi8(some, codes[k] + i);
        turn(rows);
#pragma GCC unroll 16
        for (int g = 0; g < 16; g++) {
            if (4 * g >= left) break;
            // (b + 128) b - 128 b: no sum across lanes is needed here either.
            const Lanes up = _mm512_xor_si512(rows[g], flip);
            add_products(norm, rows[g], up);
            add_products(sum, rows[g], flip);
            store(to + (i / 4 + g) * stride, up);
        }
    }
    store(terms, _mm512_sub_epi32(norm, sum));
}
#include CODES_BODY
}
#pragma GCC pop_options
#endif
