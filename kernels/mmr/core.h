// Maximal marginal relevance with caps. Every row of the table is read once, when its place is chosen.
#pragma once
#include <math.h>
#include <stdint.h>

typedef struct {
    const float* alike;      // (m, m), or null
    const int32_t* codes;    // (ways, m)
    const int32_t* caps;     // (ways,)
    int m, ways;
    double weight;
} Choice;

// Whether with this choice its code in one way is full.
static inline int is_full(const int32_t* codes, int cap, const int32_t* chosen, int count, int32_t code) {
    int same = 0;
    for (int i = 0; i < count; i++) same += codes[chosen[i]] == code;
    return cap && code && same >= cap;
}

// `left` begins as the worth and becomes -inf where a place may not be chosen; `nearest` and `value` are room.
static inline void join(const Choice* c, const int32_t* chosen, int count, double* left, double* nearest) {
    const int32_t place = chosen[count - 1];
    left[place] = -INFINITY;
    if (c->alike) {
        const float* row = c->alike + (long)place * c->m;
        for (int i = 0; i < c->m; i++) nearest[i] = nearest[i] > (double)row[i] ? nearest[i] : (double)row[i];
    }
    for (int way = 0; way < c->ways; way++) {
        const int32_t* codes = c->codes + (long)way * c->m;
        if (!is_full(codes, c->caps[way], chosen, count, codes[place])) continue;
        for (int i = 0; i < c->m; i++)
            if (codes[i] == codes[place]) left[i] = -INFINITY;
    }
}

static inline int choose_places(const Choice* c, double* left, double* nearest, double* value, int begun, int32_t* out, int room) {
    for (int i = 0; i < c->m; i++) nearest[i] = 0, left[i] = isnan(left[i]) ? -INFINITY : left[i];
    for (int at = 1; at <= begun; at++) join(c, out, at, left, nearest);
    int count = begun;
    for (; count < room; count++) {
        int best = 0;
        for (int i = 0; i < c->m; i++) value[i] = left[i] - c->weight * nearest[i];
        for (int i = 1; i < c->m; i++)
            if (value[i] > value[best]) best = i;
        if (left[best] == -INFINITY) break;
        out[count] = best;
        join(c, out, count + 1, left, nearest);
    }
    for (int i = count; i < room; i++) out[i] = -1;
    return count;
}
