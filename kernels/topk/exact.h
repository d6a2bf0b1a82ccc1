// The best k rows in float32, found in the int8 form of the same rows and settled: whatever int8 cannot decide for certain
// is looked at again with more candidates, at last with all rows. Included by core.h.
#pragma once
#include <math.h>
#include <algorithm>
#include <vector>

#define LEAST 40            // candidates among few rows; among CROWDED rows so few would seldom settle it
#define CROWDED 200000
#define WIDER 4             // times as many candidates, where so many were not enough to be sure
#define MOST 2048           // candidates; beyond, every row is compared as float32

struct Exact {
    const float* query;
    const uint8_t* packed;
    const float* scale;
    const float* floats;
    const uint8_t* blocked;
    const float* bias;
    const int32_t* extra_rows;
    const float* extra;
    long extras, n;
    int d, k, level;
    double error, length;   // no row is farther from its int8 form; none of these is longer
};

static void settle(const Exact* e, std::vector<uint64_t>& keys) {
    const Floats table = {e->floats, nullptr, nullptr, e->bias};
#if AISLE_X86
    if (e->level >= 4) return floats_avx512::settle(&table, keys.data(), (long)keys.size(), e->d, e->query);
    if (e->level >= 2) return floats_avx2::settle(&table, keys.data(), (long)keys.size(), e->d, e->query);
#endif
    floats_base::settle(&table, keys.data(), (long)keys.size(), e->d, e->query);
}

// The best k of the candidates and of the rows of the last block where that is not whole, by their float32 scores.
static void settled(const Exact* e, std::vector<uint64_t>& keys) {
    for (long row = e->n & ~15L; row < e->n; row++)
        if (!is_blocked(e->blocked, row)) keys.push_back(key_of(0, (int32_t)row));
    settle(e, keys);
    const long k = std::min((long)keys.size(), (long)e->k);
    std::partial_sort(keys.begin(), keys.begin() + k, keys.end(), std::greater<uint64_t>());
    keys.resize((size_t)k);
    while (!keys.empty() && !keys.back()) keys.pop_back();    // a score that is no number, or -inf
}

static void plainly(const Exact* e, int32_t* ids, float* scores) {
    const Floats table = {e->floats, e->blocked, nullptr, e->bias};
    best_rows(e->query, &table, (const float*)nullptr, e->n, 1, e->d, e->k, -__builtin_inff(), e->level, ids, scores);
}

// The bias of every row with the extra of some. In memory that stays with the thread: new memory for it would be as dear as
// the search.
static const float* with_extras(const Exact* e) {
    if (!e->extras) return e->bias;
    static thread_local std::vector<float> kept;
    if (e->bias) kept.assign(e->bias, e->bias + e->n);
    else kept.assign((size_t)e->n, 0.f);
    if (kept.capacity() > 4 * (size_t)e->n) kept.shrink_to_fit();    // a far larger table is gone
    for (long i = 0; i < e->extras; i++)
        if (e->extra_rows[i] >= 0) kept[(size_t)e->extra_rows[i]] += e->extra[i];
    return kept.data();
}

static void best_exact(const Exact* asked, int32_t* ids, float* scores) {
    Exact with = *asked;
    const Exact* e = &with;
    with.bias = with_extras(asked);
    int8_t codes[MAX_DEPTH];
    float most = 0;
    bool finite = true;
    for (int i = 0; i < e->d; i++) finite &= isfinite(e->query[i]) != 0, most = std::max(most, fabsf(e->query[i]));
    const float gain = most / 127;
    double length = 0, off = 0;
    for (int i = 0; finite && i < e->d; i++) {
        codes[i] = (int8_t)(gain > 0 ? std::min(127.f, std::max(-127.f, rintf(e->query[i] / gain))) : 0);
        const double left = (double)e->query[i] - (double)codes[i] * gain;
        length += (double)e->query[i] * e->query[i], off += left * left;
    }
    length = sqrt(length), off = sqrt(off);
    std::vector<uint64_t> keys;
    bool sure = false;
    const long start = e->n < CROWDED ? LEAST : WIDER * LEAST;
    for (long many = std::max(start, 2L * e->k); finite && !sure && many <= MOST; many *= WIDER) {
        keys.resize(2 * (size_t)many);
        Pool pool = {keys.data(), 0, (int)many, 2 * (int)many, -INFINITY};
        const Table table = {(const int8_t*)e->packed, e->blocked, e->scale, e->bias};
        scan_pool(&table, e->n & ~15L, e->d, codes, &gain, &pool, e->level);
        cut(&pool);
        const bool every = pool.size < many;
        const double worst = pool.worst;
        keys.resize((size_t)pool.size);
        settled(e, keys);
        // |q.v - p.w| <= |q| |v - w| + |q - p| |w| for the int8 forms p and w; the last term is float32's own rounding.
        const double bound = worst + length * e->error + off * e->length + (1e-5 + 1e-7 * e->d) * (1 + length * e->length + fabs(worst));
        sure = every || (keys.size() == (size_t)e->k && score_of_key(keys.back()) > bound);
    }
    if (!sure) return plainly(e, ids, scores);
    for (int i = 0; i < e->k; i++) {
        const bool there = (size_t)i < keys.size();
        ids[i] = there ? id_of(keys[(size_t)i]) : -1, scores[i] = there ? score_of_key(keys[(size_t)i]) : -INFINITY;
    }
}
