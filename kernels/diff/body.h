// Rows of bytes, WIDE at a time; included once per instruction set, with SUFFIX and WIDE defined. The last step of a row
// goes back to end at the row's end, so that nothing beyond is touched; rows shorter than WIDE take WIDE 1.
#define DIFF(name) AISLE_JOIN(name, SUFFIX)
#define STEPS(x, from, to) for (int next = (from), x; x = next + WIDE <= (to) ? next : (to) - WIDE, next < (to); next += WIDE)
typedef uint8_t DIFF(Bytes) __attribute__((vector_size(WIDE), aligned(1)));
#define BYTES DIFF(Bytes)
#define AT(pointer) (*(const BYTES*)(pointer))

static inline BYTES DIFF(diff_least)(BYTES a, BYTES b) { return a < b ? a : b; }
static inline BYTES DIFF(diff_most)(BYTES a, BYTES b) { return a > b ? a : b; }

// Least and greatest of the rows within reach of y, column by column.
static inline void DIFF(diff_down)(const uint8_t* picture, int h, int w, int y, int reach, uint8_t* low, uint8_t* high) {
    const int first = y > reach ? y - reach : 0, last = y + reach < h ? y + reach : h - 1;
    STEPS(x, 0, w) {
        const uint8_t* at = picture + (long)first * w + x;
        BYTES least = AT(at), most = least;
        for (int k = first; k < last; k++) {
            at += w;
            least = DIFF(diff_least)(least, AT(at));
            most = DIFF(diff_most)(most, AT(at));
        }
        *(BYTES*)(low + x) = least;
        *(BYTES*)(high + x) = most;
    }
}

// Least and greatest of a line within reach; the line's margins hold what changes nothing.
static inline void DIFF(diff_along)(const uint8_t* low, const uint8_t* high, int reach, BYTES* least, BYTES* most) {
    *least = AT(low - reach), *most = AT(high - reach);
    for (int k = 1 - reach; k <= reach; k++) {
        *least = DIFF(diff_least)(*least, AT(low + k));
        *most = DIFF(diff_most)(*most, AT(high + k));
    }
}

// diff_judge of core.h for WIDE pixels; the tests hold the two together.
static inline BYTES DIFF(diff_judge)(BYTES golden, BYTES test, BYTES gl, BYTES gh, BYTES tl, BYTES th, BYTES band) {
    const BYTES below = DIFF(diff_most)(gl, test) - test, missing = DIFF(diff_most)(golden, th) - th;
    const BYTES above = DIFF(diff_most)(test, gh) - gh, filled = DIFF(diff_most)(tl, golden) - golden;
    return ((BYTES)(DIFF(diff_most)(below, missing) > band) & 1) | ((BYTES)(DIFF(diff_most)(above, filled) > band) & 2);
}

static void DIFF(diff_row)(const DiffJob* j, int y, const DiffLines* s) {
    const int ty = y + j->down, w = j->w, reach = j->reach;
    const int from = j->right < 0 ? -j->right : 0, to = j->right > 0 ? w - j->right : w;
    uint8_t* out = j->out + (long)y * w;
    memset(out, 0, w);
    if (ty < 0 || ty >= j->h || from >= to) return;
    DIFF(diff_down)(j->golden, j->h, w, y, reach, s->golden_low, s->golden_high);
    DIFF(diff_down)(j->test, j->h, w, ty, reach, s->test_low, s->test_high);
    const uint8_t *golden = j->golden + (long)y * w, *test = j->test + (long)ty * w + j->right;
    const uint8_t *mask = j->mask ? j->mask + (long)y * w : 0, *tl = s->test_low + j->right, *th = s->test_high + j->right;
    const BYTES band = BYTES{} + (uint8_t)j->band;
    STEPS(x, from, to) {
        BYTES golden_low, golden_high, test_low, test_high;
        DIFF(diff_along)(s->golden_low + x, s->golden_high + x, reach, &golden_low, &golden_high);
        DIFF(diff_along)(tl + x, th + x, reach, &test_low, &test_high);
        const BYTES found = DIFF(diff_judge)(AT(golden + x), AT(test + x), golden_low, golden_high, test_low, test_high, band);
        *(BYTES*)(out + x) = mask ? (AT(mask + x) != 0 ? found : BYTES{}) : found;
    }
}

// AND (erode) or OR (dilate) of the marks over the square around each pixel of row y; the line's margins are set.
static inline void DIFF(diff_morph)(const uint8_t* marks, int h, int w, int y, int reach, int erode, uint8_t* line, uint8_t* out) {
    const int first = y > reach ? y - reach : 0, last = y + reach < h ? y + reach : h - 1;
    STEPS(x, 0, w) {
        const uint8_t* at = marks + (long)first * w + x;
        BYTES all = AT(at);
        for (int k = first; k < last; k++) at += w, all = erode ? all & AT(at) : all | AT(at);
        *(BYTES*)(line + x) = all;
    }
    STEPS(x, 0, w) {
        BYTES all = AT(line + x - reach);
        for (int k = 1 - reach; k <= reach; k++) all = erode ? all & AT(line + x + k) : all | AT(line + x + k);
        *(BYTES*)(out + x) = all;
    }
}
static void DIFF(diff_erode)(const uint8_t* marks, int h, int w, int y, int reach, uint8_t* line, uint8_t* out) {
    DIFF(diff_morph)(marks, h, w, y, reach, 1, line, out);
}
static void DIFF(diff_dilate)(const uint8_t* marks, int h, int w, int y, int reach, uint8_t* line, uint8_t* out) {
    DIFF(diff_morph)(marks, h, w, y, reach, 0, line, out);
}
#undef AT
#undef BYTES
#undef DIFF
#undef STEPS
#undef SUFFIX
#undef WIDE
