// int8 rows against int8 queries, for each instruction set: sums of STEP rows with one query, and of 2 * STEP rows with GROUP
// queries. finish() makes scores of sums: the sums themselves, or weighed by row and query.
#pragma once

struct Table {
    const int8_t* rows;
    const uint8_t* blocked;
    const float* scale;    // each row's, or null
    const float* bias;     // each row's, or null
};

// Which of `step` rows are blocked, one bit a row.
template <int step> static inline uint32_t blocked_of(const uint8_t* blocked, long row) {
    if (step == 16) {
        uint16_t bits;
        memcpy(&bits, blocked + (row >> 3), 2);
        return bits;
    }
    return step == 8 ? blocked[row >> 3] : blocked[row >> 3] >> (row & 4) & 15;
}
template <int step> static inline bool all_blocked(const uint8_t* blocked, long row) {
    return blocked_of<step>(blocked, row) == (1u << step) - 1;
}

template <class S> static inline S score_of(const Table* t, long row, int32_t sum, float gain);
template <> inline int32_t score_of<int32_t>(const Table*, long, int32_t sum, float) { return sum; }
template <> inline float score_of<float>(const Table* t, long row, int32_t sum, float gain) {
    return weighed((float)sum, t->scale, t->bias, row, gain);
}

static inline int32_t dot_int8(const int8_t* a, const int8_t* b, int d) {
    int32_t sum = 0;
    for (int i = 0; i < d; i++) sum += (int32_t)a[i] * b[i];
    return sum;
}

namespace rows_base {
enum { STEP = 4 };
struct V { int32_t of[STEP]; };
struct Query { const int8_t* codes; };
static inline void prepare(const int8_t* query, int, Query* q) { q->codes = query; }
static inline V sums_of(const int8_t* rows, const Query* q, int d) {
    V sums;
    for (int k = 0; k < STEP; k++) sums.of[k] = dot_int8(rows + (long)k * d, q->codes, d);
    return sums;
}
template <class S> static inline uint32_t finish(const Table* t, long row, const V& sums, float gain, S worst, S* out) {
    uint32_t above = 0;
    for (int k = 0; k < STEP; k++) {
        out[k] = score_of<S>(t, row + k, sums.of[k], gain);
        above |= (uint32_t)(out[k] > worst) << k;
    }
    return above;
}
struct Packed { const int8_t* queries; int d; };
static inline void prepare_packed(const int8_t* queries, int, int d, Packed* q) { q->queries = queries, q->d = d; }
static inline V sums_packed(const int8_t* block, int at, const Packed* q, int i, int) {
    V sums;
    for (int k = 0; k < STEP; k++) {
        int32_t sum = 0;
        for (int j = 0; j < q->d; j++)
            sum += ((int32_t)(uint8_t)block[(j / 4 * 16 + at + k) * 4 + j % 4] - 128) * q->queries[(long)i * q->d + j];
        sums.of[k] = sum;
    }
    return sums;
}
#define MANY 0
#define PAIRS 0
#define SCORE int32_t
#include "body.h"
#define SCORE float
#include "body.h"
#define LIST const Best<float>
#include "packed_body.h"
#define LIST Pool
#include "packed_body.h"
#undef MANY
}

#if AISLE_X86
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi,bmi2,lzcnt,popcnt")
namespace rows_avx2 {
enum { STEP = 8, GROUP = 4 };
typedef __m256i V;
struct Query { alignas(32) int16_t wide[MAX_DEPTH]; alignas(32) int8_t codes[MAX_DEPTH]; };
struct Queries { alignas(32) int32_t pairs[MAX_DEPTH / 2][MAX_MANY]; };      // two codes of each query
struct Turned { __m256i values[MAX_DEPTH / 2 + 8][2]; };                     // two codes of each of eight rows
static inline void prepare(const int8_t* query, int d, Query* q) {
    for (int i = 0; i < d; i++) q->wide[i] = query[i];
    for (int i = 0; i < d; i++) q->codes[i] = query[i];
}
static inline V sums_of(const int8_t* rows, const Query* q, int d) {
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
    const __m256i sum = _mm256_add_epi32(_mm256_permute2x128_si256(p, r, 0x20), _mm256_permute2x128_si256(p, r, 0x31));
    if (whole == d) return sum;
    alignas(32) int32_t rest[8];
    for (int k = 0; k < 8; k++) rest[k] = dot_int8(rows + (long)k * d + whole, q->codes + whole, d - whole);
    return _mm256_add_epi32(sum, _mm256_load_si256((const __m256i*)rest));
}
static inline uint32_t finish(const Table*, long, V sums, float, int32_t worst, int32_t* out) {
    const uint32_t above = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(sums, _mm256_set1_epi32(worst))));
    if (__builtin_expect(above, 0)) _mm256_storeu_si256((__m256i*)out, sums);
    return above;
}
static inline uint32_t finish(const Table* t, long row, V sums, float gain, float worst, float* out) {
    __m256 scores = _mm256_cvtepi32_ps(sums);
    if (t->scale) scores = _mm256_mul_ps(scores, _mm256_loadu_ps(t->scale + row));
    scores = _mm256_mul_ps(scores, _mm256_set1_ps(gain));
    if (t->bias) scores = _mm256_add_ps(scores, _mm256_loadu_ps(t->bias + row));
    const uint32_t above = (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(scores, _mm256_set1_ps(worst), _CMP_GT_OQ));
    if (__builtin_expect(above, 0)) _mm256_storeu_ps(out, scores);
    return above;
}
static inline void prepare_many(const int8_t* queries, int count, int d, Queries* q) {
    for (int i = 0; i < count; i++)
        for (int u = 0; 2 * u < d; u++) {
            const int16_t low = queries[(long)i * d + 2 * u], high = 2 * u + 1 < d ? queries[(long)i * d + 2 * u + 1] : 0;
            q->pairs[u][i] = (int32_t)((uint32_t)(uint16_t)high << 16 | (uint16_t)low);
        }
    for (int i = count; i % GROUP; i++)
        for (int u = 0; 2 * u < d; u++) q->pairs[u][i] = 0;
}
// Eight registers of eight become the same turned by the diagonal.
static inline void turn_eight(__m256i* r) {
    __m256i a[8], b[8];
    for (int i = 0; i < 4; i++) {
        a[2 * i] = _mm256_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
        a[2 * i + 1] = _mm256_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++) {
        b[4 * i] = _mm256_unpacklo_epi64(a[4 * i], a[4 * i + 2]), b[4 * i + 1] = _mm256_unpackhi_epi64(a[4 * i], a[4 * i + 2]);
        b[4 * i + 2] = _mm256_unpacklo_epi64(a[4 * i + 1], a[4 * i + 3]), b[4 * i + 3] = _mm256_unpackhi_epi64(a[4 * i + 1], a[4 * i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x20);
        r[i + 4] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x31);
    }
}
static inline void turn(const int8_t* rows, int d, __m256i (*turned)[2]) {
    for (int half = 0; half < 2; half++)
        for (int i = 0; i < d; i += 16) {
            __m256i r[8];
            for (int k = 0; k < 8; k++) {
                const int8_t* from = rows + (long)(half * 8 + k) * d + i;
                alignas(16) int8_t part[16] = {0};
                if (i + 16 > d) memcpy(part, from, (size_t)(d - i));
                r[k] = _mm256_cvtepi8_epi16(i + 16 > d ? _mm_load_si128((const __m128i*)part) : _mm_loadu_si128((const __m128i*)from));
            }
            turn_eight(r);
            for (int k = 0; k < 8; k++) turned[i / 2 + k][half] = r[k];
        }
}
static inline void multiply(const __m256i (*turned)[2], const Queries* q, int at, int d, V (*sums)[2]) {
    V s[GROUP][2];
#pragma GCC unroll 4
    for (int i = 0; i < GROUP; i++) s[i][0] = s[i][1] = _mm256_setzero_si256();
    for (int u = 0; 2 * u < d; u++) {
        const V low = turned[u][0], high = turned[u][1];
#pragma GCC unroll 4
        for (int i = 0; i < GROUP; i++) {
            const V codes = _mm256_set1_epi32(q->pairs[u][at + i]);
            s[i][0] = _mm256_add_epi32(s[i][0], _mm256_madd_epi16(low, codes));
            s[i][1] = _mm256_add_epi32(s[i][1], _mm256_madd_epi16(high, codes));
        }
    }
#pragma GCC unroll 4
    for (int i = 0; i < GROUP; i++) sums[i][0] = s[i][0], sums[i][1] = s[i][1];
}
// Four codes of each query, widened; rows lie as code + 128, so 128 sum(query) is taken off.
struct Packed { alignas(32) int64_t fours[MAX_MANY][MAX_DEPTH / 4]; int32_t offset[MAX_MANY]; };
static inline void prepare_packed(const int8_t* queries, int count, int d, Packed* q) {
    for (int i = 0; i < count; i++) {
        int32_t sum = 0;
        for (int u = 0; 4 * u < d; u++) {
            int16_t four[4] = {0};
            for (int k = 0; k < 4 && 4 * u + k < d; k++) four[k] = queries[(long)i * d + 4 * u + k], sum += four[k];
            memcpy(&q->fours[i][u], four, 8);
        }
        q->offset[i] = -128 * sum;
    }
}
static inline V sums_packed(const int8_t* block, int at, const Packed* q, int i, int units) {
    V low = _mm256_setzero_si256(), high = low;
    for (int u = 0; u < units; u++) {
        const __m128i* from = (const __m128i*)(block + u * 64 + at * 4);
        const V codes = _mm256_set1_epi64x(q->fours[i][u]);
        low = _mm256_add_epi32(low, _mm256_madd_epi16(_mm256_cvtepu8_epi16(_mm_loadu_si128(from)), codes));
        high = _mm256_add_epi32(high, _mm256_madd_epi16(_mm256_cvtepu8_epi16(_mm_loadu_si128(from + 1)), codes));
    }
    return _mm256_add_epi32(_mm256_permute4x64_epi64(_mm256_hadd_epi32(low, high), 0xD8), _mm256_set1_epi32(q->offset[i]));
}
#define MANY 1
#define SCORE int32_t
#include "body.h"
#define SCORE float
#include "body.h"
#define LIST const Best<float>
#include "packed_body.h"
#define LIST Pool
#include "packed_body.h"
#undef PAIRS
}
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi,bmi2,lzcnt,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx512vnni")
namespace rows_vnni {
enum { STEP = 16, GROUP = 8 };
typedef __m512i V;
static inline __mmask64 part_of(int left) { return left >= 64 ? ~(__mmask64)0 : ~(__mmask64)0 >> (64 - left); }
// VNNI multiplies unsigned by signed: a row with its top bits flipped is row + 128, so 128 sum(query) is taken off again.
struct Query { V low[MAX_DEPTH / 64], high[MAX_DEPTH / 64]; int32_t offset; };
struct Queries { alignas(64) int32_t fours[MAX_DEPTH / 4][MAX_MANY]; int32_t offset[MAX_MANY]; };     // four codes of each query
struct Turned { __m512i values[MAX_DEPTH / 4][2]; };                                                 // four codes of sixteen rows
static inline void prepare(const int8_t* query, int d, Query* q) {
    int32_t sum = 0;
    for (int i = 0; i < d; i++) sum += query[i];
    for (int i = 0; i < d; i += 64) {
        const V codes = _mm512_maskz_loadu_epi8(part_of(d - i), query + i);
        q->low[i / 64] = _mm512_unpacklo_epi32(codes, codes), q->high[i / 64] = _mm512_unpackhi_epi32(codes, codes);
    }
    q->offset = -128 * sum;
}
// Two rows' codes side by side take one register of sums, in which each has every second lane.
static inline V pair(V a, V b, V sums, V low, V high) {
    const V flip = _mm512_set1_epi8((char)0x80);
    sums = _mm512_dpbusd_epi32(sums, _mm512_xor_si512(_mm512_unpacklo_epi32(a, b), flip), low);
    return _mm512_dpbusd_epi32(sums, _mm512_xor_si512(_mm512_unpackhi_epi32(a, b), flip), high);
}
// Eight registers of two rows become one: lane k of the result is the sum of row k.
static inline V lanes(const V* two) {
    V four[4];
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++)
        four[k] = _mm512_add_epi32(_mm512_unpacklo_epi64(two[2 * k], two[2 * k + 1]), _mm512_unpackhi_epi64(two[2 * k], two[2 * k + 1]));
    const V low = _mm512_add_epi32(_mm512_shuffle_i32x4(four[0], four[1], 0x88), _mm512_shuffle_i32x4(four[0], four[1], 0xDD));
    const V high = _mm512_add_epi32(_mm512_shuffle_i32x4(four[2], four[3], 0x88), _mm512_shuffle_i32x4(four[2], four[3], 0xDD));
    return _mm512_add_epi32(_mm512_shuffle_i32x4(low, high, 0x88), _mm512_shuffle_i32x4(low, high, 0xDD));
}
static inline V sums_of(const int8_t* rows, const Query* q, int d) {
    V sums[8];
    const V zero = _mm512_setzero_si512();
    if (d == 64) {   // what an item table has: no loop, and the query stays in registers
        const V low = q->low[0], high = q->high[0];
#pragma GCC unroll 8
        for (int k = 0; k < 8; k++) sums[k] = pair(_mm512_loadu_si512(rows + 128 * k), _mm512_loadu_si512(rows + 128 * k + 64), zero, low, high);
    } else {
        for (int k = 0; k < 8; k++) {
            const int8_t *a = rows + 2L * k * d, *b = a + d;
            V sum = zero;
            int i = 0;
            for (; i + 64 <= d; i += 64) sum = pair(_mm512_loadu_si512(a + i), _mm512_loadu_si512(b + i), sum, q->low[i / 64], q->high[i / 64]);
            if (i < d) {
                const __mmask64 part = part_of(d - i);
                sum = pair(_mm512_maskz_loadu_epi8(part, a + i), _mm512_maskz_loadu_epi8(part, b + i), sum, q->low[i / 64], q->high[i / 64]);
            }
            sums[k] = sum;
        }
    }
    return _mm512_add_epi32(lanes(sums), _mm512_set1_epi32(q->offset));
}
static inline uint32_t finish(const Table*, long, V sums, float, int32_t worst, int32_t* out) {
    const __mmask16 above = _mm512_cmpgt_epi32_mask(sums, _mm512_set1_epi32(worst));
    if (__builtin_expect(above, 0)) _mm512_storeu_si512(out, sums);
    return above;
}
static inline uint32_t finish(const Table* t, long row, V sums, float gain, float worst, float* out) {
    __m512 scores = _mm512_cvtepi32_ps(sums);
    if (t->scale) scores = _mm512_mul_ps(scores, _mm512_loadu_ps(t->scale + row));
    scores = _mm512_mul_ps(scores, _mm512_set1_ps(gain));
    if (t->bias) scores = _mm512_add_ps(scores, _mm512_loadu_ps(t->bias + row));
    const __mmask16 above = _mm512_cmp_ps_mask(scores, _mm512_set1_ps(worst), _CMP_GT_OQ);
    if (__builtin_expect(above, 0)) _mm512_storeu_ps(out, scores);
    return above;
}
static inline void prepare_many(const int8_t* queries, int count, int d, Queries* q) {
    for (int i = 0; i < MAX_MANY; i++) {
        const int8_t* query = queries + (long)i * d;
        int32_t sum = 0;
        for (int u = 0; 4 * u < d; u++) {
            int8_t four[4] = {0};
            if (i < count) memcpy(four, query + 4 * u, (size_t)(4 * u + 4 > d ? d - 4 * u : 4));
            for (int k = 0; k < 4; k++) sum += four[k];
            memcpy(&q->fours[u][i], four, 4);
        }
        q->offset[i] = -128 * sum;
    }
}
// Sixteen registers of sixteen become the same turned by the diagonal.
static inline void turn_sixteen(V* r) {
    V a[16], b[16];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) a[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]), a[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        b[4 * i] = _mm512_unpacklo_epi64(a[4 * i], a[4 * i + 2]), b[4 * i + 1] = _mm512_unpackhi_epi64(a[4 * i], a[4 * i + 2]);
        b[4 * i + 2] = _mm512_unpacklo_epi64(a[4 * i + 1], a[4 * i + 3]), b[4 * i + 3] = _mm512_unpackhi_epi64(a[4 * i + 1], a[4 * i + 3]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        const V low = _mm512_shuffle_i32x4(b[i], b[4 + i], 0x88), high = _mm512_shuffle_i32x4(b[i], b[4 + i], 0xDD);
        const V low8 = _mm512_shuffle_i32x4(b[8 + i], b[12 + i], 0x88), high8 = _mm512_shuffle_i32x4(b[8 + i], b[12 + i], 0xDD);
        r[i] = _mm512_shuffle_i32x4(low, low8, 0x88), r[8 + i] = _mm512_shuffle_i32x4(low, low8, 0xDD);
        r[4 + i] = _mm512_shuffle_i32x4(high, high8, 0x88), r[12 + i] = _mm512_shuffle_i32x4(high, high8, 0xDD);
    }
}
static inline void turn(const int8_t* rows, int d, V (*turned)[2]) {
    for (int half = 0; half < 2; half++)
        for (int i = 0; i < d; i += 64) {
            V r[16];
            const __mmask64 part = part_of(d - i);
#pragma GCC unroll 16
            for (int k = 0; k < 16; k++)
                r[k] = _mm512_xor_si512(_mm512_maskz_loadu_epi8(part, rows + (long)(half * 16 + k) * d + i), _mm512_set1_epi8((char)0x80));
            turn_sixteen(r);
#pragma GCC unroll 16
            for (int k = 0; k < 16; k++) turned[i / 4 + k][half] = r[k];
        }
}
static inline void multiply(const V (*turned)[2], const Queries* q, int at, int d, V (*sums)[2]) {
    V s[GROUP][2];
#pragma GCC unroll 8
    for (int i = 0; i < GROUP; i++) s[i][0] = s[i][1] = _mm512_set1_epi32(q->offset[at + i]);
    for (int u = 0; 4 * u < d; u++) {
        const V low = turned[u][0], high = turned[u][1];
#pragma GCC unroll 8
        for (int i = 0; i < GROUP; i++) {
            const V codes = _mm512_set1_epi32(q->fours[u][at + i]);
            s[i][0] = _mm512_dpbusd_epi32(s[i][0], low, codes);
            s[i][1] = _mm512_dpbusd_epi32(s[i][1], high, codes);
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < GROUP; i++) sums[i][0] = s[i][0], sums[i][1] = s[i][1];
}
typedef Queries Packed;
static inline void prepare_packed(const int8_t* queries, int count, int d, Packed* q) { prepare_many(queries, count, d, q); }
static inline V sums_packed(const int8_t* block, int, const Packed* q, int i, int units) {
    V even = _mm512_set1_epi32(q->offset[i]), odd = _mm512_setzero_si512();
    int u = 0;
    for (; u + 2 <= units; u += 2) {
        even = _mm512_dpbusd_epi32(even, _mm512_loadu_si512(block + u * 64), _mm512_set1_epi32(q->fours[u][i]));
        odd = _mm512_dpbusd_epi32(odd, _mm512_loadu_si512(block + u * 64 + 64), _mm512_set1_epi32(q->fours[u + 1][i]));
    }
    if (u < units) even = _mm512_dpbusd_epi32(even, _mm512_loadu_si512(block + u * 64), _mm512_set1_epi32(q->fours[u][i]));
    return _mm512_add_epi32(even, odd);
}
static inline void multiply_packed(const int8_t* blocks, const Packed* q, int at, int units, V (*sums)[2]) {
    V s[GROUP][2];
#pragma GCC unroll 8
    for (int i = 0; i < GROUP; i++) s[i][0] = s[i][1] = _mm512_set1_epi32(q->offset[at + i]);
    for (int u = 0; u < units; u++) {
        const V low = _mm512_loadu_si512(blocks + u * 64), high = _mm512_loadu_si512(blocks + (units + u) * 64L);
#pragma GCC unroll 8
        for (int i = 0; i < GROUP; i++) {
            const V codes = _mm512_set1_epi32(q->fours[u][at + i]);
            s[i][0] = _mm512_dpbusd_epi32(s[i][0], low, codes);
            s[i][1] = _mm512_dpbusd_epi32(s[i][1], high, codes);
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < GROUP; i++) sums[i][0] = s[i][0], sums[i][1] = s[i][1];
}
#define PAIRS 1
#define SCORE int32_t
#include "body.h"
#define SCORE float
#include "body.h"
#define LIST const Best<float>
#include "packed_body.h"
#define LIST Pool
#include "packed_body.h"
#undef PAIRS
#undef MANY
}
#pragma GCC pop_options
#endif
