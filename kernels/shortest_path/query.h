// Questions: walks up the elimination tree from both ends, with labels by depth.
#pragma once
#include <stdint.h>
#include <algorithm>
#include <vector>
#include "cpu.h"
#include "metric.h"

namespace aisle_route {

constexpr uint64_t NONE = (uint64_t)INF << 32;

struct Scratch {                                 // what one thread needs; made once, grows to the map
    std::vector<uint64_t> from, to;              // labels by depth: cost above, 1 + the arc it came over below (0: start)
    std::vector<uint32_t> rows, columns;
    std::vector<int32_t> climbed, arcs, row_nodes, column_nodes;
    std::vector<std::pair<int32_t, char>> stack;
    bool broken = false;
};

static inline void relax(const View& g, const std::vector<uint32_t>& weight, int v, uint64_t cost, uint64_t* label) {
    const uint64_t base = (cost & ~(uint64_t)0xffffffff) + 1;
    const int end = g.up_first[v + 1];
    for (int e = g.up_first[v]; e < end; e++) {
        uint64_t& l = label[g.up_depth[e]];
        l = std::min(l, base + ((uint64_t)weight[e] << 32 | (uint32_t)e));
    }
}

struct Ends {                                    // starts or goals that lie on one way up; the lowest first
    int32_t count;
    const int32_t* node;                         // ranks
    const uint32_t* offset;
};

static void put(const View& g, const Ends& ends, uint64_t* label) {
    std::fill(label, label + g.depth[ends.node[0]] + 1, NONE);
    for (int i = 0; i < ends.count; i++) {
        uint64_t& l = label[g.depth[ends.node[i]]];
        l = std::min(l, (uint64_t)std::min(ends.offset[i], INF) << 32);
    }
}

// The least cost, and the depth at which the two walks met (-1: nowhere). Labels stay in `s` for unpacking.
static uint32_t meet(const View& g, const Metric& k, const Ends& sources, const Ends& targets, Scratch& s, int& at) {
    if ((int)s.from.size() < g.height) s.from.resize(g.height), s.to.resize(g.height);
    uint64_t *from = s.from.data(), *to = s.to.data();
    put(g, sources, from);
    put(g, targets, to);
    int a = sources.node[0], b = targets.node[0];
    while (a != b) {                             // up to the first common ancestor
        if (a >= 0 && (b < 0 || a < b)) {
            if (from[g.depth[a]] < NONE) relax(g, k.up, a, from[g.depth[a]], from);
            a = g.parent(a);
        } else {
            if (to[g.depth[b]] < NONE) relax(g, k.down, b, to[g.depth[b]], to);
            b = g.parent(b);
        }
    }
    uint64_t best = NONE;
    at = -1;
    for (; a >= 0; a = g.parent(a)) {            // together from there on; what is no better than the best is left
        const int d = g.depth[a];
        const uint64_t f = from[d], t = to[d], sum = (f >> 32) + (t >> 32);
        if (sum < best >> 32) best = sum << 32, at = d;
        if (f < best) relax(g, k.up, a, f, from);
        if (t < best) relax(g, k.down, a, t, to);
    }
    return (uint32_t)(best >> 32);
}

// The graph's arcs that arc e stands for, from its tail up (or down to it), appended to `s.arcs`.
static void unpack(const View& g, const Metric& k, int e, char down, Scratch& s) {
    s.stack.clear();
    s.stack.emplace_back(e, down);
    while (!s.stack.empty()) {
        const auto [f, way] = s.stack.back();
        s.stack.pop_back();
        const uint32_t over = k.over[2 * (size_t)f + way];
        if (over < DETOUR) {
            s.arcs.push_back((int32_t)over);
            continue;
        }
        const int tail = (int)(over - DETOUR), wanted = g.up_head[f];
        int head = tail + 1;                     // the arc to the other end follows among those of the same lower node
        while (head < g.m && g.up_head[head] != wanted) head++;
        if (head == g.m) {                       // only a damaged hierarchy has a detour without its arcs
            s.broken = true;
            return;
        }
        s.stack.emplace_back(way ? tail : head, 0);       // last in, first out: the second half first
        s.stack.emplace_back(way ? head : tail, 1);
    }
}

// The path of the last `meet`, as arcs in `s.arcs`; `start` and `goal` get the ranks of its ends.
static void follow(const View& g, const Metric& k, int at, const Ends& sources, const Ends& targets, Scratch& s,
                   int& start, int& goal) {
    s.arcs.clear();
    s.climbed.clear();
    int d = at;
    for (uint32_t low; (low = (uint32_t)s.from[d]); d = g.depth[g.up_tail[low - 1]]) s.climbed.push_back(low - 1);
    start = s.climbed.empty() ? -1 : g.up_tail[s.climbed.back()];
    for (size_t i = s.climbed.size(); i-- > 0;) unpack(g, k, s.climbed[i], 0, s);
    goal = -1;
    d = at;
    for (uint32_t low; (low = (uint32_t)s.to[d]); d = g.depth[goal]) {
        unpack(g, k, low - 1, 1, s);
        goal = g.up_tail[low - 1];
    }
    for (int v = sources.node[0]; start < 0 && v >= 0; v = g.parent(v))       // an end that lies where the walks met
        if (g.depth[v] == at) start = v;
    for (int v = targets.node[0]; goal < 0 && v >= 0; v = g.parent(v))
        if (g.depth[v] == at) goal = v;
}

// Sorts ends, lowest first; false if they do not lie on one way up the tree.
static bool line_up(const View& g, std::vector<std::pair<int32_t, uint32_t>>& ends) {
    std::sort(ends.begin(), ends.end());
    int v = ends[0].first;
    for (auto& end : ends) {
        while (v >= 0 && v < end.first) v = g.parent(v);
        if (v != end.first) return false;
    }
    return true;
}

// Cheapest way between two sets of ends (ranks with offsets); on a line they are one search, else each pair is one.
// False only if the hierarchy is damaged.
static bool best_way(const View& g, const Metric& k, std::vector<std::pair<int32_t, uint32_t>> sources,
                     std::vector<std::pair<int32_t, uint32_t>> targets, Scratch& s, uint32_t& cost, int& start, int& goal) {
    const bool lined = line_up(g, sources) & line_up(g, targets);
    std::vector<int32_t> nodes[2];
    std::vector<uint32_t> offsets[2];
    for (auto& [v, o] : sources) nodes[0].push_back(v), offsets[0].push_back(o);
    for (auto& [v, o] : targets) nodes[1].push_back(v), offsets[1].push_back(o);
    Ends from{(int)sources.size(), nodes[0].data(), offsets[0].data()}, to{(int)targets.size(), nodes[1].data(), offsets[1].data()};
    int at = -1;
    if (!lined) {
        size_t bi = 0, bj = 0;
        cost = INF;
        for (size_t i = 0; i < sources.size(); i++)
            for (size_t j = 0; j < targets.size(); j++) {
                const uint32_t c = meet(g, k, {1, &nodes[0][i], &offsets[0][i]}, {1, &nodes[1][j], &offsets[1][j]}, s, at);
                if (c < cost) cost = c, bi = i, bj = j;
            }
        from = {1, &nodes[0][bi], &offsets[0][bi]};
        to = {1, &nodes[1][bj], &offsets[1][bj]};
    }
    cost = meet(g, k, from, to, s, at);
    s.arcs.clear();
    s.broken = false;
    start = goal = -1;
    if (cost < INF) follow(g, k, at, from, to, s, start, goal);
    return !s.broken;
}

// Labels of one node's ancestors by depth; `nodes` gets the ancestors.
static void climb(const View& g, const std::vector<uint32_t>& weight, int v, uint32_t* label, int32_t* nodes) {
    std::fill(label, label + g.depth[v] + 1, INF);
    label[g.depth[v]] = 0;
    for (; v >= 0; v = g.parent(v)) {
        const uint32_t cost = label[g.depth[v]];
        nodes[g.depth[v]] = v;
        for (int e = g.up_first[v]; cost < INF && e < g.up_first[v + 1]; e++) {
            uint32_t& l = label[g.up_depth[e]];
            l = std::min(l, cost + weight[e]);
        }
    }
}

#if AISLE_X86 && defined(__linux__)
__attribute__((target_clones("avx512f", "avx2", "default")))
#endif
static uint32_t least_sum(const uint32_t* a, const uint32_t* b, int count) {
    uint32_t best = INF;
    for (int i = 0; i < count; i++) best = std::min(best, a[i] + b[i]);
    return best;
}

// Every pair: walks up once from each end, then sums along what the two ways up share, which is a prefix by depth.
static void table(const View& g, const Metric& k, const int32_t* sources, int ns, const int32_t* targets, int nt, Scratch& s,
                  uint32_t* out) {
    const size_t h = g.height;
    constexpr int BLOCK = 128;                   // sources whose labels stay in the second cache
    s.columns.resize(h * nt), s.column_nodes.resize(h * nt);
    s.rows.resize(h * BLOCK), s.row_nodes.resize(h * BLOCK);
    for (int t = 0; t < nt; t++) climb(g, k.down, targets[t], &s.columns[t * h], &s.column_nodes[t * h]);
    for (int from = 0; from < ns; from += BLOCK) {
        const int end = std::min(ns, from + BLOCK);
        for (int i = from; i < end; i++)
            climb(g, k.up, sources[i], &s.rows[(i - from) * h], &s.row_nodes[(i - from) * h]);
        for (int t = 0; t < nt; t++)
            for (int i = from; i < end; i++) {
                const int32_t *a = &s.row_nodes[(i - from) * h], *b = &s.column_nodes[t * h];
                int low = 0, high = std::min(g.depth[sources[i]], g.depth[targets[t]]) + 1;
                while (low < high) {
                    const int middle = (low + high) / 2;
                    if (a[middle] == b[middle]) low = middle + 1;
                    else high = middle;
                }
                out[(size_t)i * nt + t] = least_sum(&s.rows[(i - from) * h], &s.columns[t * h], low);
            }
    }
}

// Cost of every node (by rank): up from the starts, then down over the whole hierarchy (Delling et al.: PHAST, 2011).
static void reach(const View& g, const Metric& k, int count, const int32_t* nodes, const uint32_t* offsets, bool reverse,
                  uint32_t* cost) {
    const std::vector<uint32_t>&up = reverse ? k.down : k.up, &down = reverse ? k.up : k.down;
    std::fill(cost, cost + g.n, INF);
    for (int i = 0; i < count; i++) cost[nodes[i]] = std::min(cost[nodes[i]], std::min(offsets[i], INF));
    for (int i = 0; i < count; i++)
        for (int v = nodes[i]; v >= 0; v = g.parent(v))
            for (int e = g.up_first[v]; cost[v] < INF && e < g.up_first[v + 1]; e++)
                cost[g.up_head[e]] = std::min(cost[g.up_head[e]], cost[v] + up[e]);
    for (int v = g.n - 1; v >= 0; v--)
        for (int e = g.up_first[v]; e < g.up_first[v + 1]; e++)
            cost[v] = std::min(cost[v], cost[g.up_head[e]] + down[e]);
}

}  // namespace aisle_route
