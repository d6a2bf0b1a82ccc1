/* Asks over the lane:  aisle_lane_sample SOCKET MODEL           ones into a model of FP32 tensors; prints its outputs
 *                      aisle_lane_sample SOCKET STATION FILE    a picture to a taught station; prints its verdict
 * Build:  cc -O2 -o aisle_lane_sample aisle_lane_sample.c
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "aisle_lane.h"

#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 1000, SLOT_BYTES = 8 << 20 };

static int sorry(const aisle_lane *lane) {
    fprintf(stderr, "aisle_lane_sample: %s\n", lane->error);
    return 1;
}

static double now_us(void) {
    struct timespec moment;
    clock_gettime(CLOCK_MONOTONIC, &moment);
    return moment.tv_sec * 1e6 + moment.tv_nsec / 1e3;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Every input of ones, free dimensions 1, one after the other in slot 0. */
static int fill_ones(const aisle_lane *lane, const aisle_model *model, aisle_tensor *inputs) {
    uint64_t at = 0;
    int i, k;
    for (i = 0; i < model->inputs; i++) {
        aisle_tensor *tensor = &inputs[i];
        uint64_t count = 1, n;
        if (model->input[i].dtype != AISLE_FP32) return -1;
        memset(tensor, 0, sizeof *tensor);
        tensor->place = (uint16_t)i;
        tensor->dtype = AISLE_FP32;
        tensor->rank = model->input[i].rank;
        for (k = 0; k < tensor->rank; k++) {
            tensor->dims[k] = model->input[i].dims[k] < 0 ? 1 : model->input[i].dims[k];
            count *= (uint64_t)tensor->dims[k];
        }
        tensor->offset = at;
        tensor->size = count * sizeof(float);
        if (at + tensor->size > lane->slot_bytes) return -1;
        for (n = 0; n < count; n++) ((float *)((uint8_t *)aisle_lane_slot(lane, 0) + at))[n] = 1.0f;
        at = aisle_aligned(at + tensor->size);
    }
    return model->inputs;
}

static int ask_model(aisle_lane *lane, const aisle_model *model) {
    static double spent[ROUNDS];
    aisle_tensor inputs[AISLE_MAX_TENSORS], outputs[AISLE_MAX_TENSORS];
    int count = fill_ones(lane, model, inputs), came = 0, i;
    if (count < 0) {
        fprintf(stderr, "aisle_lane_sample: this program only fills FP32 inputs of at most %d bytes\n", SLOT_BYTES);
        return 1;
    }
    for (i = 0; i < ROUNDS; i++) {
        double begin = now_us();
        came = aisle_lane_infer(lane, model, 0, inputs, count, outputs, 0, 0);
        if (came < 0) return sorry(lane);
        spent[i] = now_us() - begin;
    }
    for (i = 0; i < came; i++)
        if (outputs[i].dtype == AISLE_FP32)
            printf("%s: %llu bytes, first %g\n", model->output[outputs[i].place].name, (unsigned long long)outputs[i].size,
                   *(float *)((uint8_t *)aisle_lane_slot(lane, 0) + outputs[i].offset));
    qsort(spent, ROUNDS, sizeof *spent, by_size);
    printf("round trip: median %.1f us, 99 %% below %.1f us, %.1f us of the last in the server; answered by %s\n",
           spent[ROUNDS / 2], spent[ROUNDS * 99 / 100], lane->server_ns / 1e3, lane->variant);
    return 0;
}

static int ask_station(aisle_lane *lane, const aisle_model *model, const char *path) {
    aisle_tensor image, outputs[AISLE_MAX_TENSORS];
    uint8_t *slot = (uint8_t *)aisle_lane_slot(lane, 0);
    FILE *file = fopen(path, "rb");
    uint32_t size;
    int came, i;
    if (!file) {
        perror(path);
        return 1;
    }
    size = (uint32_t)fread(slot + 4, 1, lane->slot_bytes / 2, file);    /* an element of BYTES: its length, then itself */
    fclose(file);
    memcpy(slot, &size, 4);
    memset(&image, 0, sizeof image);
    for (i = 0; i < model->inputs; i++)
        if (!strcmp(model->input[i].name, "IMAGE")) image.place = (uint16_t)i;
    image.dtype = AISLE_BYTES;
    image.rank = 1;
    image.dims[0] = 1;
    image.size = size + 4;
    came = aisle_lane_infer(lane, model, 0, &image, 1, outputs, 5000000, 1);
    if (came < 0) return sorry(lane);
    for (i = 0; i < came; i++) {
        const char *name = model->output[outputs[i].place].name;
        uint8_t *there = slot + outputs[i].offset;
        if (!strcmp(name, "VERDICT")) printf("VERDICT %.*s\n", (int)outputs[i].size - 4, (char *)there + 4);
        if (!strcmp(name, "SCORE") || !strcmp(name, "THRESHOLD")) printf("%s %.6f\n", name, *(float *)there);
    }
    if (lane->variant[0]) printf("VARIANT %s\n", lane->variant);
    return 0;
}

int main(int count, char **words) {
    aisle_lane lane;
    static aisle_model model;
    int code;
    if (count < 3 || count > 4) {
        fprintf(stderr, "usage: aisle_lane_sample SOCKET MODEL | SOCKET STATION FILE\n");
        return 2;
    }
    if (aisle_lane_connect(&lane, words[1], 1, SLOT_BYTES) < 0) return sorry(&lane);
    code = aisle_lane_open(&lane, words[2], &model) < 0 ? sorry(&lane)
         : count == 4 ? ask_station(&lane, &model, words[3]) : ask_model(&lane, &model);
    aisle_lane_close(&lane);
    return code;
}
