// A run of pixels; included once per instruction set, with SUFFIX defined. Channels apart in three short arrays, so that
// the long middle part is plain loops over floats.
static void AISLE_JOIN(tint_run, SUFFIX)(const TintNumbers* numbers, const float* light, const uint8_t* mask, int count, uint8_t* at) {
    const TintNumbers n = *numbers;
    float blue[TINT_RUN], green[TINT_RUN], red[TINT_RUN];
    for (int i = 0; i < count; i++) blue[i] = light[at[3 * i]], green[i] = light[at[3 * i + 1]], red[i] = light[at[3 * i + 2]];
    for (int i = count; i < TINT_RUN; i++) blue[i] = green[i] = red[i] = 0;
    for (int i = 0; i < TINT_RUN; i++) {
        float b = blue[i], g = green[i], r = red[i];
        tint_colour(n, &b, &g, &r);
        blue[i] = b, green[i] = g, red[i] = r;
    }
    for (int i = 0; i < count; i++) {
        const float share = (float)mask[i] * n.strength * (1.f / 255);
        at[3 * i] = tint_mix(at[3 * i], blue[i], share);
        at[3 * i + 1] = tint_mix(at[3 * i + 1], green[i], share);
        at[3 * i + 2] = tint_mix(at[3 * i + 2], red[i], share);
    }
}
#undef SUFFIX
