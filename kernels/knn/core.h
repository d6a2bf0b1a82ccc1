// Nearest int8 codes, all of a bank or those nearby; minima are kept without the query's term, which joins at the end.
#pragma once
#include <stdint.h>

// `radius` -1 compares with the whole bank. `verdict`: a query is done once something is within `most`.
struct Job {
    const int8_t *query, *bank;
    const uint8_t* skip;
    long cells, codes;
    int parts, h, w, d, radius, verdict;
    int32_t most;
};

// Scratch of a call. Whole bank: queries one after the other, 16 minima each, one block of codes. Nearby: rows of queries lane
// by lane, `wide` lanes, a minimum each; the rows of one part, `stride` lanes with `margin` empty ones on either side.
struct Space {
    long groups, wide, stride, reach, margin;
    uint32_t *queries, *laid;
    int32_t *query_terms, *bound, *nearest, *terms, *open;
    int8_t* pad;
};
#define CODES_BODY "body.h"
#include "codes.h"
#include "lists.h"

struct Steps {
    void (*lay_queries)(const Job*, const Space*);
    void (*whole_bank)(const Job*, const Space*);
    void (*nearby)(const Job*, const Space*);
    int pad;
};
static inline Steps steps_for(int level) {
#if AISLE_X86
    if (level >= 4) return {vnni::lay_queries, vnni::whole_bank, vnni::nearby, vnni::PAD};
    if (level >= 2) return {avx2::lay_queries, avx2::whole_bank, avx2::nearby, avx2::PAD};
#endif
    return {base::lay_queries, base::whole_bank, base::nearby, base::PAD};
}

// Lines of the cache, from 64 bytes on; all zero.
static void* lines(long bytes) {
    const long whole = (bytes + 127) & ~63L;
    void* got = aligned_alloc(64, whole);
    if (got) memset(got, 0, whole);
    return got;
}

static int take_space(const Job* j, int level, Space* s) {
    const int widest = j->w > j->h ? j->w : j->h;
    s->groups = codes_groups(j->d, level);
    s->reach = j->radius < j->w - 1 ? j->radius : j->w - 1;
    s->wide = (j->w + 15) & ~15;
    // Whole cache lines: what lies at the same place, and all that is written, is then never split between two.
    s->margin = (s->reach + 15) & ~15L;
    s->stride = s->wide + 2 * s->margin;
    const long local = j->radius >= 0;
    s->queries = (uint32_t*)lines((local ? j->h * s->wide : j->cells) * s->groups * 4);
    s->laid = (uint32_t*)lines((local ? j->h * s->stride : CODES_BLOCK) * s->groups * 4);
    s->query_terms = (int32_t*)lines(j->cells * 4);
    s->bound = (int32_t*)lines(j->cells * 4);
    const long minima = local ? j->h * s->wide : j->cells * 16;
    s->nearest = (int32_t*)lines(minima * 4);
    const long terms = local ? j->h * s->stride : CODES_BLOCK;
    s->terms = (int32_t*)lines(terms * 4);
    s->open = (int32_t*)lines((j->cells > widest ? j->cells : widest) * 4);
    s->pad = (int8_t*)lines(j->d);
    if (!s->queries || !s->laid || !s->query_terms || !s->bound || !s->nearest || !s->terms || !s->open || !s->pad) return -1;
    for (long i = 0; i < minima; i++) s->nearest[i] = INT32_MAX;
    for (long i = 0; i < terms; i++) s->terms[i] = INT32_MAX;
    return 0;
}

static void give_space(Space* s) {
    free(s->queries), free(s->laid), free(s->query_terms), free(s->bound);
    free(s->nearest), free(s->terms), free(s->open), free(s->pad);
}

static int32_t nearest_of(const Job* j, const Space* s, long c) {
    if (j->radius >= 0) return s->nearest[c / j->w * s->wide + c % j->w];
    int32_t least = s->nearest[c * 16];
    for (int k = 1; k < 16; k++) least = s->nearest[c * 16 + k] < least ? s->nearest[c * 16 + k] : least;
    return least;
}

// Distances to `far`, or verdicts to `within` where that is given. 0, or -1 when there is no memory for the scratch.
static int nearest(const Job* j, int level, int32_t* far, uint8_t* within) {
    Space s = {};
    const int bad = take_space(j, level, &s);
    if (!bad) {
        const Steps steps = steps_for(level);
        memset(s.pad, steps.pad, j->d);
        steps.lay_queries(j, &s);
        (j->radius < 0 ? steps.whole_bank : steps.nearby)(j, &s);
        for (long c = 0; c < j->cells; c++) {
            const int32_t least = nearest_of(j, &s, c);
            if (within) within[c] = least <= s.bound[c];
            else far[c] = (int32_t)((uint32_t)least + (uint32_t)s.query_terms[c]);
        }
    }
    give_space(&s);
    return bad;
}
