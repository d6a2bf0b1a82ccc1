// Maps of a few thousand cells and one overlay: plain loops; only the overlay is long enough to matter.
#pragma once
#include "cpu.h"
#include <stdlib.h>

static inline float heat_blur(const float* m, int w, long row, int x) {
    return m[row * w + (x ? x - 1 : 0)] + 2 * m[row * w + x] + m[row * w + (x + 1 < w ? x + 1 : w - 1)];
}

static void heat_smooth(const float* m, int h, int w, float* out) {
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            const long above = y ? y - 1 : 0, below = y + 1 < h ? y + 1 : h - 1;
            out[(long)y * w + x] = (heat_blur(m, w, above, x) + 2 * heat_blur(m, w, y, x) + heat_blur(m, w, below, x)) / 16;
        }
}

// The mean of the `count` highest; `best` is scratch of `count` floats, kept as a heap with the lowest first.
static double heat_top(const float* m, long n, int count, float* best) {
    int held = 0;
    for (long i = 0; i < n; i++) {
        if (m[i] != m[i]) return m[i];
        int at;
        if (held < count) {
            for (at = held++; at > 0 && best[(at - 1) / 2] > m[i]; at = (at - 1) / 2) best[at] = best[(at - 1) / 2];
        } else if (m[i] > best[0]) {
            at = 0;
            for (;;) {
                int child = 2 * at + 1;
                if (child >= held) break;
                if (child + 1 < held && best[child + 1] < best[child]) child++;
                if (best[child] >= m[i]) break;
                best[at] = best[child];
                at = child;
            }
        } else {
            continue;
        }
        best[at] = m[i];
    }
    double sum = 0;
    for (int i = 0; i < held; i++) sum += best[i];
    return sum / held;
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

// How many regions there are; `seen` (zeroed) and `waiting` are scratch of h*w. A cell waits at most once.
static int heat_regions(const float* m, int h, int w, float threshold, float* out, int room, uint8_t* seen, int32_t* waiting) {
    int found = 0;
    for (int32_t start = 0; start < h * w; start++) {
        if (seen[start] || !(m[start] > threshold)) continue;
        int x0 = w, y0 = h, x1 = 0, y1 = 0, area = 0, held = 0;
        float peak = m[start];
        waiting[held++] = start;
        seen[start] = 1;
        while (held) {
            const int32_t cell = waiting[--held];
            const int y = cell / w, x = cell % w;
            x0 = x < x0 ? x : x0, x1 = x > x1 ? x : x1, y0 = y < y0 ? y : y0, y1 = y > y1 ? y : y1;
            area++;
            peak = m[cell] > peak ? m[cell] : peak;
            for (int ny = y ? y - 1 : 0; ny < h && ny <= y + 1; ny++)
                for (int nx = x ? x - 1 : 0; nx < w && nx <= x + 1; nx++)
                    if (!seen[ny * w + nx] && m[ny * w + nx] > threshold) {
                        seen[ny * w + nx] = 1;
                        waiting[held++] = ny * w + nx;
                    }
        }
        const float region[6] = {(float)x0, (float)y0, (float)(x1 - x0 + 1), (float)(y1 - y0 + 1), (float)area, peak};
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
