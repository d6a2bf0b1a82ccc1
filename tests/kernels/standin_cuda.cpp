// A libcuda.so.1 without a GPU: as much of the driver's C interface as pycuda and this project use. "Device" memory is
// host memory between pages that nobody may touch, a module is a .so that cuda_host.h made of a .cu, and a launch runs it.
//
// It is stricter than a device where that finds mistakes. A stream's work is not begun before somebody waits for it, so a
// missing wait shows; streams do not wait for each other; memory comes filled with 0xCD; a kernel that touches memory
// which is not its, or ends in a torn barrier, loses the context, and then every call fails as on a device. What is not
// here returns 801 (not supported), by stubs that check_pycuda.py makes of what pycuda links.
#include <dlfcn.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#define API extern "C" __attribute__((visibility("default"))) int
typedef unsigned long long Address;
enum {
    FINE = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NO_DEVICE = 100, INVALID_DEVICE = 101, INVALID_IMAGE = 200,
    INVALID_CONTEXT = 201, NOT_FOUND = 500, NOT_READY = 600, ILLEGAL_ADDRESS = 700, LAUNCH_FAILED = 719, NOT_SUPPORTED = 801
};
enum { GUARD = 64, FILL = 0xCD, MOST_WAITING = 4096 };
static const size_t ROOM = 4ull << 30, CLOSED = 1 << 20;

struct Block {
    char* pages;      // CLOSED bytes that nobody may touch, the values up to a page's end, and CLOSED bytes more
    size_t mapped, size;
};
struct Stream {
    std::deque<std::function<int()>> waiting;
};
struct Event {
    Stream* stream;
    double ms;
    bool recorded;
};
struct Function {
    int (*launch)(const unsigned*, const unsigned*, const char*, size_t);
    size_t (*size)();
};

static std::recursive_mutex lock;
static std::map<Address, Block> blocks;
static std::set<Stream*> streams;
static Stream legacy;
static std::deque<Function> functions;
static size_t used;
static int lost;                                  // the error that cost the context
static thread_local std::vector<void*> contexts;
static char primary;

#define ENTER                                               \
    std::lock_guard<std::recursive_mutex> held(lock);       \
    if (lost) return lost;
#define ENTER_WITH_CONTEXT                                  \
    ENTER if (contexts.empty()) return INVALID_CONTEXT;

static size_t page() { return (size_t)sysconf(_SC_PAGESIZE); }
// Aligned to 16 bytes, so a read of up to 15 bytes beyond the end goes unnoticed; a write does not, see intact.
static char* start_of(const Block& b) { return b.pages + b.mapped - CLOSED - (b.size + 15) / 16 * 16; }

// Whether `size` bytes from there on lie within one allocation.
static bool owned(Address at, size_t size) {
    auto found = blocks.upper_bound(at);
    if (found == blocks.begin()) return false;
    --found;
    return at + size <= found->first + found->second.size;
}

// Whether nobody has written into what lies between an allocation's values and its closed pages.
static bool intact() {
    for (auto& [at, block] : blocks) {
        const char *first = (char*)at, *last = block.pages + block.mapped - CLOSED;
        for (const char* p = first - GUARD; p < first; p++) if ((unsigned char)*p != FILL) return false;
        for (const char* p = first + block.size; p < last; p++) if ((unsigned char)*p != FILL) return false;
    }
    return true;
}

static sigjmp_buf stopped;
static void stop(int) { siglongjmp(stopped, 1); }

// Run a kernel; a touch of a closed page ends it.
static int guarded(const std::function<int()>& kernel) {
    struct sigaction mine = {}, segv, bus;
    mine.sa_handler = stop;
    mine.sa_flags = SA_NODEFER;
    sigaction(SIGSEGV, &mine, &segv), sigaction(SIGBUS, &mine, &bus);
    const int code = sigsetjmp(stopped, 1) ? -1 : kernel();
    sigaction(SIGSEGV, &segv, 0), sigaction(SIGBUS, &bus, 0);
    if (code < 0 || !intact()) return ILLEGAL_ADDRESS;
    return code ? LAUNCH_FAILED : FINE;
}

static int drain(Stream* stream) {
    while (!lost && !stream->waiting.empty()) {
        const std::function<int()> work = std::move(stream->waiting.front());
        stream->waiting.pop_front();
        lost = work();
    }
    return lost;
}
static int drain_all() {
    drain(&legacy);
    for (Stream* stream : streams) drain(stream);
    return lost;
}
static int later(void* stream, std::function<int()> work) {
    Stream* on = stream ? (Stream*)stream : &legacy;
    if (on != &legacy && !streams.count(on)) return INVALID_VALUE;
    on->waiting.push_back(std::move(work));
    return on->waiting.size() > MOST_WAITING ? drain(on) : FINE;
}
static double now_ms() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e3 + t.tv_nsec * 1e-6;
}

// ---- the device and its context

API cuInit(unsigned) { return FINE; }
API cuDriverGetVersion(int* version) { return *version = 13000, FINE; }
API cuDeviceGetCount(int* count) { return *count = 1, FINE; }
API cuDeviceGet(int* device, int number) { return number ? INVALID_DEVICE : (*device = 0, FINE); }
API cuDeviceGetName(char* name, int size, int) { return snprintf(name, size, "stand-in on the host, no GPU"), FINE; }
API cuDeviceTotalMem_v2(size_t* size, int) { return *size = ROOM, FINE; }
API cuDeviceComputeCapability(int* major, int* minor, int) { return *major = 0, *minor = 0, FINE; }
API cuDeviceGetAttribute(int* value, int attribute, int) {
    static const std::map<int, int> known = {{1, 1024}, {2, 1024}, {3, 1024}, {4, 64}, {5, 2147483647}, {6, 65535}, {7, 65535},
                                             {8, 49152}, {10, 32}, {16, 1}, {75, 0}, {76, 0}};
    auto found = known.find(attribute);
    return *value = found == known.end() ? 0 : found->second, FINE;
}
API cuDevicePrimaryCtxRetain(void** context, int) { return *context = &primary, FINE; }
API cuDevicePrimaryCtxRelease_v2(int) { return FINE; }
API cuCtxPushCurrent_v2(void* context) { return context == &primary ? (contexts.push_back(context), FINE) : INVALID_CONTEXT; }
API cuCtxPopCurrent_v2(void** context) {
    if (contexts.empty()) return INVALID_CONTEXT;
    if (context) *context = contexts.back();
    contexts.pop_back();
    return FINE;
}
API cuCtxAttach(void** context, unsigned) { return contexts.empty() ? INVALID_CONTEXT : (*context = contexts.back(), FINE); }
API cuCtxDetach(void*) { return FINE; }
API cuCtxGetDevice(int* device) { return contexts.empty() ? INVALID_CONTEXT : (*device = 0, FINE); }
API cuCtxSynchronize() { ENTER_WITH_CONTEXT return drain_all(); }

API cuGetErrorString(int error, const char** text) {
    static const std::map<int, const char*> known = {
        {INVALID_VALUE, "invalid argument"}, {OUT_OF_MEMORY, "out of memory"}, {INVALID_DEVICE, "invalid device ordinal"},
        {INVALID_IMAGE, "device kernel image is invalid"}, {INVALID_CONTEXT, "invalid device context"},
        {NOT_FOUND, "named symbol not found"}, {ILLEGAL_ADDRESS, "an illegal memory access was encountered"},
        {NOT_READY, "device not ready"}, {LAUNCH_FAILED, "unspecified launch failure"}, {NOT_SUPPORTED, "operation not supported"}};
    auto found = known.find(error);
    return *text = found == known.end() ? "unrecognized error code" : found->second, FINE;
}

// ---- memory

API cuMemAlloc_v2(Address* at, size_t size) {
    ENTER_WITH_CONTEXT
    if (!size) return INVALID_VALUE;
    if (used + size > ROOM) return OUT_OF_MEMORY;
    const size_t inner = (size + GUARD + 15 + page() - 1) / page() * page(), mapped = inner + 2 * CLOSED;
    char* pages = (char*)mmap(0, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED) return OUT_OF_MEMORY;
    if (mprotect(pages + CLOSED, inner, PROT_READ | PROT_WRITE)) return munmap(pages, mapped), OUT_OF_MEMORY;
    memset(pages + CLOSED, FILL, inner);
    const Block made = {pages, mapped, size};
    *at = (Address)start_of(made);
    blocks[*at] = made;
    used += size;
    return FINE;
}
// As on a device, what was started is over before memory is given back.
API cuMemFree_v2(Address at) {
    ENTER
    auto found = blocks.find(at);
    if (found == blocks.end()) return INVALID_VALUE;
    drain_all();
    munmap(found->second.pages, found->second.mapped);
    used -= found->second.size;
    blocks.erase(found);
    return lost;
}
// Pinned memory is an allocation that the host may touch too; here that is any.
API cuMemHostAlloc(void** at, size_t size, unsigned) { return cuMemAlloc_v2((Address*)at, size); }
API cuMemFreeHost(void* at) { return cuMemFree_v2((Address)at); }
API cuMemHostGetDevicePointer_v2(Address* there, void* at, unsigned) {
    ENTER_WITH_CONTEXT
    return owned((Address)at, 1) ? (*there = (Address)at, FINE) : INVALID_VALUE;
}
API cuMemGetInfo_v2(size_t* free, size_t* total) { return *total = ROOM, *free = ROOM - used, FINE; }

API cuMemcpyHtoDAsync_v2(Address to, const void* from, size_t size, void* stream) {
    ENTER_WITH_CONTEXT
    if (!owned(to, size)) return INVALID_VALUE;
    if (owned((Address)from, size))      // pinned memory is read when the stream comes to it: too late for who changed it
        return later(stream, [=] { return owned(to, size) && owned((Address)from, size)
                                              ? (memcpy((void*)to, from, size), FINE) : ILLEGAL_ADDRESS; });
    const std::string taken((const char*)from, size);    // pageable memory is staged before the call returns
    return later(stream, [=] { return owned(to, size) ? (memcpy((void*)to, taken.data(), size), FINE) : ILLEGAL_ADDRESS; });
}
API cuMemcpyDtoHAsync_v2(void* to, Address from, size_t size, void* stream) {
    ENTER_WITH_CONTEXT
    if (!owned(from, size)) return INVALID_VALUE;
    return later(stream, [=] { return owned(from, size) ? (memcpy(to, (void*)from, size), FINE) : ILLEGAL_ADDRESS; });
}
API cuMemcpyDtoDAsync_v2(Address to, Address from, size_t size, void* stream) {
    ENTER_WITH_CONTEXT
    if (!owned(to, size) || !owned(from, size)) return INVALID_VALUE;
    return later(stream, [=] { return memmove((void*)to, (void*)from, size), FINE; });
}
API cuMemcpyHtoD_v2(Address to, const void* from, size_t size) {
    const int error = cuMemcpyHtoDAsync_v2(to, from, size, 0);
    return error ? error : cuCtxSynchronize();
}
API cuMemcpyDtoH_v2(void* to, Address from, size_t size) {
    ENTER_WITH_CONTEXT
    drain_all();
    const int error = cuMemcpyDtoHAsync_v2(to, from, size, 0);
    return error ? error : drain_all();
}
API cuMemsetD8Async(Address at, unsigned char value, size_t size, void* stream) {
    ENTER_WITH_CONTEXT
    if (!owned(at, size)) return INVALID_VALUE;
    return later(stream, [=] { return memset((void*)at, value, size), FINE; });
}

// ---- streams and events

API cuStreamCreate(void** stream, unsigned) {
    ENTER_WITH_CONTEXT
    Stream* made = new Stream;
    streams.insert(made);
    return *stream = made, FINE;
}
API cuStreamDestroy_v2(void* stream) {
    ENTER
    if (!streams.count((Stream*)stream)) return INVALID_VALUE;
    drain((Stream*)stream);
    streams.erase((Stream*)stream);
    delete (Stream*)stream;
    return lost;
}
API cuStreamSynchronize(void* stream) {
    ENTER_WITH_CONTEXT
    if (!stream) return drain_all();
    return streams.count((Stream*)stream) ? drain((Stream*)stream) : INVALID_VALUE;
}
API cuStreamQuery(void* stream) {
    ENTER_WITH_CONTEXT
    return (stream ? (Stream*)stream : &legacy)->waiting.empty() ? FINE : NOT_READY;
}
API cuEventCreate(void** event, unsigned) { return *event = new Event{0, 0, false}, FINE; }
API cuEventDestroy_v2(void* event) {
    ENTER
    drain_all();
    delete (Event*)event;
    return lost;
}
API cuEventRecord(void* event, void* stream) {
    ENTER_WITH_CONTEXT
    Event* e = (Event*)event;
    e->stream = stream ? (Stream*)stream : &legacy, e->recorded = false;
    return later(stream, [e] { return e->ms = now_ms(), e->recorded = true, FINE; });
}
API cuEventSynchronize(void* event) { ENTER_WITH_CONTEXT Event* e = (Event*)event; return e->stream ? drain(e->stream) : FINE; }
API cuEventQuery(void* event) { ENTER_WITH_CONTEXT Event* e = (Event*)event; return !e->stream || e->recorded ? FINE : NOT_READY; }
API cuEventElapsedTime_v2(float* ms, void* first, void* last) {
    return *ms = (float)(((Event*)last)->ms - ((Event*)first)->ms), FINE;
}
API cuStreamWaitEvent(void* stream, void* event, unsigned) {
    ENTER_WITH_CONTEXT
    Event* e = (Event*)event;
    return later(stream, [e] { return e->stream && !e->recorded ? drain(e->stream) : FINE; });
}

// ---- modules and launches

API cuModuleLoad(void** module, const char* path) {
    ENTER_WITH_CONTEXT
    void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) fprintf(stderr, "the stand-in for libcuda cannot load %s: %s\n", path, dlerror());
    return *module = library, library ? FINE : INVALID_IMAGE;
}
API cuModuleUnload(void* module) {
    ENTER
    drain_all();
    return dlclose(module) ? INVALID_VALUE : lost;
}
API cuModuleGetFunction(void** function, void* module, const char* name) {
    ENTER_WITH_CONTEXT
    const std::string called = name;
    const Function found = {(int (*)(const unsigned*, const unsigned*, const char*, size_t))dlsym(module, ("launch_" + called).c_str()),
                            (size_t(*)())dlsym(module, ("arguments_" + called).c_str())};
    if (!found.launch || !found.size) return NOT_FOUND;
    functions.push_back(found);      // kept: a handle is good for as long as its module
    return *function = &functions.back(), FINE;
}
API cuFuncGetAttribute(int* value, int, void*) { return *value = 0, FINE; }
API cuFuncSetBlockShape(void*, int x, int y, int z) { return x > 0 && y > 0 && z > 0 && x * y * z <= 1024 ? FINE : INVALID_VALUE; }

API cuLaunchKernel(void* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned x, unsigned y, unsigned z, unsigned,
                   void* stream, void** parameters, void** extra) {
    ENTER_WITH_CONTEXT
    if (parameters || !extra) return NOT_SUPPORTED;
    if (!grid_x || !grid_y || !grid_z || grid_y > 65535 || grid_z > 65535 || !x || !y || !z || z > 64 || (uint64_t)x * y * z > 1024)
        return INVALID_VALUE;
    std::string arguments;
    const char* from = 0;
    size_t size = 0;
    for (; *extra; extra += 2) {     // 1: the block's address, 2: its size
        if ((uintptr_t)*extra == 1) from = (const char*)extra[1];
        else if ((uintptr_t)*extra == 2) size = *(const size_t*)extra[1];
    }
    const Function* f = (const Function*)function;
    if (size != f->size()) return INVALID_VALUE;
    if (size) arguments.assign(from, size);
    return later(stream, [=] {
        const unsigned grid[3] = {grid_x, grid_y, grid_z}, block[3] = {x, y, z};
        return guarded([&] { return f->launch(grid, block, arguments.data(), arguments.size()); });
    });
}
