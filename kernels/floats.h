// Registers of WIDE floats by the compiler's vectors, so that one text serves every instruction set; no sum across a register
// in an inner loop. `every` puts a value in all lanes: taking 0 off costs nothing, adding it does (it makes 0 of -0). An op
// defines FLOATS_BODY, the file of its loops, compiled once per instruction set in its namespace.
#pragma once
#include "cpu.h"
#include "half.h"
#include <stdlib.h>
#if defined(__aarch64__)
#include <arm_neon.h>
#endif
// gcc 12 says these of its own AVX-512 header.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

#define FLOATS_INLINE static inline __attribute__((always_inline))

namespace floats_base {
enum { WIDE = 4 };
typedef float V __attribute__((vector_size(16)));
typedef int32_t VI __attribute__((vector_size(16)));
FLOATS_INLINE V every(float x) { return x - V{}; }
FLOATS_INLINE V load(const float* p) { V v; memcpy(&v, p, sizeof v); return v; }
FLOATS_INLINE V load(const uint16_t* p) { return V{from_half(p[0]), from_half(p[1]), from_half(p[2]), from_half(p[3])}; }
#if defined(__aarch64__)
FLOATS_INLINE V times_plus(V a, V b, V c) { return (V)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b); }
#else
FLOATS_INLINE V times_plus(V a, V b, V c) { return a * b + c; }
#endif
FLOATS_INLINE float sum_of(V v) { return (v[0] + v[2]) + (v[1] + v[3]); }
#include FLOATS_BODY
}

#if AISLE_X86
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi,bmi2,lzcnt,popcnt")
namespace floats_avx2 {
enum { WIDE = 8 };
typedef float V __attribute__((vector_size(32)));
typedef int32_t VI __attribute__((vector_size(32)));
FLOATS_INLINE V every(float x) { return x - V{}; }
FLOATS_INLINE V load(const float* p) { return _mm256_loadu_ps(p); }
FLOATS_INLINE V load(const uint16_t* p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)p)); }
FLOATS_INLINE V times_plus(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
FLOATS_INLINE float sum_of(V v) {
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
#include FLOATS_BODY
}
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi,bmi2,lzcnt,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx512vnni")
namespace floats_avx512 {
enum { WIDE = 16 };
typedef float V __attribute__((vector_size(64)));
typedef int32_t VI __attribute__((vector_size(64)));
FLOATS_INLINE V every(float x) { return x - V{}; }
FLOATS_INLINE V load(const float* p) { return _mm512_loadu_ps(p); }
FLOATS_INLINE V load(const uint16_t* p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)p)); }
FLOATS_INLINE V times_plus(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
FLOATS_INLINE float sum_of(V v) { return _mm512_reduce_add_ps(v); }
#include FLOATS_BODY
}
#pragma GCC pop_options
#endif
