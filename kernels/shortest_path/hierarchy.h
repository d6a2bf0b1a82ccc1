// The contracted graph: which arcs there are once every node was removed in order, without weights.
#pragma once
#include <stdint.h>
#include <algorithm>
#include <vector>
#include "order.h"

namespace aisle_route {

// Nodes are called by rank. Arc e joins `up_tail[e]` with the higher `up_head[e]`; arcs of a tail follow each other, heads rise.
// The least head of v is its parent in the elimination tree, and all heads of v are ancestors: `up_depth` names them by
// depth, so that a search keeps its labels in an array as long as the tree is high, which stays in the first cache.
struct Hierarchy {
    std::vector<int32_t> rank, up_first, up_head, up_tail, up_depth, depth, down_first, down_arc, arc_slot, slot_arc, next_same;
};

// The elimination tree alone (Liu: The Role of Elimination Trees in Sparse Factorization, 1990, algorithm 4.2).
static std::vector<int32_t> elimination_tree(const Graph& g, const std::vector<int32_t>& order, const std::vector<int32_t>& rank) {
    const int n = g.nodes();
    std::vector<int32_t> parent(n, -1), above(n, -1);
    for (int v = 0; v < n; v++)
        for (int e = g.first[order[v]]; e < g.first[order[v] + 1]; e++) {
            int u = rank[g.to[e]];
            if (u >= v) continue;
            while (above[u] >= 0 && above[u] != v) {           // climb, and shorten the climb for the next
                const int next = above[u];
                above[u] = v;
                u = next;
            }
            if (above[u] < 0) above[u] = parent[u] = v;
        }
    return parent;
}

// Any order in which children come before parents gives the same fill; postorder puts what is searched together together.
static void postorder(std::vector<int32_t>& order, const std::vector<int32_t>& parent) {
    const int n = (int)order.size();
    std::vector<int32_t> child(n, -1), sibling(n, -1), stack, made;
    for (int v = n - 1; v >= 0; v--)
        if (parent[v] >= 0) {
            sibling[v] = child[parent[v]];
            child[parent[v]] = v;
        }
    made.reserve(n);
    for (int r = 0; r < n; r++) {
        if (parent[r] >= 0) continue;
        stack.push_back(r);
        while (!stack.empty()) {
            const int v = stack.back();
            if (child[v] >= 0) {
                const int c = child[v];
                child[v] = sibling[c];
                stack.push_back(c);
            } else {
                made.push_back(order[v]);
                stack.pop_back();
            }
        }
    }
    order.swap(made);
}

static void invert(const std::vector<int32_t>& order, std::vector<int32_t>& rank) {
    rank.resize(order.size());
    for (int i = 0; i < (int)order.size(); i++) rank[order[i]] = i;
}

// Upper neighbours of v: those it has, and those of its children. False if there are more than 32 bits can count.
static bool fill_in(const Graph& g, const std::vector<int32_t>& order, Hierarchy& h) {
    const int n = g.nodes();
    std::vector<int32_t> seen(n, -1), child(n, -1), sibling(n, -1);
    h.up_first.assign(1, 0);
    for (int v = 0; v < n; v++) {
        const size_t start = h.up_head.size();
        auto add = [&](int u) {
            if (u > v && seen[u] != v) {
                seen[u] = v;
                h.up_head.push_back(u);
            }
        };
        for (int e = g.first[order[v]]; e < g.first[order[v] + 1]; e++) add(h.rank[g.to[e]]);
        for (int c = child[v]; c >= 0; c = sibling[c])
            for (int e = h.up_first[c]; e < h.up_first[c + 1]; e++) add(h.up_head[e]);
        std::sort(h.up_head.begin() + start, h.up_head.end());
        if (h.up_head.size() > (1u << 30)) return false;
        if (h.up_head.size() > start) {
            const int parent = h.up_head[start];
            sibling[v] = child[parent];
            child[parent] = v;
        }
        h.up_first.push_back((int32_t)h.up_head.size());
    }
    return true;
}

static void number(Hierarchy& h, int n) {
    const int m = (int)h.up_head.size();
    h.up_tail.resize(m);
    h.up_depth.resize(m);
    h.down_arc.resize(m);
    h.depth.assign(n, 0);
    h.down_first.assign(n + 1, 0);
    for (int v = n - 1; v >= 0; v--) {
        if (h.up_first[v] < h.up_first[v + 1]) h.depth[v] = h.depth[h.up_head[h.up_first[v]]] + 1;
        for (int e = h.up_first[v]; e < h.up_first[v + 1]; e++) {
            h.up_tail[e] = v;
            h.up_depth[e] = h.depth[h.up_head[e]];
            h.down_first[h.up_head[e] + 1]++;
        }
    }
    for (int v = 0; v < n; v++) h.down_first[v + 1] += h.down_first[v];
    std::vector<int32_t> next(h.down_first.begin(), h.down_first.end() - 1);
    for (int e = 0; e < m; e++) h.down_arc[next[h.up_head[e]]++] = e;
}

// Arc a of the graph is slot 2e (upwards) or 2e + 1 (downwards) of the hierarchy, or -1 for a loop; parallels form a ring.
static void place(Hierarchy& h, const int32_t* tail, const int32_t* head, int arcs) {
    h.arc_slot.assign(arcs, -1);
    h.next_same.resize(arcs);
    h.slot_arc.assign(2 * h.up_head.size(), -1);
    for (int a = 0; a < arcs; a++) {
        h.next_same[a] = a;
        const int s = h.rank[tail[a]], t = h.rank[head[a]];
        if (s == t) continue;
        const int low = std::min(s, t), high = std::max(s, t);
        const auto from = h.up_head.begin();
        const int e = (int)(std::lower_bound(from + h.up_first[low], from + h.up_first[low + 1], high) - from);
        const int slot = 2 * e + (s > t);
        h.arc_slot[a] = slot;
        if (h.slot_arc[slot] < 0) h.slot_arc[slot] = a;
        else std::swap(h.next_same[a], h.next_same[h.slot_arc[slot]]);
    }
}

static bool build(int n, const int32_t* tail, const int32_t* head, int arcs, const double* x, const double* y, Hierarchy& h) {
    std::vector<std::pair<int32_t, int32_t>> ends(arcs);
    for (int a = 0; a < arcs; a++) ends[a] = {tail[a], head[a]};
    const Graph g = undirected(n, ends);
    std::vector<int32_t> order = contraction_order(g, x, y);
    invert(order, h.rank);
    postorder(order, elimination_tree(g, order, h.rank));
    invert(order, h.rank);
    if (!fill_in(g, order, h)) return false;
    number(h, n);
    place(h, tail, head, arcs);
    return true;
}

}  // namespace aisle_route
