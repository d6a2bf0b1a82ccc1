// From coarse maps to answers: plain loops over rows, connected cells as runs of a row joined to those above.
#pragma once
#include "cpu.h"
#include <cmath>
#include <math.h>
#include <stdlib.h>

// Columns first, then rows, each as (a + 2 b) + c: the order of the reference, so that the bits are the same.
static void heat_smooth(const float* m, int h, int w, float* out, float* line) {
    for (int y = 0; y < h; y++) {
        const float* here = m + (long)y * w;
        const float *above = y ? here - w : here, *below = y + 1 < h ? here + w : here;
        for (int x = 0; x < w; x++) line[x] = above[x] + 2 * here[x] + below[x];
        float* to = out + (long)y * w;
        for (int x = 0; x < w; x++)
            to[x] = (line[x ? x - 1 : 0] + 2 * line[x] + line[x + 1 < w ? x + 1 : w - 1]) / 16;
    }
}

// Keep the `count` highest in `best`, a heap with the lowest first.
static inline void heat_push(float* best, int* held, int count, float value) {
    int at;
    if (*held < count) {
        for (at = (*held)++; at > 0 && best[(at - 1) / 2] > value; at = (at - 1) / 2) best[at] = best[(at - 1) / 2];
    } else if (value > best[0]) {
        at = 0;
        for (int child; (child = 2 * at + 1) < count; at = child) {
            if (child + 1 < count && best[child + 1] < best[child]) child++;
            if (best[child] >= value) break;
            best[at] = best[child];
        }
    } else {
        return;
    }
    best[at] = value;
}

static double heat_mean(const float* best, int held) {
    double sum = 0;
    for (int i = 0; i < held; i++) sum += best[i];
    return sum / held;
}

// The mean of the `count` highest; `best` is scratch of `count` floats.
static double heat_top(const float* m, long n, int count, float* best) {
    int held = 0;
    for (long i = 0; i < n; i++) {
        if (m[i] != m[i]) return m[i];
        heat_push(best, &held, count, m[i]);
    }
    return heat_mean(best, held);
}

// Put a region among the `room` best so far, highest first, equals in order of arrival.
static void heat_insert(float* out, int held, int room, const float* region) {
    int at = held < room ? held : room;
    while (at > 0 && out[6 * (at - 1) + 5] < region[5]) at--;
    if (at >= room) return;
    const int last = held < room ? held : room - 1;
    memmove(out + 6 * (at + 1), out + 6 * at, sizeof(float) * 6 * (last - at));
    memcpy(out + 6 * at, region, sizeof(float) * 6);
}

struct Label {                               // what is known of connected cells; the root has the lowest number
    int parent, x0, y0, x1, y1, area;
    float peak;
};

struct Run {                                 // cells from..to - 1 of a row
    int from, to, label;
};

struct Labels {
    Label* all;
    int held, room;
    Run *above, *here;                       // of the last row and of this one, (w + 1) / 2 each
    int above_held, here_held, scan;         // runs above before `scan` end left of the next run
    uint64_t* mask;                          // one bit a cell of a row
};

static int open_labels(Labels* l, int w) {
    memset(l, 0, sizeof *l);
    l->room = 64;
    l->all = (Label*)malloc(sizeof(Label) * l->room);
    l->above = (Run*)malloc(sizeof(Run) * ((size_t)w + 2));
    l->mask = (uint64_t*)malloc(sizeof(uint64_t) * ((size_t)w / 64 + 1));
    l->here = l->above + (w + 1) / 2;
    return l->all && l->above && l->mask ? 0 : -1;
}

static void close_labels(Labels* l) {
    free(l->all), free(l->above < l->here ? l->above : l->here), free(l->mask);
}

static inline int heat_root(Label* all, int i) {
    while (all[i].parent != i) i = all[i].parent = all[all[i].parent].parent;
    return i;
}

static void heat_merge(Label* to, const Label* from) {
    to->x0 = from->x0 < to->x0 ? from->x0 : to->x0, to->x1 = from->x1 > to->x1 ? from->x1 : to->x1;
    to->y0 = from->y0 < to->y0 ? from->y0 : to->y0, to->y1 = from->y1 > to->y1 ? from->y1 : to->y1;
    to->area += from->area;
    to->peak = from->peak > to->peak ? from->peak : to->peak;
}

static int heat_new_label(Labels* l) {
    if (l->held == l->room) {
        Label* more = (Label*)realloc(l->all, sizeof(Label) * 2 * l->room);
        if (!more) return -1;
        l->all = more, l->room *= 2;
    }
    l->all[l->held].parent = l->held;
    l->all[l->held].area = 0;
    return l->held++;
}

// Enter a run of row y: it joins whatever touches it above, corners included. -1 without memory.
static int heat_run(Labels* l, const float* row, int y, int from, int to) {
    Label found = {0, from, y, to, y + 1, to - from, row[from]};
    for (int x = from + 1; x < to; x++) found.peak = row[x] > found.peak ? row[x] : found.peak;
    int label = -1;
    while (l->scan < l->above_held && l->above[l->scan].to < from) l->scan++;
    for (int i = l->scan; i < l->above_held && l->above[i].from <= to; i++) {
        const int other = heat_root(l->all, l->above[i].label);
        if (label < 0 || other == label) {
            label = other;
            continue;
        }
        const int low = other < label ? other : label, high = other < label ? label : other;
        l->all[high].parent = low;
        label = low;
    }
    if (label < 0 && (label = heat_new_label(l)) < 0) return -1;
    Label* kept = &l->all[label];
    if (kept->area) {
        heat_merge(kept, &found);
    } else {
        found.parent = label;
        *kept = found;
    }
    l->here[l->here_held++] = Run{from, to, label};
    return 0;
}

// Enter a row whose cells above the threshold are the bits of l->mask. -1 without memory.
static int heat_row(Labels* l, const float* row, int y, int w) {
    uint64_t carry = 0;
    int open = -1;
    l->here_held = l->scan = 0;
    for (int word = 0; 64 * word < w; word++) {
        const uint64_t bits = l->mask[word];
        uint64_t edges = bits ^ (bits << 1 | carry);
        carry = bits >> 63;
        for (; edges; edges &= edges - 1) {
            const int at = 64 * word + __builtin_ctzll(edges);
            if (open < 0) open = at;
            else if (heat_run(l, row, y, open, at)) return -1;
            else open = -1;
        }
    }
    if (open >= 0 && heat_run(l, row, y, open, w)) return -1;
    Run* const last = l->above;
    l->above = l->here, l->above_held = l->here_held;
    l->here = last;
    return 0;
}

// Write the `room` regions with the highest cells; how many there are.
static int heat_rank(Labels* l, float* out, int room) {
    for (int i = 0; i < l->held; i++) {
        const int root = heat_root(l->all, i);
        if (root != i) heat_merge(&l->all[root], &l->all[i]);
    }
    int found = 0;
    for (int i = 0; i < l->held; i++) {
        const Label* r = &l->all[i];
        if (r->parent != i) continue;
        const float region[6] = {(float)r->x0, (float)r->y0, (float)(r->x1 - r->x0), (float)(r->y1 - r->y0), (float)r->area, r->peak};
        heat_insert(out, found++, room, region);
    }
    return found;
}

static inline void heat_tap(int o, int cells, int size, int* low, int* next, float* part) {
    float at = ((float)o + 0.5f) * (float)((double)cells / size) - 0.5f;
    at = at < 0 ? 0 : at > cells - 1 ? (float)(cells - 1) : at;
    *low = (int)at;
    *next = *low + 1 < cells ? *low + 1 : cells - 1;
    *part = at - (float)*low;
}

// `line` is scratch of gw floats: one row of the map, blended.
static void heat_overlay(const uint8_t* image, int h, int w, const float* m, int gh, int gw, float low, float high,
                         uint8_t* out, float* line) {
    const float gain = 1 / (high - low);
    for (int y = 0; y < h; y++) {
        int y0, y1, x0, x1;
        float fy, fx;
        heat_tap(y, gh, h, &y0, &y1, &fy);
        for (int x = 0; x < gw; x++) line[x] = m[(long)y0 * gw + x] + fy * (m[(long)y1 * gw + x] - m[(long)y0 * gw + x]);
        for (int x = 0; x < w; x++) {
            heat_tap(x, gw, w, &x0, &x1, &fx);
            float heat = (line[x0] + fx * (line[x1] - line[x0]) - low) * gain;
            const uint8_t* in = image + ((long)y * w + x) * 3;
            uint8_t* at = out + ((long)y * w + x) * 3;
            if (!(heat > 0)) {   // also where the map is NaN
                at[0] = in[0], at[1] = in[1], at[2] = in[2];
                continue;
            }
            heat = heat > 1 ? 1 : heat;
            const float share = 0.65f * (heat * 2 < 1 ? heat * 2 : 1);
            at[0] = (uint8_t)(in[0] - share * in[0] + 0.5f);
            at[1] = (uint8_t)(in[1] + share * (255 * (1 - heat) - in[1]) + 0.5f);
            at[2] = (uint8_t)(in[2] + share * (255.f - in[2]) + 0.5f);
        }
    }
}

struct Fused {
    const float* map;                        // h x w, smoothed
    int h, w;
    float* out;                              // out_h x out_w
    int out_h, out_w;
    float threshold;
    float* wide;                             // h x out_w: the map grown along its rows
    float* best;                             // the `count` highest cells
    int held, count;
};

// Grow every row of the map; the columns are left to the pass that also looks at the cells.
static void heat_widen(const Fused* f) {
    for (int x = 0; x < f->out_w; x++) {
        int x0, x1;
        float part;
        heat_tap(x, f->w, f->out_w, &x0, &x1, &part);
        const float* m = f->map;
        for (long y = 0; y < f->h; y++, m += f->w) f->wide[y * f->out_w + x] = m[x0] + part * (m[x1] - m[x0]);
    }
}

#define SUFFIX _base
#define ISA 0
#include "body.h"
#if AISLE_X86
#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi,bmi2,lzcnt,popcnt")
#define SUFFIX _avx2
#define ISA 2
#include "body.h"
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi,bmi2,lzcnt,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx512vnni")
#define SUFFIX _avx512
#define ISA 4
#include "body.h"
#pragma GCC pop_options
#endif

// The regions of a map as it is; how many, or -1 without memory.
static int heat_regions(const float* m, int h, int w, float threshold, float* out, int room, int level) {
    Labels labels;
    int found = open_labels(&labels, w);
    for (int y = 0; y < h && found == 0; y++) {
        const float* row = m + (long)y * w;
#if AISLE_X86
        if (level >= 4) above_avx512(row, w, threshold, labels.mask);
        else if (level >= 2) above_avx2(row, w, threshold, labels.mask);
        else
#endif
            above_base(row, w, threshold, labels.mask);
        found = heat_row(&labels, row, y, w);
    }
    if (found == 0) found = heat_rank(&labels, out, room);
    close_labels(&labels);
    return found;
}

// Smooth, grow, look for the highest cells and the regions. `scratch`: h * w + w + h * out_w + count floats. How many
// regions, or -1 without memory.
static int heat_all(const float* m, Fused* f, float* scratch, float* regions, int room, int level, double* score) {
    float* const smoothed = scratch;
    f->wide = scratch + ((long)f->h + 1) * f->w;
    f->best = f->wide + (long)f->h * f->out_w;
    heat_smooth(m, f->h, f->w, smoothed, scratch + (long)f->h * f->w);
    f->map = smoothed;
    heat_widen(f);
    int sound = 1;
    for (long i = 0; i < (long)f->h * f->w; i++) sound &= std::isfinite(smoothed[i]) != 0;
    Labels labels;
    int found = open_labels(&labels, f->out_w);
    if (found == 0) {
#if AISLE_X86
        if (level >= 4) found = look_avx512(f, &labels);
        else if (level >= 2) found = look_avx2(f, &labels);
        else
#endif
            found = look_base(f, &labels);
    }
    if (found == 0) found = heat_rank(&labels, regions, room);
    *score = sound ? heat_mean(f->best, f->held) : NAN;
    close_labels(&labels);
    return found;
}
