// The passes over one output row; included once per instruction set, with SUFFIX and ISA (0, 2, 4 as aisle_level)
// defined: the compiler's own macros do not follow `#pragma GCC target` in C++. Where there is FMA every multiply-add
// is one, asked for by name, so that variants with it give the same bits; elsewhere it is two roundings.
#define FN(name) AISLE_JOIN(name, SUFFIX)
#undef FMA
#undef FMA4
#if ISA >= 2
#define FMA(a, b, c) __builtin_fmaf(a, b, c)
#define FMA4(a, b, c) ((float4)_mm_fmadd_ps((__m128)(a), (__m128)(b), (__m128)(c)))
#elif defined(__aarch64__)
#define FMA(a, b, c) __builtin_fmaf(a, b, c)
#define FMA4(a, b, c) ((a) * (b) + (c))
#else
#define FMA(a, b, c) ((a) * (b) + (c))
#define FMA4(a, b, c) ((a) * (b) + (c))
#endif
#define INLINE static inline __attribute__((always_inline))

// line[i] (+)= the weighted sum of `count` rows; `count` and `add` are constants where it is called.
INLINE void FN(blend_few)(const uint8_t* source, long pitch, const float* weight, int count, int add, long n, float* line) {
    const uint8_t *r0 = source, *r1 = r0 + (count > 1) * pitch, *r2 = r0 + 2 * (count > 2) * pitch, *r3 = r0 + 3 * (count > 3) * pitch;
    const float w0 = weight[0], w1 = count > 1 ? weight[1] : 0, w2 = count > 2 ? weight[2] : 0, w3 = count > 3 ? weight[3] : 0;
    long i = 0;
#if ISA >= 4                                 // left alone, the compiler widens in three steps instead of two
#define WIDE(p) _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i*)(p))))
    for (; i + 16 <= n; i += 16) {
        __m512 sum = add ? _mm512_fmadd_ps(_mm512_set1_ps(w0), WIDE(r0 + i), _mm512_loadu_ps(line + i))
                         : _mm512_mul_ps(_mm512_set1_ps(w0), WIDE(r0 + i));
        if (count > 1) sum = _mm512_fmadd_ps(_mm512_set1_ps(w1), WIDE(r1 + i), sum);
        if (count > 2) sum = _mm512_fmadd_ps(_mm512_set1_ps(w2), WIDE(r2 + i), sum);
        if (count > 3) sum = _mm512_fmadd_ps(_mm512_set1_ps(w3), WIDE(r3 + i), sum);
        _mm512_storeu_ps(line + i, sum);
    }
#undef WIDE
#elif ISA >= 2
#define WIDE(p) _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i*)(p))))
    for (; i + 8 <= n; i += 8) {
        __m256 sum = add ? _mm256_fmadd_ps(_mm256_set1_ps(w0), WIDE(r0 + i), _mm256_loadu_ps(line + i))
                         : _mm256_mul_ps(_mm256_set1_ps(w0), WIDE(r0 + i));
        if (count > 1) sum = _mm256_fmadd_ps(_mm256_set1_ps(w1), WIDE(r1 + i), sum);
        if (count > 2) sum = _mm256_fmadd_ps(_mm256_set1_ps(w2), WIDE(r2 + i), sum);
        if (count > 3) sum = _mm256_fmadd_ps(_mm256_set1_ps(w3), WIDE(r3 + i), sum);
        _mm256_storeu_ps(line + i, sum);
    }
#undef WIDE
#endif
#pragma GCC ivdep
    for (; i < n; i++) {
        float sum = add ? FMA(w0, (float)r0[i], line[i]) : w0 * (float)r0[i];
        if (count > 1) sum = FMA(w1, (float)r1[i], sum);
        if (count > 2) sum = FMA(w2, (float)r2[i], sum);
        if (count > 3) sum = FMA(w3, (float)r3[i], sum);
        line[i] = sum;
    }
}

// line = the weighted sum of rows `pitch` bytes apart; trailing weights of 0 are rows that may not exist.
static void FN(blend)(const uint8_t* source, long pitch, const float* weight, int count, long n, float* line) {
    while (count > 1 && weight[count - 1] == 0) count--;
    switch (count) {
        case 1: FN(blend_few)(source, pitch, weight, 1, 0, n, line); return;
        case 2: FN(blend_few)(source, pitch, weight, 2, 0, n, line); return;
        case 3: FN(blend_few)(source, pitch, weight, 3, 0, n, line); return;
        default: FN(blend_few)(source, pitch, weight, 4, 0, n, line);
    }
    int k = 4;
    for (; k + 4 <= count; k += 4) FN(blend_few)(source + k * pitch, pitch, weight + k, 4, 1, n, line);
    for (; k < count; k++) FN(blend_few)(source + k * pitch, pitch, weight + k, 1, 1, n, line);
}

// One pixel's channels, from `count` pixels of three floats (and one of the next, which is ignored); weights 4 apart.
INLINE float4 FN(pixel)(const float* line, const float* weight, int count) {
    float4 sum = *(const float4u*)line * weight[0];
    for (int k = 1; k < count; k++) sum = FMA4(*(const float4u*)(line + 3 * k), weight[4 * k] - (float4){}, sum);
    return sum;
}

#if ISA >= 4
// Eight floats at two places: two neighbouring pixels each.
INLINE __m512 FN(pairs)(const float* line, const int* at) {
    return _mm512_insertf32x8(_mm512_castps256_ps512(_mm256_loadu_ps(line + at[0])), _mm256_loadu_ps(line + at[1]), 1);
}

// The sums of four pixels, by channel: four of the first, of the second, of the third, and what is ignored. Taps are
// taken two at a time, as they lie side by side.
INLINE __m512 FN(sums)(const float* line, const int* at, const float* weight, int count) {
    const __m512i left = _mm512_setr_epi32(0, 8, 16, 24, 1, 9, 17, 25, 2, 10, 18, 26, 0, 8, 16, 24);
    const __m512i right = _mm512_setr_epi32(3, 11, 19, 27, 4, 12, 20, 28, 5, 13, 21, 29, 3, 11, 19, 27);
    __m512 sum = _mm512_setzero_ps();
    for (int k = 0; k < count; k += 2) {
        const __m512 front = FN(pairs)(line + 3 * k, at), back = FN(pairs)(line + 3 * k, at + 2);
        const __m512 one = _mm512_permutex2var_ps(front, left, back), share = _mm512_broadcast_f32x4(_mm_loadu_ps(weight + 4 * k));
        sum = k ? _mm512_fmadd_ps(one, share, sum) : _mm512_mul_ps(one, share);
        if (k + 1 < count)
            sum = _mm512_fmadd_ps(_mm512_permutex2var_ps(front, right, back),
                                  _mm512_broadcast_f32x4(_mm_loadu_ps(weight + 4 * k + 4)), sum);
    }
    return sum;
}

// Sixteen values of a plane: as they are to `to`, or narrowed to `bytes`, where packing saturates what is too small.
INLINE void FN(put)(__m512 value, int type, float* to, uint8_t* bytes, int x) {
    if (type == FLOAT32) {
        _mm512_storeu_ps(to + x, value);
        return;
    }
    value = _mm512_min_ps(value, _mm512_set1_ps(type == INT8 ? 127 : 255));
    if (type == UINT8) value = _mm512_max_ps(value, _mm512_setzero_ps());
    const __m512i wholes = _mm512_cvtps_epi32(value);
    _mm_storeu_si128((__m128i*)(bytes + x), type == INT8 ? _mm512_cvtsepi32_epi8(wholes) : _mm512_cvtepi32_epi8(wholes));
}

// Three planes of sixteen pixels each: whole cache lines, where the rows lie so.
INLINE void FN(across_sixteen)(const float* line, const int* at, const float* weight, int count, const __m512* a,
                               const __m512* b, int type, float* const* to, uint8_t* const* bytes, int x) {
    const __m512 q0 = FN(sums)(line, at, weight, count), q1 = FN(sums)(line, at + 4, weight + 4 * count, count);
    const __m512 q2 = FN(sums)(line, at + 8, weight + 8 * count, count);
    const __m512 q3 = FN(sums)(line, at + 12, weight + 12 * count, count);
    const __m512 front = _mm512_shuffle_f32x4(q0, q1, 0x44), back = _mm512_shuffle_f32x4(q2, q3, 0x44);
    const __m512 third = _mm512_shuffle_f32x4(_mm512_shuffle_f32x4(q0, q1, 0xee), _mm512_shuffle_f32x4(q2, q3, 0xee), 0x88);
    FN(put)(_mm512_fmadd_ps(_mm512_shuffle_f32x4(front, back, 0x88), a[0], b[0]), type, to[0], bytes[0], x);
    FN(put)(_mm512_fmadd_ps(_mm512_shuffle_f32x4(front, back, 0xdd), a[1], b[1]), type, to[1], bytes[1], x);
    FN(put)(_mm512_fmadd_ps(third, a[2], b[2]), type, to[2], bytes[2], x);
}
#endif

// `count` is t->count, a constant where it is small. Weights come in groups of four pixels: all first taps, all second.
INLINE void FN(across_count)(const float* line, const Taps* t, int count, int w, const float* a, const float* b, int type,
                             float* const* to, uint8_t* const* bytes) {
    float *__restrict__ p0 = to[0], *__restrict__ p1 = to[1], *__restrict__ p2 = to[2];
    const int* at = t->first;                // in floats
    const float* weight = t->weight;
    int x = 0;
#if ISA >= 4
    const __m512 wide_a[3] = {_mm512_set1_ps(a[0]), _mm512_set1_ps(a[1]), _mm512_set1_ps(a[2])};
    const __m512 wide_b[3] = {_mm512_set1_ps(b[0]), _mm512_set1_ps(b[1]), _mm512_set1_ps(b[2])};
    for (; x + 16 <= w; x += 16, weight += 16 * count)
        FN(across_sixteen)(line, at + x, weight, count, wide_a, wide_b, type, to, bytes, x);
#endif
    for (; x + 4 <= w; x += 4, weight += 4 * count) {
        const float4 q0 = FN(pixel)(line + at[x], weight, count), q1 = FN(pixel)(line + at[x + 1], weight + 1, count);
        const float4 q2 = FN(pixel)(line + at[x + 2], weight + 2, count), q3 = FN(pixel)(line + at[x + 3], weight + 3, count);
        const float4 t0 = AISLE_SHUFFLE(q0, q1, 0, 4, 1, 5), t1 = AISLE_SHUFFLE(q2, q3, 0, 4, 1, 5);
        const float4 t2 = AISLE_SHUFFLE(q0, q1, 2, 6, 3, 7), t3 = AISLE_SHUFFLE(q2, q3, 2, 6, 3, 7);
        *(float4u*)(p0 + x) = FMA4(AISLE_SHUFFLE(t0, t1, 0, 1, 4, 5), a[0] - (float4){}, b[0] - (float4){});
        *(float4u*)(p1 + x) = FMA4(AISLE_SHUFFLE(t0, t1, 2, 3, 6, 7), a[1] - (float4){}, b[1] - (float4){});
        *(float4u*)(p2 + x) = FMA4(AISLE_SHUFFLE(t2, t3, 0, 1, 4, 5), a[2] - (float4){}, b[2] - (float4){});
    }
    for (; x < w; x++, weight++) {
        const float4 q = FN(pixel)(line + at[x], weight, count);
        p0[x] = FMA(q[0], a[0], b[0]), p1[x] = FMA(q[1], a[1], b[1]), p2[x] = FMA(q[2], a[2], b[2]);
    }
}

// Along a row of three interleaved channels; a, b, to and bytes are in the order of the source. With a type of bytes (and w a
// multiple of 16, and AVX-512) the values go to `bytes` at once.
static void FN(across)(const float* line, const Taps* t, int w, const float* a, const float* b, int type, float* const* to,
                       uint8_t* const* bytes) {
    switch (t->count) {
        case 2:
            if (type == INT8) FN(across_count)(line, t, 2, w, a, b, INT8, to, bytes);
            else if (type == UINT8) FN(across_count)(line, t, 2, w, a, b, UINT8, to, bytes);
            else FN(across_count)(line, t, 2, w, a, b, FLOAT32, to, bytes);
            break;
        case 3: FN(across_count)(line, t, 3, w, a, b, type, to, bytes); break;
        case 4: FN(across_count)(line, t, 4, w, a, b, type, to, bytes); break;
        case 5: FN(across_count)(line, t, 5, w, a, b, type, to, bytes); break;
        default: FN(across_count)(line, t, t->count, w, a, b, type, to, bytes);
    }
}

// Along a row of one channel whose values lie `stride` apart.
static void FN(across_one)(const float* line, int stride, const Taps* t, int w, float* to) {
    for (int x = 0; x < w; x++) {
        const float* at = line + (long)stride * t->first[x];
        const float* weight = t->weight + (long)x * t->count;
        float sum = at[0] * weight[0];
        for (int k = 1; k < t->count; k++) sum = FMA(at[(long)stride * k], weight[k], sum);
        to[x] = sum;
    }
}

INLINE float FN(clamp)(float v, float low, float high) {
    v = v < low ? low : v;
    return v > high ? high : v;
}

// y, u, v become b, g, r in place: BT.601, limited range.
static void FN(colours)(float* y, float* u, float* v, int w) {
#pragma GCC ivdep
    for (int x = 0; x < w; x++) {
        const float luma = 1.164383f * (y[x] - 16), blue = u[x] - 128, red = v[x] - 128;
        y[x] = FN(clamp)(FMA(2.017232f, blue, luma), 0, 255);
        u[x] = FN(clamp)(FMA(-0.391762f, blue, FMA(-0.812968f, red, luma)), 0, 255);
        v[x] = FN(clamp)(FMA(1.596027f, red, luma), 0, 255);
    }
}

static void FN(affine)(float* row, int w, float a, float b) {
    for (int x = 0; x < w; x++) row[x] = FMA(row[x], a, b);
}

// The two pixels that each output pixel needs of two rows, at picked[x] bytes; 8 bytes a copy except where they would
// pass the row's end. Meanwhile the rows `ahead` bytes on are fetched: they are too far away for the hardware to guess.
static void FN(gather)(const uint8_t* upper, const uint8_t* lower, const Job* j, const int* picked, long ahead,
                       uint8_t* __restrict__ to, uint8_t* __restrict__ under) {
    const int last = 3 * j->width - 8, w = j->w;
    int x = 0;
    for (; x + 2 <= w && picked[x + 1] <= last; x += 2, to += 12, under += 12) {
        const long p = picked[x], q = picked[x + 1];
        __builtin_prefetch(upper + p + ahead);
        __builtin_prefetch(lower + p + ahead);
        memcpy(to, upper + p, 8), memcpy(to + 6, upper + q, 8);
        memcpy(under, lower + p, 8), memcpy(under + 6, lower + q, 8);
    }
    for (; x < w; x++, to += 6, under += 6) memcpy(to, upper + picked[x], 6), memcpy(under, lower + picked[x], 6);
}

static void FN(colour_row)(const Job* j, const Scratch* s, int y, const float* a, const float* b, float* const* to) {
    const long pitch = 3L * j->width;
    const int count = s->rows.count;
    const uint8_t* source = j->image + s->rows.first[y] * pitch;
    const float* weight = s->rows.weight + (long)y * count;
    if (s->picked) {
        const long packed = 6L * j->w + 8;
        const long ahead = y + 1 < j->h ? (s->rows.first[y + 1] - s->rows.first[y]) * pitch : 0;
        FN(gather)(source, weight[1] != 0 ? source + pitch : source, j, s->picked, ahead, s->gathered, s->gathered + packed);
        FN(blend)(s->gathered, packed, weight, count, 6L * j->w, s->line);
    } else {
        FN(blend)(source, pitch, weight, count, pitch, s->line);
    }
    const int flip = j->swap ? 2 : 0, narrow = s->bytes[0] != NULL;
    uint8_t* const bytes[3] = {s->bytes[flip], s->bytes[1], s->bytes[2 - flip]};
    FN(across)(s->line, &s->columns, j->w, a, b, narrow ? j->type : FLOAT32, to, bytes);
}

// Rows of values 0..255, three of colour or one of gray.
static void FN(camera_row)(const Job* j, const Scratch* s, int y, float* const* to) {
    const long pitch = j->pixels == YUYV ? 2L * j->width : j->width;
    const Taps *rows = &s->rows, *half = &s->half_rows;
    FN(blend)(j->image + rows->first[y] * pitch, pitch, rows->weight + (long)y * rows->count, rows->count, pitch, s->line);
    FN(across_one)(s->line, j->pixels == YUYV ? 2 : 1, &s->columns, j->w, to[0]);
    if (j->pixels == GRAY) return;
    const float* chroma = s->line + 1;
    if (j->pixels == NV12) {
        const uint8_t* source = j->image + (j->height + (long)half->first[y]) * pitch;
        FN(blend)(source, pitch, half->weight + (long)y * half->count, half->count, pitch, s->half_line);
        chroma = s->half_line;
    }
    const int stride = j->pixels == NV12 ? 2 : 4;
    FN(across_one)(chroma, stride, &s->half_columns, j->w, to[1]);
    FN(across_one)(chroma + stride / 2, stride, &s->half_columns, j->w, to[2]);
    FN(colours)(to[0], to[1], to[2], j->w);
}

INLINE float FN(tap)(const Job* j, long x, long y, int c, int channels) {
    const int inside = x >= 0 && x < j->width && y >= 0 && y < j->height;
    return inside ? (float)j->image[(y * j->width + x) * channels + c] : j->pad;
}

// Add one bilinear sample at (u, v) to `sum`; a tap outside the picture is the pad.
INLINE void FN(sample)(const Job* j, double u, double v, int channels, float* sum) {
    if (!(u > -1 && v > -1 && u < j->width && v < j->height)) {
        for (int c = 0; c < channels; c++) sum[c] += j->pad;
        return;
    }
    const long x = (long)(u + 1) - 1, y = (long)(v + 1) - 1;   // floor, as both are above -1
    const float fx = (float)(u - (double)x), fy = (float)(v - (double)y);
    if (x >= 0 && y >= 0 && x + 1 < j->width && y + 1 < j->height) {
        const uint8_t* p = j->image + (y * j->width + x) * channels;
        const uint8_t* q = p + (long)j->width * channels;
        for (int c = 0; c < channels; c++) {
            const float upper = FMA(fx, (float)(p[channels + c] - p[c]), (float)p[c]);
            const float lower = FMA(fx, (float)(q[channels + c] - q[c]), (float)q[c]);
            sum[c] += FMA(fy, lower - upper, upper);
        }
        return;
    }
    for (int c = 0; c < channels; c++) {
        const float p = FN(tap)(j, x, y, c, channels), q = FN(tap)(j, x, y + 1, c, channels);
        const float upper = FMA(fx, FN(tap)(j, x + 1, y, c, channels) - p, p);
        const float lower = FMA(fx, FN(tap)(j, x + 1, y + 1, c, channels) - q, q);
        sum[c] += FMA(fy, lower - upper, upper);
    }
}

INLINE void FN(warp_channels)(const Job* j, int row, int channels, float* const* to) {
    const double* m = j->matrix;
    const int n = j->samples;
    const float share = 1.f / (float)(n * n);
    for (int column = 0; column < j->out_w; column++) {
        float sum[3] = {0, 0, 0};
        for (int k = 0; k < n * n; k++) {
            const double x = column + (k % n + 0.5) / n - 0.5, y = row + (k / n + 0.5) / n - 0.5;
            const double w = m[6] * x + m[7] * y + m[8];
            FN(sample)(j, (m[0] * x + m[1] * y + m[2]) / w, (m[3] * x + m[4] * y + m[5]) / w, channels, sum);
        }
        for (int c = 0; c < channels; c++) to[c][column] = sum[c] * share;
    }
}

static void FN(warp_row)(const Job* j, int row, float* const* to) {
    if (j->pixels == COLOUR) FN(warp_channels)(j, row, 3, to);
    else FN(warp_channels)(j, row, 1, to);
}

static void FN(halves)(const float* row, int w, long stride, uint16_t* to) {
    int x = 0;
#if ISA >= 2
    for (; stride == 1 && x + 8 <= w; x += 8)
        _mm_storeu_si128((__m128i*)(to + x), _mm256_cvtps_ph(_mm256_loadu_ps(row + x), 0));
#endif
    for (; x < w; x++) to[x * stride] = half_of(row[x]);
}

// Saturate, then round half to even: adding 1.5 * 2^23 leaves the whole number in the low bits.
INLINE void FN(wholes)(const float* row, int w, long stride, float low, float high, uint8_t* to) {
    int x = 0;
#if ISA >= 4
    // Packing saturates; what is too large for a whole number would come out as the least one, so that bound alone is kept.
#define WHOLE(p) _mm512_cvtps_epi32(_mm512_min_ps(_mm512_loadu_ps(p), _mm512_set1_ps(high)))
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    for (; stride == 1 && x + 64 <= w; x += 64) {
        const __m512i front = _mm512_packs_epi32(WHOLE(row + x), WHOLE(row + x + 16));
        const __m512i back = _mm512_packs_epi32(WHOLE(row + x + 32), WHOLE(row + x + 48));
        const __m512i bytes = low < 0 ? _mm512_packs_epi16(front, back) : _mm512_packus_epi16(front, back);
        _mm512_storeu_si512(to + x, _mm512_permutexvar_epi32(order, bytes));
    }
#undef WHOLE
    for (; stride == 1 && x + 16 <= w; x += 16) {
        const __m512 v = _mm512_min_ps(_mm512_max_ps(_mm512_loadu_ps(row + x), _mm512_set1_ps(low)), _mm512_set1_ps(high));
        _mm_storeu_si128((__m128i*)(to + x), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(v)));
    }
#elif ISA >= 2
#define WHOLE(p) _mm256_cvtps_epi32(_mm256_min_ps(_mm256_max_ps(_mm256_loadu_ps(p), _mm256_set1_ps(low)), _mm256_set1_ps(high)))
    for (; stride == 1 && x + 16 <= w; x += 16) {
        const __m256i both = _mm256_permute4x64_epi64(_mm256_packs_epi32(WHOLE(row + x), WHOLE(row + x + 8)), 0xd8);
        const __m256i bytes = _mm256_and_si256(both, _mm256_set1_epi16(255));
        _mm_storeu_si128((__m128i*)(to + x), _mm_packus_epi16(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1)));
    }
#undef WHOLE
#endif
#pragma GCC ivdep
    for (; x < w; x++) {
        const float moved = FN(clamp)(row[x], low, high) + 12582912.f;
        int32_t bits;
        memcpy(&bits, &moved, 4);
        to[x * stride] = (uint8_t)bits;
    }
}

// One channel's row into `out`, `stride` values apart.
INLINE void FN(emit_row)(const float* row, int w, long stride, int type, void* out, long at) {
    if (type == FLOAT16) FN(halves)(row, w, stride, (uint16_t*)out + at);
    else if (type == INT8) FN(wholes)(row, w, stride, -128, 127, (uint8_t*)out + at);
    else if (type == UINT8) FN(wholes)(row, w, stride, 0, 255, (uint8_t*)out + at);
    else
        for (int x = 0; x < w; x++) ((float*)out)[at + x * stride] = row[x];
}

static void FN(emit)(const Job* j, const Scratch* s, int y) {
    for (int c = 0; c < j->channels; c++) {
        const float* row = s->plane[c];
        if (!j->hwc) FN(emit_row)(row, j->out_w, 1, j->type, j->out, ((long)c * j->out_h + y) * j->out_w);
        else if (j->channels == 3) FN(emit_row)(row, j->out_w, 3, j->type, j->out, (long)y * j->out_w * 3 + c);
        else FN(emit_row)(row, j->out_w, 1, j->type, j->out, (long)y * j->out_w);
    }
}

// The picture's part of an output row: `to` holds the planes of `out` from there on, in its order.
static void FN(picture)(const Job* j, const Scratch* s, int y, float* const* to) {
    const int flip = j->swap ? 2 : 0;        // source channel c goes to plane c ^ flip or stays: 0 <-> 2, 1 stays
    float* planes[3] = {to[flip], to[1], to[2 - flip]};
    const float a[3] = {j->scale[flip], j->scale[1], j->scale[2 - flip]};
    const float b[3] = {j->bias[flip], j->bias[1], j->bias[2 - flip]};
    if (j->pixels == COLOUR && !j->matrix) {
        FN(colour_row)(j, s, y, a, b, planes);
        return;
    }
    if (j->pixels == GRAY) planes[0] = to[j->channels - 1];
    if (j->matrix) FN(warp_row)(j, y, planes);
    else FN(camera_row)(j, s, y, planes);
    if (j->pixels == GRAY) {                 // one plane for all channels: the last one is its own source
        for (int c = 0; c < j->channels; c++) {
            if (to[c] != planes[0]) memcpy(to[c], planes[0], sizeof(float) * j->w);
            if (c + 1 < j->channels) FN(affine)(to[c], j->w, j->scale[c], j->bias[c]);
        }
        FN(affine)(planes[0], j->w, j->scale[j->channels - 1], j->bias[j->channels - 1]);
        return;
    }
    for (int c = 0; c < 3; c++) FN(affine)(planes[c], j->w, a[c], b[c]);
}

static void FN(fill)(const Job* j, Scratch* s) {
    const int direct = !j->hwc && j->type == FLOAT32;
    const int narrow = ISA >= 4 && !j->hwc && (j->type == INT8 || j->type == UINT8) && j->pixels == COLOUR && !j->matrix &&
                       j->w == j->out_w && j->w % 16 == 0;
    const long plane = (long)j->out_h * j->out_w;
    for (int y = 0; y < j->out_h; y++) {
        const int inside = y >= j->top && y < j->top + j->h;
        for (int c = 0; c < 3; c++) s->bytes[c] = narrow && inside ? (uint8_t*)j->out + c * plane + (long)y * j->out_w : NULL;
        float *row[3] = {0, 0, 0}, *to[3] = {0, 0, 0};
        for (int c = 0; c < j->channels; c++) {
            row[c] = direct ? (float*)j->out + c * plane + (long)y * j->out_w : s->plane[c];
            to[c] = row[c] + j->left;
            const float pad = FMA(j->pad, j->scale[c], j->bias[c]);
            for (int x = 0; x < (inside ? j->left : j->out_w); x++) row[c][x] = pad;
            for (int x = j->left + j->w; inside && x < j->out_w; x++) row[c][x] = pad;
        }
        if (inside) FN(picture)(j, s, y - j->top, to);
        if (!direct && !s->bytes[0]) FN(emit)(j, s, y);
    }
}
#undef INLINE
#undef FN
#undef SUFFIX
#undef ISA
