// Weights on a hierarchy: all of them at once, or the few that a change touches.
//
// The weight of arc v-u must be at most that of any detour over a lower node ("lower triangle"); then a shortest path
// exists that first only climbs and then only descends (Dibbelt et al., section 5). Every arc also keeps which node the
// best detour went over, so that unpacking a path needs no search.
#pragma once
#include <stdint.h>
#include <string.h>
#include <algorithm>
#include <queue>
#include <vector>

namespace aisle_route {

constexpr uint32_t INF = 0x7fffffff;

struct View {                                    // the arrays of a Hierarchy, wherever they lie
    int32_t n, m, arcs, height;
    const int32_t *rank, *up_first, *up_head, *up_tail, *up_depth, *depth, *down_first, *down_arc, *arc_slot, *slot_arc, *next_same;
    int32_t parent(int v) const { return up_first[v] < up_first[v + 1] ? up_head[up_first[v]] : -1; }
};

// Every index that a search follows, checked once: a damaged file must not lead it out of its arrays.
static const char* fault(View& g) {
    if (g.up_first[0] != 0 || g.up_first[g.n] != g.m || g.down_first[0] != 0 || g.down_first[g.n] != g.m) return "up_first";
    std::vector<char> seen(g.n, 0);
    for (int v = 0; v < g.n; v++) {
        if (g.rank[v] < 0 || g.rank[v] >= g.n || seen[g.rank[v]]++) return "rank";
        if (g.up_first[v] > g.up_first[v + 1] || g.up_first[v + 1] > g.m) return "up_first";
        if (g.down_first[v] > g.down_first[v + 1] || g.down_first[v + 1] > g.m) return "down_first";
    }
    g.height = 0;
    for (int v = g.n - 1; v >= 0; v--) {
        for (int e = g.up_first[v], last = v; e < g.up_first[v + 1]; last = g.up_head[e++])
            if (g.up_head[e] <= last || g.up_head[e] >= g.n || g.up_tail[e] != v || g.up_depth[e] != g.depth[g.up_head[e]])
                return "up_head";
        const int parent = g.parent(v);
        if (g.depth[v] != (parent < 0 ? 0 : g.depth[parent] + 1)) return "depth";
        g.height = std::max(g.height, g.depth[v] + 1);
        for (int i = g.down_first[v]; i < g.down_first[v + 1]; i++)
            if (g.down_arc[i] < 0 || g.down_arc[i] >= g.m || g.up_head[g.down_arc[i]] != v ||
                (i > g.down_first[v] && g.down_arc[i] <= g.down_arc[i - 1])) return "down_arc";
        for (int e = g.up_first[v]; e < g.up_first[v + 1]; e++)
            if (g.up_depth[e] >= g.depth[v]) return "up_depth";
    }
    std::vector<char> followed(g.arcs, 0);       // each arc follows one other: then every ring closes
    for (int a = 0; a < g.arcs; a++) {
        if (g.arc_slot[a] < -1 || g.arc_slot[a] >= 2 * (int64_t)g.m) return "arc_slot";
        if (g.next_same[a] < 0 || g.next_same[a] >= g.arcs || g.arc_slot[g.next_same[a]] != g.arc_slot[a] ||
            followed[g.next_same[a]]++) return "next_same";
    }
    for (int64_t s = 0; s < 2 * (int64_t)g.m; s++)
        if (g.slot_arc[s] < -1 || g.slot_arc[s] >= g.arcs || (g.slot_arc[s] >= 0 && g.arc_slot[g.slot_arc[s]] != s))
            return "slot_arc";
    return nullptr;
}

struct Metric {
    std::vector<uint32_t> input;                 // the weights of the graph's own arcs
    std::vector<uint32_t> up, down;              // weights of the hierarchy's arcs: tail to head, head to tail
    // What stands behind them, [arc][up, down] side by side because unpacking reads both kinds: an arc of the graph, or
    // DETOUR + the first of the two arcs, v to tail and v to head, of the lower node v that the way goes over.
    std::vector<uint32_t> over;
};

constexpr uint32_t DETOUR = 0x80000000u;

// The cheapest of the graph's arcs in a slot, weight above and its number below.
static inline uint64_t own(const View& g, const Metric& k, int64_t slot) {
    const int32_t first = g.slot_arc[slot];
    uint64_t best = (uint64_t)INF << 32;
    if (first < 0) return best;
    int32_t a = first;
    do {
        best = std::min(best, (uint64_t)k.input[a] << 32 | (uint32_t)a);
        a = g.next_same[a];
    } while (a != first);
    return best;
}

static inline void store(Metric& k, int e, uint64_t up, uint64_t down) {
    k.up[e] = (uint32_t)std::min<uint64_t>(up >> 32, INF);
    k.down[e] = (uint32_t)std::min<uint64_t>(down >> 32, INF);
    k.over[2 * (size_t)e] = (uint32_t)up;
    k.over[2 * (size_t)e + 1] = (uint32_t)down;
}

static void make_room(const View& g, Metric& k) { k.up.resize(g.m), k.down.resize(g.m), k.over.resize(2 * (size_t)g.m); }

// The arcs that climb from the nodes `first` to `end` - 1 (or from those of `only`), after all that lie below them.
static void customise(const View& g, Metric& k, int first, int end, const int32_t* only = nullptr) {
    // Labels by depth, weight above and origin below: one minimum decides both, and equal weights take the graph's own arc.
    std::vector<uint64_t> ahead(g.height), back(g.height);
    for (int at = first; at < end; at++) {
        const int u = only ? only[at] : at, from = g.up_first[u], last_arc = g.up_first[u + 1];
        for (int e = from; e < last_arc; e++) {
            ahead[g.up_depth[e]] = own(g, k, 2 * (int64_t)e);
            back[g.up_depth[e]] = own(g, k, 2 * (int64_t)e + 1);
        }
        for (int i = g.down_first[u]; i < g.down_first[u + 1]; i++) {
            const int d = g.down_arc[i], v = g.up_tail[d], last = g.up_first[v + 1];
            const uint64_t to_v = k.down[d], from_v = k.up[d], name = DETOUR | (uint32_t)d;
            for (int j = d + 1; j < last; j++) {
                const int at_depth = g.up_depth[j];
                ahead[at_depth] = std::min(ahead[at_depth], (to_v + k.up[j]) << 32 | name);
                back[at_depth] = std::min(back[at_depth], (from_v + k.down[j]) << 32 | name);
            }
        }
        for (int e = from; e < last_arc; e++) store(k, e, ahead[g.up_depth[e]], back[g.up_depth[e]]);
    }
}

// What a metric that was kept in a file says of each arc must be true: an arc of the graph of that weight, or two arcs of
// lower numbers that add up to it. Then no search can be led astray or promise a way that is not there.
static const char* metric_fault(const View& g, const Metric& k) {
    for (int e = 0; e < g.m; e++)
        for (int way = 0; way < 2; way++) {
            const uint32_t weight = (way ? k.down : k.up)[e], over = k.over[2 * (size_t)e + way];
            if (weight > INF) return "weights";
            if (weight == INF) continue;
            if (over < DETOUR) {
                if (over >= (uint32_t)g.arcs || g.arc_slot[over] != 2 * (int64_t)e + way || k.input[over] != weight) return "over";
                continue;
            }
            const int64_t to_tail = (int64_t)over - DETOUR;
            if (to_tail >= e || g.up_head[to_tail] != g.up_tail[e]) return "over";
            const int64_t v = g.up_tail[to_tail];
            int64_t to_head = to_tail + 1;
            while (to_head < g.up_first[v + 1] && g.up_head[to_head] != g.up_head[e]) to_head++;
            if (to_head == g.up_first[v + 1]) return "over";
            const uint64_t sum = way ? (uint64_t)k.down[to_head] + k.up[to_tail] : (uint64_t)k.down[to_tail] + k.up[to_head];
            if (sum != weight) return "over";
        }
    return nullptr;
}

static inline int find_arc(const View& g, int low, int high) {
    const int32_t *from = g.up_head + g.up_first[low], *end = g.up_head + g.up_first[low + 1];
    const int32_t* at = std::lower_bound(from, end, high);
    return at < end && *at == high ? (int)(at - g.up_head) : -1;
}

// One arc from its own weight and its lower triangles.
static void settle(const View& g, Metric& k, int e) {
    uint64_t a = own(g, k, 2 * (int64_t)e), b = own(g, k, 2 * (int64_t)e + 1);
    const int u = g.up_tail[e], w = g.up_head[e];
    int i = g.down_first[u], j = g.down_first[w];
    const int i_end = g.down_first[u + 1], j_end = g.down_first[w + 1];
    // Both lists rise with their lower node. That of w is usually much the longer: look its entries up instead.
    const bool walk = (j_end - j) < 8 * (i_end - i);
    for (; i < i_end; i++) {
        const int d = g.down_arc[i], v = g.up_tail[d];
        int f = -1;
        if (walk) {
            while (j < j_end && g.up_tail[g.down_arc[j]] < v) j++;
            if (j < j_end && g.up_tail[g.down_arc[j]] == v) f = g.down_arc[j];
        } else {
            f = find_arc(g, v, w);
        }
        if (f < 0) continue;
        a = std::min(a, ((uint64_t)k.down[d] + k.up[f]) << 32 | DETOUR | (uint32_t)d);
        b = std::min(b, ((uint64_t)k.up[d] + k.down[f]) << 32 | DETOUR | (uint32_t)d);
    }
    store(k, e, a, b);
}

// Brings the metric to changed inputs; `touched` gets every arc of the hierarchy that changed.
// Arcs are settled from low tails to high ones: what an arc depends on is settled before it (Dibbelt et al., section 5.4).
class Updater {
public:
    void run(const View& g, Metric& k, const int32_t* arcs, int count, std::vector<int32_t>& touched) {
        waiting.resize(g.m, 0);
        for (int i = 0; i < count; i++)
            if (g.arc_slot[arcs[i]] >= 0) push(g.arc_slot[arcs[i]] >> 1);
        while (!heap.empty()) {
            const int e = heap.top();
            heap.pop();
            waiting[e] = 0;
            const uint32_t a = k.up[e], b = k.down[e], c = k.over[2 * (size_t)e], d = k.over[2 * (size_t)e + 1];
            settle(g, k, e);
            const bool same = a == k.up[e] && b == k.down[e];
            if (!same || c != k.over[2 * (size_t)e] || d != k.over[2 * (size_t)e + 1]) touched.push_back(e);
            if (!same) spread(g, k, e);
        }
    }

private:
    // Arcs are numbered by tail, so the least number is the lowest tail.
    std::priority_queue<int, std::vector<int>, std::greater<int>> heap;
    std::vector<char> waiting;

    void push(int e) {
        if (waiting[e]) return;
        waiting[e] = 1;
        heap.push(e);
    }

    // Arcs above e whose best detour was over it, or now is.
    void spread(const View& g, Metric& k, int e) {
        const int v = g.up_tail[e], u = g.up_head[e];
        for (int j = g.up_first[v]; j < g.up_first[v + 1]; j++) {
            if (j == e) continue;
            const int w = g.up_head[j];
            const int t = u < w ? find_arc(g, u, w) : find_arc(g, w, u);
            if (t < 0) continue;
            const uint32_t name = DETOUR | (uint32_t)std::min(e, j);
            const uint64_t out = (uint64_t)k.down[e] + k.up[j], in = (uint64_t)k.up[e] + k.down[j];   // u to w, w to u
            const std::vector<uint32_t>&there = u < w ? k.up : k.down, &back = u < w ? k.down : k.up;
            const uint32_t* over = &k.over[2 * (size_t)t];
            if (over[0] == name || over[1] == name || out < there[t] || in < back[t]) push(t);
        }
    }
};

}  // namespace aisle_route
