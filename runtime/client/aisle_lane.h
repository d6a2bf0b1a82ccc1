/* Asks an Aisle server over its local lane, from C99 or C++ on Linux. One header, nothing to link.
 *
 * Pixels and tensors lie in memory that this process shares with the server; only small messages travel. The protocol
 * is in docs/lane.md, a program that uses this in aisle_lane_sample.c. Functions return 0, or a count, or -1 with a
 * sentence in lane->error and the protocol's status in lane->status. One lane serves one thread at a time.
 *
 * Define _GNU_SOURCE before the first system header (memfd_create and the seals need it).
 */
#ifndef AISLE_LANE_H
#define AISLE_LANE_H

#ifndef _GNU_SOURCE
#error "define _GNU_SOURCE before the first #include: aisle_lane.h needs memfd_create"
#endif

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/un.h>
#include <unistd.h>

enum { AISLE_PROTOCOL = 1, AISLE_MAX_MESSAGE = 16384, AISLE_MAX_RANK = 8, AISLE_MAX_TENSORS = 64, AISLE_ALIGN = 64,
       AISLE_PAGE = 4096, AISLE_MAX_NAME = 128 };
enum { AISLE_MAGIC = 0x454C5341 };
enum { AISLE_HELLO = 1, AISLE_OPEN = 2, AISLE_INFER = 3, AISLE_MODELS = 4, AISLE_READY = 5, AISLE_ANSWER = 16 };
enum { AISLE_OK = 0, AISLE_INVALID = 1, AISLE_TOO_LARGE = 2, AISLE_UNSUPPORTED = 3, AISLE_NOT_FOUND = 4, AISLE_BUSY = 5,
       AISLE_LATE = 6, AISLE_FAILED = 7, AISLE_CHANGED = 8 };
enum { AISLE_BOOL = 1, AISLE_UINT8, AISLE_UINT16, AISLE_UINT32, AISLE_UINT64, AISLE_INT8, AISLE_INT16, AISLE_INT32,
       AISLE_INT64, AISLE_FP16, AISLE_FP32, AISLE_FP64, AISLE_BF16, AISLE_BYTES };
enum { AISLE_IS_OUTPUT = 1, AISLE_IS_OPTIONAL = 2 };

/* A tensor in a slot. `offset` is a multiple of AISLE_ALIGN, counted from the slot's beginning. */
typedef struct {
    uint16_t place;   /* among the model's inputs, or its outputs */
    uint8_t dtype;
    uint8_t rank;
    uint32_t flags;
    uint64_t offset;
    uint64_t size;    /* in bytes */
    int64_t dims[AISLE_MAX_RANK];
} aisle_tensor;

typedef struct {
    char name[AISLE_MAX_NAME];
    uint8_t dtype;
    uint8_t rank;
    uint8_t optional;
    int64_t dims[AISLE_MAX_RANK];   /* -1 is free */
} aisle_spec;

typedef struct {
    uint32_t handle;
    uint32_t max_batch;             /* 0: tensors have no batch axis */
    int inputs, outputs;
    aisle_spec input[AISLE_MAX_TENSORS], output[AISLE_MAX_TENSORS];
} aisle_model;

typedef struct {
    int fd;
    uint8_t *memory;
    size_t slot_bytes;
    uint32_t slots;
    uint32_t number;
    int status;
    uint32_t retry_ms;              /* with AISLE_BUSY: when to ask again */
    uint64_t server_ns;             /* what the last call took inside the server */
    char variant[64];               /* which variant answered it ("onnx int8"); empty where no network ran */
    char error[512];
} aisle_lane;

/* The messages, byte for byte. */
typedef struct { uint16_t kind, protocol; uint32_t magic; uint64_t slot_bytes; uint32_t slots, zero; } aisle_hello_message;
typedef struct { uint16_t kind, count; uint32_t number; } aisle_head;
typedef struct {
    uint16_t kind, count;
    uint32_t number, timeout_us, priority, handle, slot;
    uint64_t wanted, room_at, room;
} aisle_call;
typedef struct {
    uint16_t kind, count;
    uint32_t number;
    uint16_t status, zero;
    uint32_t extra;
    uint64_t ns, value;
} aisle_answer;
typedef char aisle_sizes_fit[sizeof(aisle_tensor) == 88 && sizeof(aisle_call) == 48 && sizeof(aisle_answer) == 32 &&
                             sizeof(aisle_hello_message) == 24 ? 1 : -1];

static inline int aisle_fail(aisle_lane *lane, int status, const char *what, const char *why) {
    lane->status = status;
    snprintf(lane->error, sizeof lane->error, "%s%s%s", what, why ? ": " : "", why ? why : "");
    return -1;
}

static inline uint64_t aisle_aligned(uint64_t size) { return (size + AISLE_ALIGN - 1) / AISLE_ALIGN * AISLE_ALIGN; }

/* The beginning of a slot: write inputs there, read outputs there. */
static inline void *aisle_lane_slot(const aisle_lane *lane, uint32_t slot) { return lane->memory + slot * lane->slot_bytes; }

/* One answer into `buffer` of AISLE_MAX_MESSAGE bytes; the bytes behind its head, or -1 with the server's sentence. */
static inline int aisle_receive(aisle_lane *lane, uint32_t number, uint8_t *buffer) {
    aisle_answer head;
    for (;;) {
        ssize_t got = recv(lane->fd, buffer, AISLE_MAX_MESSAGE, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < (ssize_t)sizeof head)
            return aisle_fail(lane, AISLE_FAILED, "the server does not answer", got < 0 ? strerror(errno) : "it closed the lane");
        memcpy(&head, buffer, sizeof head);
        if (head.number != number && head.number != 0) continue;      /* of a call that was given up */
        lane->status = head.status;
        lane->server_ns = head.ns;
        if (head.status != AISLE_OK) {
            size_t length = (size_t)got - sizeof head;
            if (length >= sizeof lane->error) length = sizeof lane->error - 1;
            memcpy(lane->error, buffer + sizeof head, length);
            lane->error[length] = 0;
            lane->retry_ms = head.extra;
            return -1;
        }
        return (int)(got - (ssize_t)sizeof head);
    }
}

static inline void aisle_lane_close(aisle_lane *lane) {
    if (lane->fd >= 0) close(lane->fd);
    if (lane->memory) munmap(lane->memory, lane->slots * lane->slot_bytes);
    lane->fd = -1;
    lane->memory = NULL;
}

/* HELLO with the memory's descriptor. */
static inline int aisle_send_memory(aisle_lane *lane, int memory) {
    aisle_hello_message hello = {AISLE_HELLO, AISLE_PROTOCOL, AISLE_MAGIC, 0, 0, 0};
    union { struct cmsghdr header; char bytes[CMSG_SPACE(sizeof(int))]; } control;
    struct iovec part;
    struct msghdr message;
    struct cmsghdr *header;
    hello.slot_bytes = lane->slot_bytes;
    hello.slots = lane->slots;
    part.iov_base = &hello;
    part.iov_len = sizeof hello;
    memset(&message, 0, sizeof message);
    memset(&control, 0, sizeof control);
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &memory, sizeof(int));
    if (sendmsg(lane->fd, &message, MSG_NOSIGNAL) < 0) return -1;
    return 0;
}

/* Connect and share `slots` slots of `slot_bytes` bytes (a multiple of AISLE_PAGE). */
static inline int aisle_lane_connect(aisle_lane *lane, const char *path, uint32_t slots, size_t slot_bytes) {
    struct sockaddr_un address;
    struct timeval limit = {60, 0};
    uint8_t buffer[AISLE_MAX_MESSAGE];
    size_t size = slots * slot_bytes;
    void *mapped;
    int memory;
    memset(lane, 0, sizeof *lane);
    memset(&address, 0, sizeof address);
    lane->fd = -1;
    lane->slots = slots;
    lane->slot_bytes = slot_bytes;
    address.sun_family = AF_UNIX;
    if (strlen(path) >= sizeof address.sun_path) return aisle_fail(lane, AISLE_INVALID, path, "too long for a socket's path");
    strcpy(address.sun_path, path);
    memory = memfd_create("aisle-lane", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (memory < 0) return aisle_fail(lane, AISLE_FAILED, "no memory to share", strerror(errno));
    mapped = MAP_FAILED;
    if (ftruncate(memory, (off_t)size) == 0 && fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0)
        mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    if (mapped == MAP_FAILED) {
        close(memory);
        return aisle_fail(lane, AISLE_FAILED, "no memory to share", strerror(errno));
    }
    lane->memory = (uint8_t *)mapped;
    lane->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    setsockopt(lane->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (lane->fd < 0 || connect(lane->fd, (struct sockaddr *)&address, sizeof address) < 0) {
        aisle_fail(lane, AISLE_FAILED, path, strerror(errno));
        close(memory);
        aisle_lane_close(lane);
        return -1;
    }
    aisle_send_memory(lane, memory);      /* where it fails, the answer, or its absence, tells why */
    close(memory);
    if (aisle_receive(lane, 0, buffer) < 0) {
        aisle_lane_close(lane);
        return -1;
    }
    return 0;
}

/* What tensors a model, or a job's station, takes and gives. */
static inline int aisle_lane_open(aisle_lane *lane, const char *name, aisle_model *model) {
    uint8_t buffer[AISLE_MAX_MESSAGE];
    aisle_head ask = {AISLE_OPEN, 0, 0};
    aisle_answer head;
    int length = (int)strlen(name), at, i;
    ask.number = ++lane->number;
    if (length > 1000) return aisle_fail(lane, AISLE_INVALID, name, "too long for a model's name");
    memcpy(buffer, &ask, sizeof ask);
    memcpy(buffer + sizeof ask, name, (size_t)length);
    if (send(lane->fd, buffer, sizeof ask + (size_t)length, MSG_NOSIGNAL) < 0)
        return aisle_fail(lane, AISLE_FAILED, "the server has closed the lane", strerror(errno));
    length = aisle_receive(lane, ask.number, buffer);
    if (length < 0) return -1;
    memcpy(&head, buffer, sizeof head);
    memset(model, 0, sizeof *model);
    model->handle = (uint32_t)head.value;
    model->max_batch = head.extra;
    for (i = 0, at = sizeof head; i < head.count; i++) {
        aisle_tensor tensor;
        aisle_spec *spec;
        size_t letters;
        memcpy(&tensor, buffer + at, sizeof tensor);
        at += (int)sizeof tensor;
        spec = tensor.flags & AISLE_IS_OUTPUT ? &model->output[model->outputs++] : &model->input[model->inputs++];
        letters = tensor.offset < AISLE_MAX_NAME ? (size_t)tensor.offset : AISLE_MAX_NAME - 1;
        memcpy(spec->name, buffer + at, letters);
        at += (int)tensor.offset;
        spec->dtype = tensor.dtype;
        spec->rank = tensor.rank;
        spec->optional = (tensor.flags & AISLE_IS_OPTIONAL) != 0;
        memcpy(spec->dims, tensor.dims, sizeof spec->dims);
    }
    return 0;
}

/* Ask. `inputs` lie in the slot; all outputs are written behind the last of them, and told in `outputs` (room for
 * AISLE_MAX_TENSORS); lane->variant names the variant that answered. Returns how many came, or -1. `timeout_us` 0: no deadline; `priority` 1 is the highest, 0 none. */
static inline int aisle_lane_infer(aisle_lane *lane, const aisle_model *model, uint32_t slot, const aisle_tensor *inputs,
                                   int count, aisle_tensor *outputs, uint32_t timeout_us, uint32_t priority) {
    uint8_t buffer[AISLE_MAX_MESSAGE];
    aisle_call ask = {AISLE_INFER, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    aisle_answer head;
    size_t told, letters;
    int i, got;
    if (count < 0 || count > AISLE_MAX_TENSORS) return aisle_fail(lane, AISLE_INVALID, "too many inputs", NULL);
    for (i = 0; i < count; i++)
        if (inputs[i].offset + inputs[i].size > ask.room_at) ask.room_at = aisle_aligned(inputs[i].offset + inputs[i].size);
    if (ask.room_at > lane->slot_bytes) return aisle_fail(lane, AISLE_TOO_LARGE, "the inputs do not fit into a slot", NULL);
    ask.count = (uint16_t)count;
    ask.number = ++lane->number;
    ask.timeout_us = timeout_us;
    ask.priority = priority;
    ask.handle = model->handle;
    ask.slot = slot;
    ask.room = lane->slot_bytes - ask.room_at;
    memcpy(buffer, &ask, sizeof ask);
    memcpy(buffer + sizeof ask, inputs, (size_t)count * sizeof *inputs);
    if (send(lane->fd, buffer, sizeof ask + (size_t)count * sizeof *inputs, MSG_NOSIGNAL) < 0)
        return aisle_fail(lane, AISLE_FAILED, "the server has closed the lane", strerror(errno));
    lane->variant[0] = 0;
    got = aisle_receive(lane, ask.number, buffer);
    if (got < 0) return -1;
    memcpy(&head, buffer, sizeof head);
    told = head.count * sizeof *outputs;
    if (head.count > AISLE_MAX_TENSORS || told + head.extra > (size_t)got)
        return aisle_fail(lane, AISLE_FAILED, "the server's answer is not whole", NULL);
    memcpy(outputs, buffer + sizeof head, told);
    letters = head.extra < sizeof lane->variant ? head.extra : sizeof lane->variant - 1;
    memcpy(lane->variant, buffer + sizeof head + told, letters);
    lane->variant[letters] = 0;
    return head.count;
}

#endif
