// Rows of a picture pair, then morphology on the marks: all in bytes, 16 to 64 a step, a few rows in the cache at a time.
#pragma once
#include "core.h"
#include "cpu.h"
#include <stdlib.h>
// gcc 12 says these of its own AVX-512 header.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

#define DIFF_MAX_REACH 16

struct DiffJob {
    const uint8_t *golden, *test, *mask;   // mask may be NULL
    uint8_t* out;
    int h, w, band, reach, opening, down, right;
};

// Scratch rows with margins of DIFF_MAX_REACH.
struct DiffLines {
    uint8_t *golden_low, *golden_high, *test_low, *test_high;
};

static uint32_t diff_sad_base(const uint8_t* a, const uint8_t* b, int n) {
    uint32_t sum = 0;
    for (int x = 0; x < n; x++) sum += (uint32_t)(a[x] > b[x] ? a[x] - b[x] : b[x] - a[x]);
    return sum;
}
#define SUFFIX _one
#define WIDE 1
#include "body.h"
#define SUFFIX _base
#define WIDE 16
#include "body.h"
#if AISLE_X86
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi,bmi2,lzcnt,popcnt")
static uint32_t diff_sad_avx2(const uint8_t* a, const uint8_t* b, int n) {
    __m256i sum = _mm256_setzero_si256();
    int x = 0;
    for (; x + 32 <= n; x += 32)
        sum = _mm256_add_epi64(sum, _mm256_sad_epu8(_mm256_loadu_si256((const __m256i*)(a + x)), _mm256_loadu_si256((const __m256i*)(b + x))));
    uint64_t parts[4];
    memcpy(parts, &sum, 32);
    return (uint32_t)(parts[0] + parts[1] + parts[2] + parts[3]) + diff_sad_base(a + x, b + x, n - x);
}
#define SUFFIX _avx2
#define WIDE 32
#include "body.h"
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi,bmi2,lzcnt,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx512vnni")
static uint32_t diff_sad_avx512(const uint8_t* a, const uint8_t* b, int n) {
    __m512i sum = _mm512_setzero_si512();
    int x = 0;
    for (; x + 64 <= n; x += 64) sum = _mm512_add_epi64(sum, _mm512_sad_epu8(_mm512_loadu_si512(a + x), _mm512_loadu_si512(b + x)));
    const __mmask64 rest = n > x ? ~(__mmask64)0 >> (64 - (n - x)) : 0;
    sum = _mm512_add_epi64(sum, _mm512_sad_epu8(_mm512_maskz_loadu_epi8(rest, a + x), _mm512_maskz_loadu_epi8(rest, b + x)));
    return (uint32_t)_mm512_reduce_add_epi64(sum);
}
#define SUFFIX _avx512
#define WIDE 64
#include "body.h"
#pragma GCC pop_options
#endif

struct DiffRows {
    int wide;
    void (*row)(const DiffJob*, int, const DiffLines*);
    void (*erode)(const uint8_t*, int, int, int, int, uint8_t*, uint8_t*);
    void (*dilate)(const uint8_t*, int, int, int, int, uint8_t*, uint8_t*);
};
static const DiffRows DIFF_ROWS[] = {
#if AISLE_X86
    {64, diff_row_avx512, diff_erode_avx512, diff_dilate_avx512},
    {32, diff_row_avx2, diff_erode_avx2, diff_dilate_avx2},
#endif
    {16, diff_row_base, diff_erode_base, diff_dilate_base},
    {1, diff_row_one, diff_erode_one, diff_dilate_one},
};

// The widest that the CPU can run and that `pixels` fill at least once.
static const DiffRows* diff_rows_for(int level, int pixels) {
    const int most = level >= 4 ? 64 : level >= 2 ? 32 : 16;
    const DiffRows* rows = DIFF_ROWS;
    while (rows->wide > 1 && (rows->wide > most || rows->wide > pixels)) rows++;
    return rows;
}

// 0, or -1 when there is no memory for the scratch.
static int diff_pictures(const DiffJob* j, int level) {
    const int h = j->h, w = j->w, seen = w - (j->right < 0 ? -j->right : j->right);
    const DiffRows *rows = diff_rows_for(level, seen), *whole = diff_rows_for(level, w);
    const long room = w + 2 * DIFF_MAX_REACH;
    uint8_t* lines = (uint8_t*)malloc(4 * room);
    uint8_t* eroded = (uint8_t*)malloc(j->opening ? (long)h * w : 1);
    const int bad = !lines || !eroded;
    if (!bad) {
        uint8_t* line = lines + DIFF_MAX_REACH;
        const DiffLines s = {line, line + room, line + 2 * room, line + 3 * room};
        for (int k = 0; k < 4; k++) memset(lines + k * room, k % 2 ? 0 : 255, room);
        for (int y = 0; y < h; y++) rows->row(j, y, &s);
        for (int y = 0; y < h && j->opening; y++) whole->erode(j->out, h, w, y, j->opening, s.golden_low, eroded + (long)y * w);
        for (int y = 0; y < h && j->opening; y++) whole->dilate(eroded, h, w, y, j->opening, s.golden_high, j->out + (long)y * w);
    }
    free(eroded);
    free(lines);
    return bad ? -1 : 0;
}

static void diff_find_shift(const uint8_t* golden, const uint8_t* test, int h, int w, int reach, int level, int* down, int* right) {
    uint32_t (*sad)(const uint8_t*, const uint8_t*, int) = diff_sad_base;
#if AISLE_X86
    if (level >= 2) sad = level >= 4 ? diff_sad_avx512 : diff_sad_avx2;
#endif
    const int side = 2 * reach + 1;
    uint64_t sums[(2 * DIFF_MAX_REACH + 1) * (2 * DIFF_MAX_REACH + 1)] = {0};
    // Row outside, shifts inside: the 2 reach + 1 rows of the test stay in the first cache.
    for (int y = reach; y < h - reach; y++)
        for (int k = 0; k < side * side; k++)
            sums[k] += sad(golden + (long)y * w + reach, test + (long)(y + k / side - reach) * w + k % side, w - 2 * reach);
    int best = 0;
    for (int k = 1; k < side * side; k++)
        if (diff_better(sums[k], k / side - reach, k % side - reach, sums[best], best / side - reach, best % side - reach)) best = k;
    *down = best / side - reach;
    *right = best % side - reach;
}
