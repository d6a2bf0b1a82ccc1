// Included once per instruction set, with SUFFIX defined.

// Whether one of the first `held` that stay covers the box; places up to the next multiple of BLOCK hold boxes that do not.
static inline int AISLE_JOIN(covered, SUFFIX)(const Stay* s, int held, const float* box, float area, int32_t kind, float iou) {
    const float x0 = box[0], y0 = box[1], x1 = box[2], y1 = box[3];
    for (int from = 0; from < held; from += BLOCK) {
        const float *__restrict__ sx0 = s->x0 + from, *__restrict__ sy0 = s->y0 + from, *__restrict__ sx1 = s->x1 + from;
        const float *__restrict__ sy1 = s->y1 + from, *__restrict__ sarea = s->area + from;
        const int32_t* __restrict__ skind = s->kind + from;
        int hit = 0;
        for (int i = 0; i < BLOCK; i++) {
            float w = (sx1[i] < x1 ? sx1[i] : x1) - (sx0[i] > x0 ? sx0[i] : x0);
            float h = (sy1[i] < y1 ? sy1[i] : y1) - (sy0[i] > y0 ? sy0[i] : y0);
            w = w > 0 ? w : 0, h = h > 0 ? h : 0;
            const float shared = w * h;
            hit |= (shared > iou * ((sarea[i] + area) - shared)) & (skind[i] == kind);
        }
        if (hit) return 1;
    }
    return 0;
}

static void AISLE_JOIN(suppress, SUFFIX)(const float* boxes, const int32_t* kinds, int n, float iou, const Work* w,
                                         int32_t* out, int room) {
    const Stay s = w->stay;
    int held = 0;
    for (int i = 0; i < n && held < room; i++) {
        const int at = w->order[i];
        const float* box = boxes + 4L * at;
        const float area = (box[2] - box[0]) * (box[3] - box[1]);
        const int32_t kind = kinds ? kinds[at] : 0;
        if (AISLE_JOIN(covered, SUFFIX)(&s, held, box, area, kind, iou)) continue;
        if (held % BLOCK == 0)               // a new block: no box there overlaps any
            for (int k = held; k < held + BLOCK; k++)
                s.x0[k] = s.y0[k] = 2e9f, s.x1[k] = s.y1[k] = -2e9f, s.area[k] = 0, s.kind[k] = 0;
        s.x0[held] = box[0], s.y0[held] = box[1], s.x1[held] = box[2], s.y1[held] = box[3];
        s.area[held] = area, s.kind[held] = kind;
        out[held++] = at;
    }
    for (; held < room; held++) out[held] = -1;
}
#undef SUFFIX
