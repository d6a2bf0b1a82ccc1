// The loops over cells. Places and weights of 16 pixels are plain loops, which the compiler vectorises; the four texels
// of a pixel are two loads of 8 bytes, which it does not: those are intrinsics, four pixels at a time.
#pragma once
#include "core.h"
#include "cpu.h"
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

struct WarpJob {
    const uint8_t* item;
    int ih, iw;
    const float* grid;
    const uint8_t* visible;   // or NULL
    uint8_t* out;
    int h, w;
};

// What is known of 16 pixels: bytes from the item's start, four weights of 14 bits as two words of 7-bit bytes.
struct WarpRun {
    const uint8_t* item;
    long stride;
    int32_t offset[16], low[16], high[16];
    float shade[16], share[16];
};

// What a cell of the grid needs: nothing; bounds checked; no bounds checked; pixel by pixel.
enum { WARP_NOTHING, WARP_EDGE, WARP_INSIDE, WARP_PLAIN };

// Pixel by pixel: the base, the right edge of the picture, items one pixel wide or high.
static void warp_plain(const WarpJob* j, const WarpRow* row, const uint8_t* visible, uint8_t* at, int left) {
    for (int i = 0; i < (left < WARP_CELL ? left : WARP_CELL); i++)
        if (!visible || visible[i])
            warp_pixel(j->item, j->ih, j->iw, row->x + (float)i * row->x_slope, row->y + (float)i * row->y_slope,
                       row->shade + (float)i * row->shade_slope, visible ? visible[i] : 255, at + 3 * i);
}

#if AISLE_X86
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi,bmi2,lzcnt,popcnt")
// The texels of one pixel, a channel's four together: c00 c01 c10 c11 of channel 0, then 1, 2, 3.
static inline __m128i warp_texels(const WarpRun* run, int i) {
    const uint8_t* upper = run->item + run->offset[i];
    const __m128i both = _mm_castps_si128(_mm_loadh_pi(_mm_castsi128_ps(_mm_loadl_epi64((const __m128i*)upper)),
                                                       (const __m64*)(upper + run->stride)));
    return _mm_shuffle_epi8(both, _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
}
// The four channels of one pixel in 1/16384, as floats.
static inline __m128 warp_sums(const WarpRun* run, int i, __m128i texels) {
    const __m128i low = _mm_cvtepu8_epi16(_mm_cvtsi32_si128(run->low[i])), high = _mm_cvtepu8_epi16(_mm_cvtsi32_si128(run->high[i]));
    const __m256i weights = _mm256_broadcastq_epi64(_mm_add_epi16(low, _mm_slli_epi16(high, 7)));
    const __m256i pairs = _mm256_madd_epi16(_mm256_cvtepu8_epi16(texels), weights);
    return _mm_cvtepi32_ps(_mm_hadd_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1)));
}
static inline void warp_blend_avx2(const WarpRun* run, uint8_t* at) {
    for (int i = 0; i < WARP_CELL; i++, at += 3) {
        const __m128i texels = warp_texels(run, i);
        if (!_mm_extract_epi32(texels, 3)) continue;   // transparent
        const __m128 sums = warp_sums(run, i, texels), alpha = _mm_permute_ps(sums, 0xFF);
        const __m128 share = _mm_set1_ps(run->share[i]);
        const __m128 colour = _mm_min_ps(_mm_mul_ps(sums, _mm_set1_ps(run->shade[i])), alpha);
        const __m128 through = _mm_sub_ps(_mm_set1_ps(1.f), _mm_mul_ps(_mm_mul_ps(share, alpha), _mm_set1_ps(1.f / 255.f)));
        int32_t before = at[0] | at[1] << 8 | at[2] << 16;
        const __m128 under = _mm_cvtepi32_ps(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(before)));
        const __m128i mixed = _mm_cvtps_epi32(_mm_fmadd_ps(under, through, _mm_mul_ps(share, colour)));
        const int32_t after = _mm_cvtsi128_si32(_mm_packus_epi16(_mm_packus_epi32(mixed, mixed), mixed));
        at[0] = (uint8_t)after, at[1] = (uint8_t)(after >> 8), at[2] = (uint8_t)(after >> 16);
    }
}
#define SUFFIX _avx2
#define LANES 8
#define BLEND warp_blend_avx2
#include "body.h"
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi,bmi2,lzcnt,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx512vnni")
static inline __m128i warp_pairs(const WarpRun* run, int i) {
    const uint8_t* upper = run->item + run->offset[i];
    return _mm_castps_si128(_mm_loadh_pi(_mm_castsi128_ps(_mm_loadl_epi64((const __m128i*)upper)), (const __m64*)(upper + run->stride)));
}
// Four pixels over `under`, blue green red nothing of each.
static inline __m128i warp_group(const WarpRun* run, int k, __m512i low4, __m512i high4, __m512 share16, __m512 shade16, __m128i under) {
    const __m256i one = _mm256_inserti128_si256(_mm256_castsi128_si256(warp_pairs(run, k)), warp_pairs(run, k + 1), 1);
    const __m256i two = _mm256_inserti128_si256(_mm256_castsi128_si256(warp_pairs(run, k + 2)), warp_pairs(run, k + 3), 1);
    const __m512i raw = _mm512_inserti64x4(_mm512_castsi256_si512(one), two, 1);
    if (!_mm512_test_epi32_mask(raw, _mm512_set1_epi32((int)0xFF000000))) return under;   // transparent, all four
    const __m512i texels = _mm512_shuffle_epi8(raw, _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)));
    const __m512i spread = _mm512_add_epi32(_mm512_set1_epi32(k), _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3));
    const __m512i high = _mm512_permutexvar_epi32(spread, high4), low = _mm512_permutexvar_epi32(spread, low4);
    const __m512i coarse = _mm512_slli_epi32(_mm512_dpbusd_epi32(_mm512_setzero_si512(), texels, high), 7);
    const __m512 sums = _mm512_cvtepi32_ps(_mm512_dpbusd_epi32(coarse, texels, low));
    const __m512 alpha = _mm512_permute_ps(sums, 0xFF);
    const __m512 share = _mm512_permutexvar_ps(spread, share16), shade = _mm512_permutexvar_ps(spread, shade16);
    const __m512 colour = _mm512_min_ps(_mm512_mul_ps(sums, shade), alpha);
    const __m512 through = _mm512_fnmadd_ps(_mm512_mul_ps(share, alpha), _mm512_set1_ps(1.f / 255.f), _mm512_set1_ps(1.f));
    const __m512 before = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(under));
    return _mm512_cvtusepi32_epi8(_mm512_cvtps_epi32(_mm512_fmadd_ps(before, through, _mm512_mul_ps(share, colour))));
}
// All 48 bytes are read before any is written: a load that touches a masked store in flight waits for it.
static inline void warp_blend_avx512(const WarpRun* run, uint8_t* at) {
    const __m512i low = _mm512_loadu_si512(run->low), high = _mm512_loadu_si512(run->high);
    const __m512 share = _mm512_loadu_ps(run->share), shade = _mm512_loadu_ps(run->shade);
    const __m512i lanes = _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 1, 2, 2, 3, 4, 5, 5, 6, 7, 8, 8, 9, 10, 11, 11), _mm512_maskz_loadu_epi32(0xFFF, at));
    const __m512i under = _mm512_shuffle_epi8(lanes, _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1)));
    const __m128i a = warp_group(run, 0, low, high, share, shade, _mm512_castsi512_si128(under));
    const __m128i b = warp_group(run, 4, low, high, share, shade, _mm512_extracti32x4_epi32(under, 1));
    const __m128i c = warp_group(run, 8, low, high, share, shade, _mm512_extracti32x4_epi32(under, 2));
    const __m128i d = warp_group(run, 12, low, high, share, shade, _mm512_extracti32x4_epi32(under, 3));
    const __m512i mixed = _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_set_m128i(b, a)), _mm256_set_m128i(d, c), 1);
    const __m512i packed = _mm512_shuffle_epi8(mixed, _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1)));
    const __m512i after = _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 15, 15, 15, 15), packed);
    _mm512_mask_storeu_epi32(at, 0xFFF, after);
}
#define SUFFIX _avx512
#define LANES 16
#define BLEND warp_blend_avx512
#include "body.h"
#pragma GCC pop_options
#endif

// What the cell at `node` is, from its four nodes: between them places are bilinear, so the extremes are there.
static int warp_kind(const WarpJob* j, const float* node, int columns, int plain) {
    const float* corner[4] = {node, node + 3, node + 3L * columns, node + 3L * columns + 3};
    const float wide = (float)j->iw, high = (float)j->ih, hair = 1.f / 128;   // more than rounding can add
    int left = 0, right = 0, above = 0, below = 0, inside = 0;
    for (int k = 0; k < 4; k++) {
        const float x = corner[k][0], y = corner[k][1];
        if (!warp_good(corner[k])) return WARP_NOTHING;
        left += x < -1 - hair, right += x > wide + hair, above += y < -1 - hair, below += y > high + hair;
        inside += x >= hair && y >= hair && x <= wide - 1 - hair && y <= high - 1 - hair;
    }
    if (left == 4 || right == 4 || above == 4 || below == 4) return WARP_NOTHING;
    return plain ? WARP_PLAIN : inside == 4 ? WARP_INSIDE : WARP_EDGE;
}

static void warp_line_base(const WarpJob* j, int y, const float* nodes, int columns, const uint8_t* kinds) {
    for (int cell = 0; cell < columns - 1; cell++) {
        if (kinds[cell] == WARP_NOTHING) continue;
        const WarpRow row = warp_row(nodes + 3 * cell, columns, y % WARP_CELL);
        const long at = (long)y * j->w + cell * WARP_CELL;
        warp_plain(j, &row, j->visible ? j->visible + at : 0, j->out + 3 * at, j->w - cell * WARP_CELL);
    }
}

// Row by row over the whole width: both the picture and the item are then read as streams.
static void warp_picture(const WarpJob* j, int level) {
    const int columns = (j->w + WARP_CELL - 1) / WARP_CELL + 1, small = j->ih < 2 || j->iw < 2;
    uint8_t kinds[16384 / WARP_CELL];
    for (int y = 0; y < j->h; y++) {
        const float* nodes = j->grid + 3 * ((long)(y / WARP_CELL) * columns);
        for (int cell = 0; y % WARP_CELL == 0 && cell < columns - 1; cell++)
            kinds[cell] = (uint8_t)warp_kind(j, nodes + 3 * cell, columns, small || (cell + 1) * WARP_CELL > j->w);
#if AISLE_X86
        if (level >= 4) warp_line_avx512(j, y, nodes, columns, kinds);
        else if (level >= 2) warp_line_avx2(j, y, nodes, columns, kinds);
        else
#endif
            warp_line_base(j, y, nodes, columns, kinds);
    }
}
