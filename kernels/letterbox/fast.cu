// A thread an output pixel: it reads the few source pixels that make it, of one plane after the other. Weights are
// worked out in the thread, from places in double as on the CPU: a table would be one more array to keep.
#include "both.h"

// Which source pixels an output pixel takes along one axis: bilinear between two, or the mean of from .. to.
struct Span {
    int first, last;
    double from, to;
    float part, whole;
};

static __device__ Span span_of(int o, int size, int wanted, int antialias) {
    const double step = (double)size / wanted;
    Span s = {0, 0, 0, 0, 0.f, 0.f};
    if (step <= 1 || !antialias) {
        double at = (o + 0.5) * step - 0.5;
        at = at < 0 ? 0 : at > size - 1 ? size - 1 : at;
        s.first = (int)at, s.last = s.first + 1 < size ? s.first + 1 : s.first;
        s.part = s.last > s.first ? (float)(at - s.first) : 0.f;
        return s;
    }
    s.from = o * step, s.to = (o + 1) * step < size ? (o + 1) * step : size;
    s.first = (int)s.from;
    double sum = 0;
    for (int i = s.first; i < size && i < s.to; i++) {
        sum += (i + 1 < s.to ? i + 1 : s.to) - (i > s.from ? i : s.from);
        s.last = i;
    }
    s.whole = (float)sum;
    return s;
}

static __device__ float weight_of(const Span& s, int i) {
    if (s.whole == 0.f) return s.last == s.first ? 1.f : i == s.first ? 1.f - s.part : s.part;
    return (float)((i + 1 < s.to ? i + 1 : s.to) - (i > s.from ? i : s.from)) / s.whole;
}

static __device__ float mean_of(const uint8_t* plane, long long row, int pixel, const Span& y, const Span& x) {
    float sum = 0;
    for (int j = y.first; j <= y.last; j++) {
        float line = 0;
        for (int i = x.first; i <= x.last; i++) line += weight_of(x, i) * plane[j * row + i * pixel];
        sum += weight_of(y, j) * line;
    }
    return sum;
}

static __device__ float bounded(float value) { return value < 0 ? 0.f : value > 255 ? 255.f : value; }

// BT.601, limited range.
static __device__ void to_bgr(float* c) {
    const float luma = 1.164383f * (c[0] - 16), blue = c[1] - 128, red = c[2] - 128;
    c[0] = bounded(luma + 2.017232f * blue);
    c[1] = bounded(luma - 0.391762f * blue - 0.812968f * red);
    c[2] = bounded(luma + 1.596027f * red);
}

// IEEE half, to nearest even, without the toolkit's header: the tests compile this file for the host.
static __device__ uint16_t half_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    const uint32_t sign = bits >> 16 & 0x8000, size = bits & 0x7FFFFFFF;
    if (size > 0x7F800000) return (uint16_t)(sign | 0x7E00);
    if (size >= 0x477FF000) return (uint16_t)(sign | 0x7C00);
    if (size < 0x33000001) return (uint16_t)sign;
    const int exponent = (int)(size >> 23) - 127, shift = exponent < -14 ? -1 - exponent : 13;   // bits that go
    const uint32_t mantissa = exponent < -14 ? (size & 0x7FFFFF) | 0x800000 : size - 0x38000000;
    const uint32_t half = mantissa >> shift, rest = mantissa & ((1u << shift) - 1), middle = 1u << (shift - 1);
    return (uint16_t)(sign | (half + (rest > middle || (rest == middle && (half & 1)))));
}

static __device__ void put(void* out, int dtype, long long at, float value) {
    if (dtype == 0) ((float*)out)[at] = value;
    else if (dtype == 1) ((uint16_t*)out)[at] = half_of(value);
    else if (dtype == 2) ((int8_t*)out)[at] = (int8_t)__float2int_rn(value < -128 ? -128.f : value > 127 ? 127.f : value);
    else ((uint8_t*)out)[at] = (uint8_t)__float2int_rn(bounded(value));
}

// What an output is: its size, channels and layout (0 CHW, 1 HWC), dtype (0 float32, 1 float16, 2 int8, 3 uint8).
struct Target {
    void* out;
    int h, w, channels, layout, swap, dtype;
};

// Normalise an output pixel's three values and write them.
static __device__ void put_pixel(const Target& t, int x, int y, const float* c, const float* factor, const float* offset) {
    const long long area = (long long)t.h * t.w, at = (long long)y * t.w + x;
    for (int k = 0; k < t.channels; k++)
        put(t.out, t.dtype, t.layout ? at * t.channels + k : k * area + at, c[t.swap ? 2 - k : k] * factor[k] + offset[k]);
}

// pixels 0 colour, 1 gray, 2 NV12, 3 YUYV.
extern "C" __global__ void letterbox(const uint8_t* image, int height, int width, int pixels, int antialias, float factor0, float factor1,
                                     float factor2, float offset0, float offset1, float offset2, int h, int w, int top, int left,
                                     int out_h, int out_w, int channels, int layout, float pad, int swap, int dtype, void* out) {
    const int ox = blockIdx.x * blockDim.x + threadIdx.x, oy = blockIdx.y * blockDim.y + threadIdx.y;
    if (ox >= out_w || oy >= out_h) return;
    const int x = ox - left, y = oy - top;
    float c[3] = {pad, pad, pad};
    if (x >= 0 && x < w && y >= 0 && y < h) {
        const Span sx = span_of(x, width, w, antialias), sy = span_of(y, height, h, antialias);
        if (pixels == 0) {
            for (int k = 0; k < 3; k++) c[k] = mean_of(image + k, 3LL * width, 3, sy, sx);
        } else if (pixels == 1) {
            c[0] = c[1] = c[2] = mean_of(image, width, 1, sy, sx);
        } else {
            const Span chroma_x = span_of(x, width / 2, w, antialias);
            if (pixels == 2) {
                const uint8_t* chroma = image + (long long)height * width;
                const Span chroma_y = span_of(y, height / 2, h, antialias);
                c[0] = mean_of(image, width, 1, sy, sx);
                for (int k = 1; k < 3; k++) c[k] = mean_of(chroma + k - 1, width, 2, chroma_y, chroma_x);
            } else {
                c[0] = mean_of(image, 2LL * width, 2, sy, sx);
                for (int k = 1; k < 3; k++) c[k] = mean_of(image + 2 * k - 1, 2LL * width, 4, sy, chroma_x);
            }
            to_bgr(c);
        }
    }
    const float factor[3] = {factor0, factor1, factor2}, offset[3] = {offset0, offset1, offset2};
    put_pixel({out, out_h, out_w, channels, layout, swap, dtype}, ox, oy, c, factor, offset);
}

struct Picture {
    const uint8_t* image;
    int h, w, channels;
    float pad;
};

static __device__ float tap(const Picture& p, int x, int y, int c) {
    return x >= 0 && x < p.w && y >= 0 && y < p.h ? (float)p.image[((long long)y * p.w + x) * p.channels + c] : p.pad;
}

// Add one bilinear sample at (u, v); a tap outside the picture, or at no number, is the pad.
static __device__ void sample(const Picture& p, double u, double v, float* sum) {
    if (!(u > -1 && v > -1 && u < p.w && v < p.h)) {
        for (int c = 0; c < p.channels; c++) sum[c] += p.pad;
        return;
    }
    const int x = (int)(u + 1) - 1, y = (int)(v + 1) - 1;   // floor, as both are above -1
    const float fx = (float)(u - x), fy = (float)(v - y);
    for (int c = 0; c < p.channels; c++) {
        const float a = tap(p, x, y, c), b = tap(p, x, y + 1, c);
        const float upper = a + fx * (tap(p, x + 1, y, c) - a), lower = b + fx * (tap(p, x + 1, y + 1, c) - b);
        sum[c] += upper + fy * (lower - upper);
    }
}

// The matrix, row by row, takes an output pixel to the picture's; `samples` an axis make a pixel. Places are in double, as
// on the CPU: in float a picture's far side would be off by a hundredth of a pixel.
extern "C" __global__ void warp(const uint8_t* image, int height, int width, int colour, double m0, double m1, double m2, double m3,
                                double m4, double m5, double m6, double m7, double m8, int samples, float factor0, float factor1,
                                float factor2, float offset0, float offset1, float offset2, int out_h, int out_w, int channels,
                                int layout, float pad, int swap, int dtype, void* out) {
    const int ox = blockIdx.x * blockDim.x + threadIdx.x, oy = blockIdx.y * blockDim.y + threadIdx.y;
    if (ox >= out_w || oy >= out_h) return;
    const Picture picture = {image, height, width, colour ? 3 : 1, pad};
    float c[3] = {0, 0, 0};
    for (int k = 0; k < samples * samples; k++) {
        const double x = ox + (k % samples + 0.5) / samples - 0.5, y = oy + (k / samples + 0.5) / samples - 0.5;
        const double w = m6 * x + m7 * y + m8;
        sample(picture, (m0 * x + m1 * y + m2) / w, (m3 * x + m4 * y + m5) / w, c);
    }
    const float share = 1.f / (float)(samples * samples), factor[3] = {factor0, factor1, factor2}, offset[3] = {offset0, offset1, offset2};
    for (int k = 0; k < 3; k++) c[k] = c[colour ? k : 0] * (k && !colour ? 1.f : share);
    put_pixel({out, out_h, out_w, channels, layout, swap, dtype}, ox, oy, c, factor, offset);
}
