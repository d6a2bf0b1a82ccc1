// Questions: walks up the elimination tree from both ends, with labels by depth.
#pragma once
#include <stdint.h>
#include <algorithm>
#include <vector>
#include "cpu.h"
#include "metric.h"

namespace aisle_route {

struct Piece {                                   // an arc of the hierarchy that waits to be unpacked, and what it stands for
    int32_t head;
    uint32_t over;
    int32_t down;
};

struct Scratch {                                 // what one thread needs; made once, grows to the map
    std::vector<uint64_t> from, to;              // labels by depth: cost above, 1 + the arc it came over below (0: start)
    std::vector<uint32_t> from32, to32;          // costs alone
    std::vector<uint32_t> rows, columns;
    std::vector<int32_t> climbed, arcs, row_nodes, column_nodes;
    std::vector<Piece> stack;
    bool broken = false;
};

// Labels come in two kinds. A path needs the arc that each came over; a mere cost is quicker without.
struct Traced {
    using Label = uint64_t;
    static std::vector<Label>& from(Scratch& s) { return s.from; }
    static std::vector<Label>& to(Scratch& s) { return s.to; }
    static Label start(uint32_t cost) { return (uint64_t)cost << 32; }
    static uint32_t cost(Label l) { return (uint32_t)(l >> 32); }
    static Label base(Label l) { return (l & ~(uint64_t)0xffffffff) + 1; }
    static Label step(Label base, uint32_t weight, int e) { return base + ((uint64_t)weight << 32 | (uint32_t)e); }
};

struct Plain {
    using Label = uint32_t;
    static std::vector<Label>& from(Scratch& s) { return s.from32; }
    static std::vector<Label>& to(Scratch& s) { return s.to32; }
    static Label start(uint32_t cost) { return cost; }
    static uint32_t cost(Label l) { return l; }
    static Label base(Label l) { return l; }
    static Label step(Label base, uint32_t weight, int) { return base + weight; }
};

template <typename Kind>
static inline void relax(const View& g, const std::vector<uint32_t>& weight, int v, typename Kind::Label* label) {
    const auto base = Kind::base(label[g.depth[v]]);
    const int from = g.up_first[v], end = g.up_first[v + 1];
    for (int e = from; e < end; e++) {
        auto& l = label[g.up_depth[e]];
        l = std::min(l, Kind::step(base, weight[e], e));
    }
}

// The next node's arcs lie elsewhere in memory: they are asked for before they are needed.
static inline int climb_on(const View& g, const std::vector<uint32_t>& weight, int v) {
    const int p = g.parent(v);
    if (p >= 0) {
        const int e = g.up_first[p];
        __builtin_prefetch(&g.up_depth[e]);
        __builtin_prefetch(weight.data() + e);
    }
    return p;
}

struct Ends {                                    // starts or goals that lie on one way up; the lowest first
    int32_t count;
    const int32_t* node;                         // ranks
    const uint32_t* offset;
};

template <typename Kind>
static void put(const View& g, const Ends& ends, typename Kind::Label* label) {
    std::fill(label, label + g.depth[ends.node[0]] + 1, Kind::start(INF));
    for (int i = 0; i < ends.count; i++) {
        auto& l = label[g.depth[ends.node[i]]];
        l = std::min(l, Kind::start(std::min(ends.offset[i], INF)));
    }
}

// The least cost, and the depth at which the two walks met (-1: nowhere). Labels stay in `s` for unpacking.
template <typename Kind>
static uint32_t meet(const View& g, const Metric& k, const Ends& sources, const Ends& targets, Scratch& s, int& at) {
    auto &a_labels = Kind::from(s), &b_labels = Kind::to(s);
    if ((int)a_labels.size() < g.height) a_labels.resize(g.height), b_labels.resize(g.height);
    auto *from = a_labels.data(), *to = b_labels.data();
    put<Kind>(g, sources, from);
    put<Kind>(g, targets, to);
    int a = sources.node[0], b = targets.node[0];
    while (a != b) {                             // up to the first common ancestor
        if (a >= 0 && (b < 0 || a < b)) {
            const int next = climb_on(g, k.up, a);
            if (Kind::cost(from[g.depth[a]]) < INF) relax<Kind>(g, k.up, a, from);
            a = next;
        } else {
            const int next = climb_on(g, k.down, b);
            if (Kind::cost(to[g.depth[b]]) < INF) relax<Kind>(g, k.down, b, to);
            b = next;
        }
    }
    uint32_t best = INF;
    at = -1;
    for (; a >= 0; a = g.parent(a)) {            // together from there on; what is no better than the best is left
        const int d = g.depth[a];
        const uint32_t f = Kind::cost(from[d]), t = Kind::cost(to[d]);
        if (f + t < best) best = f + t, at = d;
        if (f < best) relax<Kind>(g, k.up, a, from);
        if (t < best) relax<Kind>(g, k.down, a, to);
    }
    return best;
}

// Puts arc e on the stack. What stands behind it is looked up now, and the memory that its parts will need is asked for:
// by the time they are unpacked it has come.
static inline void stack_up(const View& g, const Metric& k, int e, int down, Scratch& s) {
    const uint32_t over = k.over[2 * (size_t)e + down];
    if (over >= DETOUR) {
        __builtin_prefetch(&g.up_head[over - DETOUR]);
        __builtin_prefetch(k.over.data() + 2 * (size_t)(over - DETOUR));
    }
    s.stack.push_back({g.up_head[e], over, down});
}

// Arcs of the graph for all that is on the stack, last in first, appended to `s.arcs`.
static void unpack(const View& g, const Metric& k, Scratch& s) {
    while (!s.stack.empty()) {
        const Piece piece = s.stack.back();
        s.stack.pop_back();
        if (piece.over < DETOUR) {
            s.arcs.push_back((int32_t)piece.over);
            continue;
        }
        const int tail = (int)(piece.over - DETOUR);
        int head = tail + 1;                     // the arc to the other end follows among those of the same lower node
        while (head < g.m && g.up_head[head] != piece.head) head++;
        if (head == g.m) {                       // only a damaged hierarchy has a detour without its arcs
            s.broken = true;
            s.stack.clear();
            return;
        }
        stack_up(g, k, piece.down ? tail : head, 0, s);       // the second half first
        stack_up(g, k, piece.down ? head : tail, 1, s);
    }
}

// The path of the last `meet`, as arcs in `s.arcs`; `start` and `goal` get the ranks of its ends.
static void follow(const View& g, const Metric& k, int at, const Ends& sources, const Ends& targets, Scratch& s,
                   int& start, int& goal) {
    s.arcs.clear();
    s.stack.clear();
    s.climbed.clear();
    start = goal = -1;
    for (uint32_t low, d = at; (low = (uint32_t)s.to[d]); d = g.depth[goal]) {
        s.climbed.push_back(low - 1);
        goal = g.up_tail[low - 1];
    }
    for (size_t i = s.climbed.size(); i-- > 0;) stack_up(g, k, s.climbed[i], 1, s);
    for (uint32_t low, d = at; (low = (uint32_t)s.from[d]); d = g.depth[start]) {
        stack_up(g, k, low - 1, 0, s);
        start = g.up_tail[low - 1];
    }
    unpack(g, k, s);
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
                const uint32_t c = meet<Plain>(g, k, {1, &nodes[0][i], &offsets[0][i]}, {1, &nodes[1][j], &offsets[1][j]}, s, at);
                if (c < cost) cost = c, bi = i, bj = j;
            }
        from = {1, &nodes[0][bi], &offsets[0][bi]};
        to = {1, &nodes[1][bj], &offsets[1][bj]};
    }
    cost = meet<Traced>(g, k, from, to, s, at);
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

// How many ancestors two ways up share: they are a prefix by depth.
static inline int common(const int32_t* a, const int32_t* b, int high) {
    int low = 0;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (a[middle] == b[middle]) low = middle + 1;
        else high = middle;
    }
    return low;
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
                const int shared = common(&s.row_nodes[(i - from) * h], &s.column_nodes[t * h],
                                          std::min(g.depth[sources[i]], g.depth[targets[t]]) + 1);
                out[(size_t)i * nt + t] = least_sum(&s.rows[(i - from) * h], &s.columns[t * h], shared);
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
