// In which order the nodes of a graph are contracted. Weights play no part.
//
// First nodes with at most two neighbours, in rounds of nodes that do not touch: a chain of k vanishes in log k rounds and
// no fill is made. The rest is cut by inertial flow (Schild, Sommer: On Balanced Separators in Road Networks, SEA 2015):
// sort along a direction, hold the two outer quarters apart by a maximum flow, and take the ends of the cut on one side
// as the separator. Separators come last, and so on within both parts.
#pragma once
#include <stdint.h>
#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

namespace aisle_route {

struct Graph {                                   // undirected, no loops, no parallels; neighbours sorted
    std::vector<int32_t> first, to;
    int nodes() const { return (int)first.size() - 1; }
};

static Graph undirected(int n, const std::vector<std::pair<int32_t, int32_t>>& ends) {
    std::vector<uint64_t> keys;
    keys.reserve(ends.size() * 2);
    for (auto [a, b] : ends)
        if (a != b) {
            keys.push_back((uint64_t)a << 32 | (uint32_t)b);
            keys.push_back((uint64_t)b << 32 | (uint32_t)a);
        }
    std::sort(keys.begin(), keys.end());
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
    Graph g;
    g.first.assign(n + 1, 0);
    g.to.reserve(keys.size());
    for (uint64_t key : keys) {
        g.first[(key >> 32) + 1]++;
        g.to.push_back((int32_t)(uint32_t)key);
    }
    for (int v = 0; v < n; v++) g.first[v + 1] += g.first[v];
    return g;
}

// Contracts nodes of degree up to 2; `gone` gets them in order, `left` the edges among those that remain.
class Chains {
public:
    explicit Chains(const Graph& g) : first(g.first), to(g.to), degree(g.nodes()), alive(g.nodes(), 1) {
        for (int v = 0; v < g.nodes(); v++) degree[v] = first[v + 1] - first[v];
    }

    void run(std::vector<int32_t>& gone) {
        const int n = (int)degree.size();
        std::vector<int32_t> now, later, touched(n, -1);
        for (int v = 0; v < n; v++)
            if (degree[v] <= 2) now.push_back(v);
        for (int round = 0; !now.empty(); round++, now.swap(later), later.clear())
            for (int v : now) {
                if (!alive[v]) continue;
                if (touched[v] == round) {
                    later.push_back(v);
                    continue;
                }
                for (int i = 0; i < degree[v]; i++) touched[to[first[v] + i]] = round;
                contract(v, later);
                gone.push_back(v);
            }
    }

    std::vector<std::pair<int32_t, int32_t>> left() const {
        std::vector<std::pair<int32_t, int32_t>> found;
        for (int v = 0; v < (int)degree.size(); v++)
            for (int i = 0; alive[v] && i < degree[v]; i++)
                if (v < to[first[v] + i]) found.emplace_back(v, to[first[v] + i]);
        return found;
    }

    bool lives(int v) const { return alive[v]; }

private:
    void contract(int v, std::vector<int32_t>& later) {
        const int a = degree[v] > 0 ? to[first[v]] : -1, b = degree[v] > 1 ? to[first[v] + 1] : -1;
        alive[v] = 0;
        if (a >= 0) replace(a, v, b, later);
        if (b >= 0) replace(b, v, a, later);
    }

    // Among the neighbours of u: `by` (if any, and new) takes the place of v.
    void replace(int u, int v, int by, std::vector<int32_t>& later) {
        int32_t *own = &to[first[u]], *end = own + degree[u];
        int32_t* at = std::find(own, end, v);
        if (by >= 0 && std::find(own, end, by) == end) {
            *at = by;
            return;
        }
        *at = *(end - 1);
        if (--degree[u] <= 2) later.push_back(u);
    }

    std::vector<int32_t> first, to, degree;
    std::vector<char> alive;
};

// Cuts one cell after another; all memory is made once and shared by the cells.
class Dissection {
public:
    Dissection(const Graph& g, const double* x, const double* y) : g(g), x(x), y(y), local(g.nodes(), -1) {}

    // `order` gets all nodes, those to be contracted first in front.
    void run(std::vector<int32_t>& order) {
        order.resize(g.nodes());
        std::iota(order.begin(), order.end(), 0);
        std::vector<std::pair<int, int>> cells{{0, g.nodes()}};
        while (!cells.empty()) {
            auto [from, end] = cells.back();
            cells.pop_back();
            if (end - from <= 2) continue;
            auto [middle, top] = cut(&order[from], end - from);
            if (middle > 2) cells.emplace_back(from, from + middle);
            if (top - middle > 2) cells.emplace_back(from + middle, from + top);
        }
    }

private:
    // Rearranges a cell into near side, far side, separator; says where the second and third begin.
    std::pair<int, int> cut(int32_t* cell, int size) {
        build(cell, size);
        const int end = std::max(1, size / 4);
        int best = size + 1, spread = 0;
        for (int way = 0; way < 8; way++) {
            project(cell, size, way);
            if (maximum_flow(size, end, best) >= 0) judge(size, best, spread);
        }
        std::vector<int32_t> parts[3];
        for (int v = 0; v < size; v++) parts[(int)side[v]].push_back(cell[v]);
        for (int v = 0; v < size; v++) local[cell[v]] = -1;
        int32_t* at = cell;
        for (auto& part : parts) at = std::copy(part.begin(), part.end(), at);
        return {(int)parts[0].size(), (int)(parts[0].size() + parts[1].size())};
    }

    void build(const int32_t* cell, int size) {
        for (int v = 0; v < size; v++) local[cell[v]] = v;
        first.assign(size + 1, 0);
        to.clear();
        for (int v = 0; v < size; v++) {
            for (int e = g.first[cell[v]]; e < g.first[cell[v] + 1]; e++)
                if (local[g.to[e]] >= 0) to.push_back(local[g.to[e]]);
            first[v + 1] = (int)to.size();
        }
        // A cell keeps its nodes in rising order, so neighbours are sorted, and so are the arcs back to v below.
        twin.resize(to.size());
        source.resize(to.size());
        std::vector<int32_t> fill(first.begin(), first.end() - 1);
        for (int v = 0; v < size; v++)
            for (int e = first[v]; e < first[v + 1]; e++) {
                source[e] = v;
                twin[fill[to[e]]++] = e;
            }
        side.assign(size, 2);                          // no cut that is worth it: the whole cell is a separator
    }

    void project(const int32_t* cell, int size, int way) {
        static const double dx[] = {1, 0, .7071, .7071, .9239, .3827, .9239, .3827}, dy[] = {0, 1, .7071, -.7071, .3827, .9239, -.3827, -.9239};
        along.resize(size);
        sorted.resize(size);
        for (int v = 0; v < size; v++) along[v] = x[cell[v]] * dx[way] + y[cell[v]] * dy[way];
        std::iota(sorted.begin(), sorted.end(), 0);
        const int end = std::max(1, size / 4);
        auto less = [&](int a, int b) { return along[a] < along[b] || (along[a] == along[b] && a < b); };
        std::nth_element(sorted.begin(), sorted.begin() + end, sorted.end(), less);
        std::nth_element(sorted.begin() + end, sorted.end() - end, sorted.end(), less);
    }

    // Dinic's algorithm with capacity 1 in both directions of every edge; -1 once the flow exceeds `limit`.
    int maximum_flow(int size, int end, int limit) {
        flow.assign(to.size(), 0);
        level.resize(size);
        place.resize(size);
        goal.assign(size, 0);
        for (int i = 0; i < end; i++) goal[sorted[size - 1 - i]] = 1;
        int total = 0;
        while (levels(size, end)) {
            std::copy(first.begin(), first.end() - 1, place.begin());
            for (int i = 0; i < end; i++)
                while (augment(sorted[i]))
                    if (++total > limit) return -1;
        }
        return total;
    }

    bool levels(int size, int end) {
        std::fill(level.begin(), level.begin() + size, -1);
        queue.clear();
        for (int i = 0; i < end; i++) {
            level[sorted[i]] = 0;
            queue.push_back(sorted[i]);
        }
        bool met = false;
        for (size_t at = 0; at < queue.size(); at++) {
            const int v = queue[at];
            if (goal[v]) { met = true; continue; }
            for (int e = first[v]; e < first[v + 1]; e++)
                if (flow[e] < 1 && level[to[e]] < 0) {
                    level[to[e]] = level[v] + 1;
                    queue.push_back(to[e]);
                }
        }
        return met;
    }

    bool augment(int start) {
        path.clear();
        int v = start;
        while (!goal[v]) {
            int& e = place[v];
            while (e < first[v + 1] && !(flow[e] < 1 && level[to[e]] == level[v] + 1)) e++;
            if (e < first[v + 1]) {
                path.push_back(e);
                v = to[e];
                continue;
            }
            if (path.empty()) return false;
            v = source[path.back()];
            path.pop_back();
            place[v]++;
        }
        for (int e : path) {
            flow[e]++;
            flow[twin[e]]--;
        }
        return true;
    }

    // Both minimum cuts of the flow (nearest the start, nearest the goal), with the separator on either side of them.
    void judge(int size, int& best, int& spread) {
        std::vector<char> near(size), far(size, 1);
        for (int v = 0; v < size; v++) near[v] = level[v] >= 0;
        queue.clear();
        for (int v = 0; v < size; v++)
            if (goal[v]) { far[v] = 0; queue.push_back(v); }
        for (size_t at = 0; at < queue.size(); at++)
            for (int e = first[queue[at]]; e < first[queue[at] + 1]; e++)
                if (flow[twin[e]] < 1 && far[to[e]]) { far[to[e]] = 0; queue.push_back(to[e]); }
        for (auto* reached : {&near, &far})
            for (char from : {1, 0}) {
                int count[3] = {0, 0, 0};
                mark.resize(size);
                for (int v = 0; v < size; v++) {
                    mark[v] = !(*reached)[v];
                    for (int e = first[v]; (*reached)[v] == from && e < first[v + 1]; e++)
                        if ((*reached)[to[e]] != from) { mark[v] = 2; break; }
                    count[(int)mark[v]]++;
                }
                const int even = std::min(count[0], count[1]);
                if (count[2] < best || (count[2] == best && even > spread)) {
                    best = count[2];
                    spread = even;
                    side.assign(mark.begin(), mark.begin() + size);
                }
            }
    }

    const Graph& g;
    const double *x, *y;
    std::vector<int32_t> local, first, to, twin, source, sorted, level, place, queue, path;
    std::vector<int8_t> flow;
    std::vector<char> goal, side, mark;
    std::vector<double> along;
};

// `order[i]` is the node to contract as number i.
static std::vector<int32_t> contraction_order(const Graph& g, const double* x, const double* y) {
    std::vector<int32_t> order;
    order.reserve(g.nodes());
    Chains chains(g);
    chains.run(order);
    std::vector<int32_t> core, number(g.nodes(), -1);
    for (int v = 0; v < g.nodes(); v++)
        if (chains.lives(v)) {
            number[v] = (int)core.size();
            core.push_back(v);
        }
    auto ends = chains.left();
    for (auto& [a, b] : ends) a = number[a], b = number[b];
    std::vector<double> cx, cy;
    for (int v : core) cx.push_back(x[v]), cy.push_back(y[v]);
    const Graph small = undirected((int)core.size(), ends);
    std::vector<int32_t> inner;
    Dissection(small, cx.data(), cy.data()).run(inner);
    for (int v : inner) order.push_back(core[v]);
    return order;
}

}  // namespace aisle_route
