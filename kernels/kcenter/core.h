// Greedy k-centre on int8 codes: every pass reads all codes once, so that memory is the limit, not arithmetic.
#pragma once
#include <stdint.h>

// Scratch of a call: the codes laid out, their terms, each one's distance to its nearest centre, the centre laid out.
struct Space {
    uint32_t* tiles;
    int32_t *terms, *far;
    uint32_t* query;
};
#define CODES_BODY "body.h"
#include "codes.h"

struct Passes {
    void (*lay)(const int8_t*, long, int, uint32_t*, int32_t*);
    long (*take)(const Space*, long, int, const int8_t*, int32_t*);
};
static inline Passes passes_for(int level) {
#if AISLE_X86
    if (level >= 4) return {vnni::lay_all, vnni::take_centre};
    if (level >= 2) return {avx2::lay_all, avx2::take_centre};
#elif defined(__aarch64__)
    if (level >= 1) return {dot::lay_all, dot::take_centre};
#endif
    return {base::lay_all, base::take_centre};
}

// The greatest distance that is left, or -1 when there is no memory for the scratch.
static int32_t choose_centres(const int8_t* codes, long n, int d, long first, int k, int level, int32_t* out) {
    const long blocks = (n + CODES_BLOCK - 1) / CODES_BLOCK, room = blocks * CODES_BLOCK, groups = codes_groups(d, level);
    const Space s = {(uint32_t*)aligned_alloc(64, room * groups * 4), (int32_t*)aligned_alloc(64, room * 4),
                     (int32_t*)aligned_alloc(64, room * 4), (uint32_t*)malloc(groups * 4)};
    int32_t most = -1;
    if (s.tiles && s.terms && s.far && s.query) {
        const Passes passes = passes_for(level);
        memset(s.tiles, 0, room * groups * 4);
        memset(s.terms, 0, room * 4);
        // What lies beyond the codes is never the furthest: -2 is below a chosen code's -1.
        for (long i = 0; i < room; i++) s.far[i] = i < n ? INT32_MAX : -2;
        passes.lay(codes, n, d, s.tiles, s.terms);
        long next = first;
        for (int i = 0; i < k; i++) {
            out[i] = (int32_t)next;
            s.far[next] = -1;
            next = passes.take(&s, n, d, codes + next * d, &most);
        }
        if (most < 0) most = 0;
    }
    free(s.tiles), free(s.terms), free(s.far), free(s.query);
    return most;
}
