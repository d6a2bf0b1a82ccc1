// Many ways in one go, and what ways add up to beside their cost.
#pragma once
#include <math.h>
#include <stdint.h>
#include <utility>
#include <vector>
#include "query.h"

namespace aisle_route {

// Ends of many questions: those of question q are first[q] to first[q + 1] - 1. An end that lies within an arc costs that
// part of the arc's weight, whatever it is in the metric that answers; arc -1 costs nothing.
struct Spots {
    const int32_t *first, *node, *arc;
    const double* part;
};

using EndList = std::vector<std::pair<int32_t, uint32_t>>;

static void priced(const View& g, const Metric& k, const Spots& spots, int q, EndList& ends) {
    ends.clear();
    for (int i = spots.first[q]; i < spots.first[q + 1]; i++) {
        const uint32_t weight = spots.arc[i] < 0 ? 0 : k.input[spots.arc[i]];
        ends.push_back({g.rank[spots.node[i]], weight >= INF ? INF : (uint32_t)nearbyint(weight * spots.part[i])});
    }
}

// The place in `ends` that lies at a rank, the cheapest of equals; -1 for none.
static int place_of(const EndList& ends, int rank) {
    int best = -1;
    for (int i = 0; i < (int)ends.size(); i++)
        if (ends[i].first == rank && (best < 0 || ends[i].second < ends[best].second)) best = i;
    return best;
}

struct Answers {                                 // starts and goals are places in the whole lists of ends; -1 without a way
    uint32_t* cost;
    int32_t *start, *goal;
    int32_t* first;                              // where the arcs of a question begin in `arcs`
    std::vector<int32_t> arcs;
};

// Questions `begin` to `end` - 1. False only if the hierarchy is damaged.
static bool ways(const View& g, const Metric& k, const Spots& sources, const Spots& targets, int begin, int end, bool paths,
                 Scratch& s, Answers& out) {
    EndList from, to;
    for (int q = begin; q < end; q++) {
        priced(g, k, sources, q, from);
        priced(g, k, targets, q, to);
        uint32_t cost = INF;
        int start = -1, goal = -1;
        s.arcs.clear();
        if (!from.empty() && !to.empty()) {
            if (!paths && from.size() == 1 && to.size() == 1) {
                const Ends a{1, &from[0].first, &from[0].second}, b{1, &to[0].first, &to[0].second};
                cost = meet<Plain>(g, k, a, b, s, start);
                start = from[0].first, goal = to[0].first;
            } else if (!best_way(g, k, from, to, s, cost, start, goal)) {
                return false;
            }
        }
        const bool there = cost < INF;
        out.cost[q] = there ? cost : INF;
        out.start[q] = there ? sources.first[q] + place_of(from, start) : -1;
        out.goal[q] = there ? targets.first[q] + place_of(to, goal) : -1;
        if (there && paths) out.arcs.insert(out.arcs.end(), s.arcs.begin(), s.arcs.end());
        out.first[q + 1] = (int32_t)out.arcs.size();
    }
    return true;
}

// What the way behind each of the hierarchy's arcs adds up to, up and down: metres beside the time, say. An arc is made of
// arcs of lower tails, which have lower numbers. False only if the hierarchy is damaged.
static bool add_up(const View& g, const Metric& k, const uint32_t* values, std::vector<int64_t>& up, std::vector<int64_t>& down) {
    up.assign(g.m, 0), down.assign(g.m, 0);
    for (int e = 0; e < g.m; e++)
        for (int way = 0; way < 2; way++) {
            if ((way ? k.down : k.up)[e] >= INF) continue;
            const uint32_t over = k.over[2 * (size_t)e + way];
            if (over < DETOUR) {
                (way ? down : up)[e] = values[over];
                continue;
            }
            const int to_tail = (int)(over - DETOUR);
            int to_head = to_tail + 1;
            while (to_head < e && g.up_head[to_head] != g.up_head[e]) to_head++;
            if (to_head >= e) return false;
            (way ? down : up)[e] = way ? down[to_head] + up[to_tail] : down[to_tail] + up[to_head];
        }
    return true;
}

struct Climbed {                                 // labels of one end's ancestors by depth
    std::vector<uint32_t> cost;
    std::vector<int64_t> sum;
    std::vector<int32_t> node;
};

static void climb_adding(const View& g, const std::vector<uint32_t>& weight, const std::vector<int64_t>& value, int v,
                         uint32_t* cost, int64_t* sum, int32_t* node) {
    std::fill(cost, cost + g.depth[v] + 1, INF);
    cost[g.depth[v]] = 0;
    sum[g.depth[v]] = 0;
    for (; v >= 0; v = g.parent(v)) {
        const int d = g.depth[v];
        node[d] = v;
        for (int e = g.up_first[v]; cost[d] < INF && e < g.up_first[v + 1]; e++) {
            const int at = g.up_depth[e];
            if (cost[d] + weight[e] >= cost[at]) continue;
            cost[at] = cost[d] + weight[e];
            sum[at] = sum[d] + value[e];
        }
    }
}

// `table`, and what one cheapest way of each pair adds up to.
static bool table_adding(const View& g, const Metric& k, const int32_t* sources, int ns, const int32_t* targets, int nt,
                         const uint32_t* values, uint32_t* out, int64_t* sums) {
    std::vector<int64_t> up, down;
    if (!add_up(g, k, values, up, down)) return false;
    const size_t h = g.height;
    Climbed a, b;
    a.cost.resize(h), a.sum.resize(h), a.node.resize(h);
    b.cost.resize(h * nt), b.sum.resize(h * nt), b.node.resize(h * nt);
    for (int t = 0; t < nt; t++) climb_adding(g, k.down, down, targets[t], &b.cost[t * h], &b.sum[t * h], &b.node[t * h]);
    for (int s = 0; s < ns; s++) {
        climb_adding(g, k.up, up, sources[s], a.cost.data(), a.sum.data(), a.node.data());
        for (int t = 0; t < nt; t++) {
            const size_t to = t * h;
            const int shared = common(a.node.data(), &b.node[to], std::min(g.depth[sources[s]], g.depth[targets[t]]) + 1);
            const uint32_t best = least_sum(a.cost.data(), &b.cost[to], shared);
            int64_t sum = 0;
            for (int d = 0; best < INF && d < shared; d++)
                if (a.cost[d] + b.cost[to + d] == best) {
                    sum = a.sum[d] + b.sum[to + d];
                    break;
                }
            out[(size_t)s * nt + t] = best;
            sums[(size_t)s * nt + t] = sum;
        }
    }
    return true;
}

}  // namespace aisle_route
