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

// What is known of 16 pixels: bytes from the item's start, and the four weights as two pairs of 16 bits.
struct WarpRun {
    const uint8_t* item;
    long stride;
    int32_t offset[16], top[16], bottom[16];
    float shade[16], share[16];
};

#define WARP_BATCH 8

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
// The texels of one pixel: the upper two in the lower half, the lower two above.
static inline __m128i warp_texels(const WarpRun* run, int i) {
    const uint8_t* upper = run->item + run->offset[i];
    return _mm_castps_si128(_mm_loadh_pi(_mm_castsi128_ps(_mm_loadl_epi64((const __m128i*)upper)), (const __m64*)(upper + run->stride)));
}
// A channel's two neighbours together, of both rows.
static inline __m128i warp_paired(void) { return _mm_setr_epi8(0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15); }

// Two pixels at a time, 24 bits each.
static inline void warp_blend_avx2(const WarpRun* run, uint8_t* at) {
    const __m256i zero = _mm256_setzero_si256(), paired = _mm256_broadcastsi128_si256(warp_paired());
    for (int i = 0; i < WARP_CELL; i += 2, at += 6) {
        const __m256i raw = _mm256_set_m128i(warp_texels(run, i + 1), warp_texels(run, i));
        if (_mm256_testz_si256(raw, _mm256_set1_epi32((int)0xFF000000))) continue;   // transparent
        const __m256i texels = _mm256_shuffle_epi8(raw, paired), spread = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
        const __m256i top = _mm256_permutevar8x32_epi32(_mm256_castsi128_si256(_mm_loadl_epi64((const __m128i*)(run->top + i))), spread);
        const __m256i bottom = _mm256_permutevar8x32_epi32(_mm256_castsi128_si256(_mm_loadl_epi64((const __m128i*)(run->bottom + i))), spread);
        const __m256 sums = _mm256_cvtepi32_ps(_mm256_add_epi32(_mm256_madd_epi16(_mm256_unpacklo_epi8(texels, zero), top),
                                                               _mm256_madd_epi16(_mm256_unpackhi_epi8(texels, zero), bottom)));
        const __m256 alpha = _mm256_permute_ps(sums, 0xFF);
        const __m256 share = _mm256_set_m128(_mm_broadcast_ss(run->share + i + 1), _mm_broadcast_ss(run->share + i));
        const __m256 shade = _mm256_set_m128(_mm_broadcast_ss(run->shade + i + 1), _mm_broadcast_ss(run->shade + i));
        const __m256 colour = _mm256_min_ps(_mm256_mul_ps(sums, shade), alpha);
        const __m256 through = _mm256_fnmadd_ps(_mm256_mul_ps(share, alpha), _mm256_set1_ps(1.f / 255.f), _mm256_set1_ps(1.f));
        int32_t first = 0, second = 0;
        memcpy(&first, at, 3), memcpy(&second, at + 3, 3);
        const __m256 under = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_insert_epi32(_mm_cvtsi32_si128(first), second, 1)));
        const __m256i mixed = _mm256_cvtps_epi32(_mm256_fmadd_ps(under, through, _mm256_mul_ps(share, colour)));
        const __m256i words = _mm256_packus_epi32(mixed, mixed), bytes = _mm256_packus_epi16(words, words);
        first = _mm256_extract_epi32(bytes, 0), second = _mm256_extract_epi32(bytes, 4);
        memcpy(at, &first, 3), memcpy(at + 3, &second, 3);
    }
}
#define MULHRS(a, b) _mm256_mulhrs_epi16((__m256i)(a), (__m256i)(b))
#define SUFFIX _avx2
#define LANES 8
#define BLEND warp_blend_avx2
#include "body.h"
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi,bmi2,lzcnt,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx512vnni")
// Four pixels over `under`, blue green red nothing of each.
static inline __m128i warp_group(const WarpRun* run, int k, __m512i top16, __m512i bottom16, __m512 share16, __m512 shade16, __m128i under) {
    const __m256i one = _mm256_inserti128_si256(_mm256_castsi128_si256(warp_texels(run, k)), warp_texels(run, k + 1), 1);
    const __m256i two = _mm256_inserti128_si256(_mm256_castsi128_si256(warp_texels(run, k + 2)), warp_texels(run, k + 3), 1);
    const __m512i raw = _mm512_inserti64x4(_mm512_castsi256_si512(one), two, 1);
    if (!_mm512_test_epi32_mask(raw, _mm512_set1_epi32((int)0xFF000000))) return under;   // transparent, all four
    const __m512i texels = _mm512_shuffle_epi8(raw, _mm512_broadcast_i32x4(warp_paired())), zero = _mm512_setzero_si512();
    const __m512i spread = _mm512_add_epi32(_mm512_set1_epi32(k), _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3));
    const __m512i top = _mm512_permutexvar_epi32(spread, top16), bottom = _mm512_permutexvar_epi32(spread, bottom16);
    const __m512i upper = _mm512_madd_epi16(_mm512_unpacklo_epi8(texels, zero), top);
    const __m512 sums = _mm512_cvtepi32_ps(_mm512_dpwssd_epi32(upper, _mm512_unpackhi_epi8(texels, zero), bottom));
    const __m512 alpha = _mm512_permute_ps(sums, 0xFF);
    const __m512 share = _mm512_permutexvar_ps(spread, share16), shade = _mm512_permutexvar_ps(spread, shade16);
    const __m512 colour = _mm512_min_ps(_mm512_mul_ps(sums, shade), alpha);
    const __m512 through = _mm512_fnmadd_ps(_mm512_mul_ps(share, alpha), _mm512_set1_ps(1.f / 255.f), _mm512_set1_ps(1.f));
    const __m512 before = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(under));
    return _mm512_cvtusepi32_epi8(_mm512_cvtps_epi32(_mm512_fmadd_ps(before, through, _mm512_mul_ps(share, colour))));
}
// All 48 bytes are read before any is written: a load that touches a masked store in flight waits for it.
static inline void warp_blend_avx512(const WarpRun* run, uint8_t* at) {
    const __m512i top = _mm512_loadu_si512(run->top), bottom = _mm512_loadu_si512(run->bottom);
    const __m512 share = _mm512_loadu_ps(run->share), shade = _mm512_loadu_ps(run->shade);
    const __m512i lanes = _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 1, 2, 2, 3, 4, 5, 5, 6, 7, 8, 8, 9, 10, 11, 11), _mm512_maskz_loadu_epi32(0xFFF, at));
    const __m512i under = _mm512_shuffle_epi8(lanes, _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1)));
    const __m128i a = warp_group(run, 0, top, bottom, share, shade, _mm512_castsi512_si128(under));
    const __m128i b = warp_group(run, 4, top, bottom, share, shade, _mm512_extracti32x4_epi32(under, 1));
    const __m128i c = warp_group(run, 8, top, bottom, share, shade, _mm512_extracti32x4_epi32(under, 2));
    const __m128i d = warp_group(run, 12, top, bottom, share, shade, _mm512_extracti32x4_epi32(under, 3));
    const __m512i mixed = _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_set_m128i(b, a)), _mm256_set_m128i(d, c), 1);
    const __m512i packed = _mm512_shuffle_epi8(mixed, _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1)));
    const __m512i after = _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 15, 15, 15, 15), packed);
    _mm512_mask_storeu_epi32(at, 0xFFF, after);
}
#define MULHRS(a, b) _mm512_mulhrs_epi16((__m512i)(a), (__m512i)(b))
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
