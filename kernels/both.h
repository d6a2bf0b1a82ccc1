// What the CPU loops and the CUDA kernels share: the same function text, compiled by both compilers.
#pragma once
#include <math.h>
#include <stdint.h>

#ifdef __CUDACC__
#define AISLE_BOTH __host__ __device__ __forceinline__
#else
#define AISLE_BOTH static inline __attribute__((always_inline))
#endif
