// Distance fields over a floor whose border is wall, so that no neighbour lies outside the arrays.
#pragma once
#include <stdint.h>
#include <string.h>
#include <vector>

namespace aisle_field {

constexpr uint16_t FREE = 65535;
constexpr uint32_t NONE = 0xffffffffu;
constexpr double ROOT = 1.4142135623730951;

// Breadth first, a ring of cells at a time. The field starts as the floor, so one look says "free and not yet reached". The
// queue has room for every cell: a cell enters once. (Writing every neighbour without a branch is a fifth slower.)
static void steps_with(const uint16_t* floor, int w, int64_t size, int32_t goal, uint16_t* out, int32_t* queue) {
    memcpy(out, floor, size * sizeof(uint16_t));
    int32_t *at = queue, *end = at;
    out[goal] = 0;
    *end++ = goal;
    for (uint16_t next = 1; at < end && next <= 65533; next++)
        for (int32_t* ring = end; at < ring; at++) {
            const int32_t cell = *at;
            for (int32_t near : {cell - w, cell - 1, cell + 1, cell + w})
                if (out[near] == FREE) {
                    out[near] = next;
                    *end++ = near;
                }
        }
}

// A queue for each thread is kept between calls: taking it from the system anew costs a third of a shop's whole field. Floors
// of over a million cells bring their own.
static void steps(const uint16_t* floor, int w, int64_t size, int32_t goal, uint16_t* out) {
    constexpr int64_t KEPT = 1 << 20;
    thread_local std::vector<int32_t> kept;
    std::vector<int32_t> own;
    std::vector<int32_t>& queue = size < KEPT ? kept : own;
    if ((int64_t)queue.size() < size) queue.resize(size);
    steps_with(floor, w, size, goal, out, queue.data());
}

// Steps cost 1 or the root of 2, so a cell in bucket [k, k + 1) cannot improve another in it: buckets of width 1 give
// Dijkstra's order without a heap, and three of them are alive at a time.
struct Octile {
    std::vector<int32_t> bucket[3];
    std::vector<uint32_t> done;

    static double cost(uint32_t pair) { return (pair >> 16) + (pair & 0xffff) * ROOT; }

    void run(const uint16_t* floor, int w, int64_t size, int32_t goal, uint32_t* out) {
        memset(out, 0xff, size * sizeof(uint32_t));
        for (auto& b : bucket) b.clear();
        out[goal] = 0;
        bucket[0].push_back(goal);
        for (int64_t k = 0, empty = 0; empty < 3; k++) {
            auto& now = bucket[k % 3];
            empty = now.empty() ? empty + 1 : 0;
            for (size_t i = 0; i < now.size(); i++)
                if ((int64_t)cost(out[now[i]]) == k) leave(floor, w, now[i], k, out);
            now.clear();
        }
    }

    void leave(const uint16_t* floor, int w, int32_t cell, int64_t k, uint32_t* out) {
        const uint32_t here = out[cell];
        for (int32_t step : {-w, -1, 1, w}) enter(floor, cell + step, here, 65536, here >> 16, out);
        for (int32_t row : {-w, w})
            for (int32_t column : {-1, 1})
                if (floor[cell + row] == FREE && floor[cell + column] == FREE)
                    enter(floor, cell + row + column, here, 1, here & 0xffff, out);
    }

    void enter(const uint16_t* floor, int32_t near, uint32_t here, uint32_t step, uint32_t count, uint32_t* out) {
        if (floor[near] != FREE || count >= 65534) return;
        const uint32_t pair = here + step;
        if (out[near] != NONE && cost(pair) >= cost(out[near]) - 1e-9) return;
        out[near] = pair;
        bucket[(int64_t)cost(pair) % 3].push_back(near);
    }
};

// -1: no room; -2: the field does not fall to its goal. Every step falls, so the walk ends. It goes on straight while that
// leads down, which is both the quickest guess and the way a robot likes; `lo` to `hi` keeps every neighbour inside.
static int descend16(const uint16_t* field, int h, int w, int32_t cell, int32_t* out, int room) {
    if (field[cell] >= 65534) return 0;
    const int64_t lo = w, hi = (int64_t)h * w - w;
    const int32_t steps[] = {-w, -1, 1, w};
    int32_t last = -w;
    const int length = field[cell] + 1;
    if (length > room) return -1;
    for (int count = 0;;) {
        out[count++] = cell;
        const uint16_t here = field[cell];
        if (here == 0) return count;
        if (cell < lo || cell >= hi) return -2;
        if (field[cell + last] != here - 1) {
            int i = 0;
            while (i < 4 && field[cell + steps[i]] != here - 1) i++;
            if (i == 4) return -2;
            last = steps[i];
        }
        cell += last;
    }
}

static int descend32(const uint32_t* field, int h, int w, int32_t cell, int32_t* out, int room) {
    if (field[cell] == NONE) return 0;
    const int64_t lo = w + 1, hi = (int64_t)h * w - w - 1;
    for (int count = 0;;) {
        if (count == room) return -1;
        out[count++] = cell;
        const uint32_t here = field[cell];
        if (here == 0) return count;
        if (cell < lo || cell >= hi) return -2;
        int32_t next = -1;
        if (here >> 16)
            for (int32_t step : {-w, -1, 1, w})
                if (field[cell + step] == here - 65536) { next = cell + step; break; }
        if (next < 0 && (here & 0xffff))
            for (int32_t row : {-w, w})
                for (int32_t column : {-1, 1})
                    if (next < 0 && field[cell + row + column] == here - 1 && field[cell + row] != NONE &&
                        field[cell + column] != NONE)
                        next = cell + row + column;
        if (next < 0) return -2;
        cell = next;
    }
}

}  // namespace aisle_field
