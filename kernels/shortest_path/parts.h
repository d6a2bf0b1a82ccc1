// Cuts the elimination tree into subtrees that can be customised at the same time, and the few nodes above them.
#pragma once
#include <stdint.h>
#include <algorithm>
#include <queue>
#include <vector>
#include "metric.h"

namespace aisle_route {

// Ranks are a postorder, so a subtree is a range of ranks. All that a node's arcs are made of lies in its own subtree:
// subtrees share nothing, and `top` (rising) comes after all of them. Which thread does which changes no bit.
struct Parts {
    std::vector<int32_t> first, end, top;
};

static Parts cut(const View& g, int wanted) {
    std::vector<int64_t> work(g.n), size(g.n, 1);              // triangles, and what each node and arc costs beside them
    for (int v = 0; v < g.n; v++) work[v] = 8 + 4 * (g.up_first[v + 1] - g.up_first[v]);
    for (int e = 0; e < g.m; e++) work[g.up_head[e]] += g.up_first[g.up_tail[e] + 1] - e - 1;
    for (int v = 0; v < g.n; v++)
        if (const int p = g.parent(v); p >= 0) work[p] += work[v], size[p] += size[v];
    std::priority_queue<std::pair<int64_t, int32_t>> largest;
    int64_t fair = 0;                                          // what one part would have if all were alike
    const auto add_children = [&](int root_end, int low) {     // of a node: the subtrees that end just below it
        for (int c = root_end; c >= low; c -= size[c]) largest.push({work[c], c});
    };
    add_children(g.n - 1, 0);
    for (int v = g.n - 1; v >= 0; v -= size[v]) fair += work[v];
    fair /= wanted;
    Parts made;
    while (!largest.empty() && largest.top().first > fair && (int)largest.size() < 4 * wanted) {
        const int v = largest.top().second;
        largest.pop();
        made.top.push_back(v);
        add_children(v - 1, v - (int)size[v] + 1);
    }
    for (; !largest.empty(); largest.pop()) {                  // the dearest first: what is left at the end is small
        const int v = largest.top().second;
        made.first.push_back(v - (int)size[v] + 1);
        made.end.push_back(v + 1);
    }
    std::sort(made.top.begin(), made.top.end());
    return made;
}

}  // namespace aisle_route
