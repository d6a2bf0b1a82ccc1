// Nearest int8 codes, all of a bank or those nearby. The query's own term joins a distance at the end.
#pragma once
#include <stdint.h>
#include <string.h>

// A bank laid out. Nearby (`near`): rows of each part lane by lane, `wide` lanes, with |b|^2 as terms. Whole: blocks of 64
// codes of all parts, first those whose |b|^2 is even, then the odd ones, and -(|b|^2 >> 1) as terms.
struct Laid {
    int level, near;
    long count[2], groups, wide, bytes;   // of codes whose |b|^2 is even, odd
    uint32_t* codes;
    int32_t* terms;
};

// `radius` -1 compares with the whole bank. `verdict`: a query is done once something is within `most`. A bank comes as
// `bank` or as `laid`.
struct Job {
    const int8_t *query, *bank;
    const Laid* laid;
    const uint8_t* skip;
    long cells, codes;
    int parts, h, w, d, radius, verdict;
    int32_t most;
};

// Scratch of a call. Whole bank: queries one after the other, sixteen maxima each of query times code less half the code's
// term, of even terms and of odd ones, so that a bit that halving loses is known. Nearby: rows of queries lane by lane with
// `margin` empty lanes on either side, minima alike, in three planes where a plane has its own shift of one cell.
struct Space {
    long groups, wide, margin, stride, reach, planes, as_given;
    const uint32_t* queries;  // those that were laid out, or the caller's where they lie right already
    uint32_t *room_of_queries, *laid, *empty;
    int32_t *query_terms, *bound, *best, *terms, *open, *beyond;
    int8_t* pad;
    void* room;              // where all of them lie
};

// Whether |b|^2 of a code is odd: as many of its values are as an odd number.
static inline int odd_code(const int8_t* code, int d) {
    uint64_t bits = 0, eight;
    int i = 0;
    for (; i + 8 <= d; i += 8) memcpy(&eight, code + i, 8), bits ^= eight;
    for (; i < d; i++) bits ^= (uint8_t)code[i];
    return __builtin_parityll(bits & 0x0101010101010101);
}

static inline long blocks_of(long codes) { return (codes + 63) / 64; }

// The least distance of a cell without its query's term.
static int32_t nearest_of(const Job* j, const Space* s, long c) {
    if (j->radius >= 0) {
        const int32_t* at = s->best + c / j->w * s->stride + s->margin + c % j->w;
        if (s->planes == 1) return *at;
        const long plane = (j->h + 1L) * s->stride;
        const int32_t left = at[1], same = at[plane], right = at[2 * plane - 1];
        return left < same ? (left < right ? left : right) : same < right ? same : right;
    }
    int32_t least = INT32_MAX;
    for (int odd = 0; odd < 2; odd++) {
        const int32_t* best = s->best + (odd * j->cells + c) * 16;
        for (int k = 0; k < 16; k++)
            if (best[k] != INT32_MIN && odd - 2 * best[k] < least) least = odd - 2 * best[k];
    }
    return least;
}

#define CODES_BODY "body.h"
#include "codes.h"
#include "lists.h"

struct Steps {
    void (*lay_queries)(const Job*, const Space*);
    void (*lay_whole)(const Job*, const Laid*);
    void (*lay_row)(const Job*, const Space*, const int8_t*, uint32_t*, int32_t*);
    void (*whole_bank)(const Job*, const Space*);
    void (*nearby)(const Job*, const Space*);
    int pad, planes;
};
#define STEPS(set) {set::lay_queries, set::lay_whole, set::lay_row, set::whole_bank, set::nearby, set::PAD, set::TILES == 4 ? 3 : 1}
static inline Steps steps_for(int level) {
#if AISLE_X86
    if (level >= 4) return STEPS(vnni);
    if (level >= 2) return STEPS(avx2);
#elif defined(__aarch64__)
    if (level >= 1) return STEPS(dot);
#endif
    return STEPS(base);
}

// Memory from a line of the cache on.
static void* lines(long bytes) { return aligned_alloc(64, (bytes + 127) & ~63L); }

// All in one piece: many small ones would be given back to the system and be faulted in again by every call.
static int take_space(const Job* j, int level, const Steps* steps, Space* s) {
    const int local = j->radius >= 0;
    s->groups = codes_groups(j->d, level);
    s->reach = j->radius < j->w - 1 ? j->radius : j->w - 1;
    s->wide = (j->w + 15) & ~15;
    // Whole cache lines: what lies at the same place, and all that is written, is then never split between two.
    s->margin = (s->reach + 15) & ~15L;
    s->stride = s->wide + 2 * s->margin;
    s->planes = j->radius == 1 && s->reach == 1 ? steps->planes : 1;
    const long rows = j->h + 1L, best = local ? s->planes * rows * s->stride : 2 * j->cells * 16;
    // Groups of four codes in the order of memory are what the caller has.
    s->as_given = !local && codes_groups(4, level) == 1 && j->d % 4 == 0 && (uintptr_t)j->query % 4 == 0;
    const long queries = s->as_given ? 0 : (local ? rows * s->stride : j->cells) * s->groups * 4;
    const long laid = j->laid ? 0 : local ? j->h * s->wide : CODES_BLOCK;
    const struct { void** at; long bytes; } wanted[] = {
        {(void**)&s->room_of_queries, queries},
        {(void**)&s->laid, laid * s->groups * 4}, {(void**)&s->terms, laid * 4},
        {(void**)&s->empty, local ? s->wide * s->groups * 4 : 0}, {(void**)&s->beyond, local ? s->wide * 4 : 0},
        {(void**)&s->query_terms, j->cells * 4}, {(void**)&s->bound, j->cells * 4}, {(void**)&s->best, best * 4},
        {(void**)&s->open, (local ? j->h : j->cells) * 4}, {(void**)&s->pad, j->d},
    };
    long bytes = 0;
    for (const auto& one : wanted) bytes += (one.bytes + 63) & ~63L;
    char* room = (char*)lines(bytes);
    s->room = room;
    if (!room) return -1;
    for (const auto& one : wanted) *one.at = room, room += (one.bytes + 63) & ~63L;
    s->queries = s->as_given ? (const uint32_t*)j->query : s->room_of_queries;
    if (local) memset(s->room_of_queries, 0, queries), memset(s->empty, 0, s->wide * s->groups * 4);
    memset(s->pad, steps->pad, j->d);
    for (long i = 0; i < best; i++) s->best[i] = local ? INT32_MAX : INT32_MIN;
    for (long x = 0; local && x < s->wide; x++) s->beyond[x] = INT32_MAX;
    return 0;
}

// Distances to `far`, or verdicts to `within` where that is given. 0, or -1 when there is no memory for the scratch.
static int nearest(const Job* j, int level, int32_t* far, uint8_t* within) {
    Space s = {};
    if (j->laid) level = j->laid->level;
    const Steps steps = steps_for(level);
    const int bad = take_space(j, level, &steps, &s);
    if (!bad) {
        steps.lay_queries(j, &s);
        (j->radius < 0 ? steps.whole_bank : steps.nearby)(j, &s);
        for (long c = 0; c < j->cells; c++) {
            const int32_t least = nearest_of(j, &s, c);
            if (within) within[c] = least <= s.bound[c];
            else far[c] = (int32_t)((uint32_t)least + (uint32_t)s.query_terms[c]);
        }
    }
    free(s.room);
    return bad;
}

static void drop(Laid* laid) { free(laid->codes), free(laid->terms); }

// Lays out `j->bank`; `radius` says for which search. 0, or -1 when there is no memory.
static int lay_out(const Job* j, int level, Laid* laid) {
    const Steps steps = steps_for(level);
    long lanes = 0;
    laid->level = level, laid->near = j->radius >= 0, laid->groups = codes_groups(j->d, level), laid->wide = (j->w + 15) & ~15;
    if (laid->near) {
        lanes = j->parts * (long)j->h * laid->wide;
    } else {
        laid->count[0] = laid->count[1] = 0;
        for (long c = 0; c < j->parts * j->codes; c++) laid->count[odd_code(j->bank + c * j->d, j->d)]++;
        lanes = blocks_of(laid->count[0]) * CODES_BLOCK + blocks_of(laid->count[1]) * CODES_BLOCK;
    }
    laid->bytes = lanes * (laid->groups + 1) * 4;
    laid->codes = (uint32_t*)lines(lanes * laid->groups * 4);
    laid->terms = (int32_t*)lines(lanes * 4);
    Space s = {};
    s.wide = laid->wide, s.groups = laid->groups, s.pad = (int8_t*)lines(j->d);
    const int bad = !laid->codes || !laid->terms || !s.pad ? -1 : 0;
    if (!bad) {
        memset(s.pad, steps.pad, j->d);
        if (!laid->near) steps.lay_whole(j, laid);
        for (long row = 0; laid->near && row < j->parts * (long)j->h; row++)
            steps.lay_row(j, &s, j->bank + row * j->w * j->d, laid->codes + row * s.wide * s.groups, laid->terms + row * s.wide);
    }
    free(s.pad);
    return bad;
}
