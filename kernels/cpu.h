// Which instruction set this x86-64 has; one binary holds every variant. Elsewhere there is only the base.
#pragma once
#include <stdint.h>
#include <string.h>

// Clang lacks `#pragma GCC target`: there the base is what it makes of it.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define AISLE_X86 1
#include <immintrin.h>
#else
#define AISLE_X86 0
#endif
#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

// What every CPU of the kind has: SSE2 or NEON.
#if defined(__aarch64__)
#define AISLE_BASE "neon"
#else
#define AISLE_BASE "base"
#endif

#define AISLE_JOIN_(a, b) a##b
#define AISLE_JOIN(a, b) AISLE_JOIN_(a, b)

// 0 base, 2 AVX2 with FMA, 4 AVX-512 with VNNI.
static inline int aisle_level(void) {
#if AISLE_X86
    __builtin_cpu_init();
    const int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const int wide = __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                     __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512cd");
    return avx2 && wide && __builtin_cpu_supports("avx512vnni") ? 4 : avx2 ? 2 : 0;
#else
    return 0;
#endif
}

// Whether this aarch64 multiplies and adds four pairs of int8 an instruction (SDOT). Its kernel is asked: HWCAP_ASIMDDP.
static inline int aisle_dot_products(void) {
#if defined(__aarch64__) && defined(__linux__)
    return (getauxval(AT_HWCAP) >> 20 & 1) != 0;
#else
    return 0;
#endif
}
