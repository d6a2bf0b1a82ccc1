// Runs a CUDA kernel on the host: the .cu is compiled by g++ as it is, and every thread of every block really runs.
//
// A grid is a loop over blocks. A block whose kernel has no barrier is a loop over threads. With barriers each thread is
// a fiber that runs until __syncthreads, the fibers take turns phase by phase, and a barrier that not every thread of
// the block reaches is an error, as it is undefined on a GPU. Threads of a block never run at the same moment, so this
// proves indices, bounds, arithmetic and phases; it cannot show a data race within a phase.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

#include <functional>
#include <tuple>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __shared__ static
#define __restrict__
#define __launch_bounds__(...)

struct uint3_ {
    unsigned x, y, z;
};
static uint3_ threadIdx, blockIdx, blockDim, gridDim;

template <class T> static T atomicAdd(T* at, T value) { const T before = *at; *at += value; return before; }
template <class T> static T atomicMin(T* at, T value) { const T before = *at; *at = value < before ? value : before; return before; }
template <class T> static T atomicMax(T* at, T value) { const T before = *at; *at = value > before ? value : before; return before; }
template <class T> static T atomicOr(T* at, T value) { const T before = *at; *at |= value; return before; }
template <class T> static T __ldg(const T* at) { return *at; }
static inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
static inline int __popcll(unsigned long long bits) { return __builtin_popcountll(bits); }
static inline int __ffs(int bits) { return __builtin_ffs(bits); }
static inline unsigned __float_as_uint(float value) { unsigned bits; memcpy(&bits, &value, 4); return bits; }
static inline int __float_as_int(float value) { int bits; memcpy(&bits, &value, 4); return bits; }
static inline int __float2int_rn(float value) { return (int)nearbyintf(value); }
// Four signed (or mixed) byte products, added: what the DP4A instruction does.
static inline int __dp4a(int a, int b, int sum) {
    for (int k = 0; k < 4; k++) sum += (int)(int8_t)(a >> 8 * k) * (int8_t)(b >> 8 * k);
    return sum;
}
using std::function;

namespace host {
constexpr size_t STACK = 64 * 1024;
enum { DONE = 0, WRONG_ARGUMENTS = 1, WRONG_SIZE = 2, TORN_BARRIER = 3 };

struct Fiber {
    ucontext_t context;
    uint3_ thread;
    bool ended;
};
static std::vector<Fiber> fibers;
static std::vector<char> stacks;
static ucontext_t scheduler;
static size_t running;
static function<void()> body;

static void enter() {
    body();
    fibers[running].ended = true;
    swapcontext(&fibers[running].context, &scheduler);
}
static void wait() { swapcontext(&fibers[running].context, &scheduler); }

// One block with barriers; false where one was not reached by all.
static bool run_fibers() {
    const size_t count = (size_t)blockDim.x * blockDim.y * blockDim.z;
    fibers.assign(count, Fiber());
    stacks.resize(count * STACK);
    for (size_t k = 0; k < count; k++) {
        Fiber& fiber = fibers[k];
        fiber.thread = {(unsigned)(k % blockDim.x), (unsigned)(k / blockDim.x % blockDim.y), (unsigned)(k / blockDim.x / blockDim.y)};
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = stacks.data() + k * STACK;
        fiber.context.uc_stack.ss_size = STACK;
        makecontext(&fiber.context, enter, 0);
    }
    for (size_t ended = 0; ended < count;) {
        ended = 0;
        for (running = 0; running < count; running++) {
            threadIdx = fibers[running].thread;
            swapcontext(&scheduler, &fibers[running].context);
            ended += fibers[running].ended;
        }
        if (ended && ended < count) return false;
    }
    return true;
}

static void run_threads() {
    for (unsigned z = 0; z < blockDim.z; z++)
        for (unsigned y = 0; y < blockDim.y; y++)
            for (unsigned x = 0; x < blockDim.x; x++) threadIdx = {x, y, z}, body();
}

// The arguments lie in a block as the compiler of a struct would lay them, which is how the driver takes them.
template <class T> static T take(const char* block, size_t* at) {
    *at = (*at + alignof(T) - 1) / alignof(T) * alignof(T);
    T value;
    memcpy(&value, block + *at, sizeof(T));
    *at += sizeof(T);
    return value;
}

template <class... A>
static int launch(void (*kernel)(A...), bool barriers, const unsigned* grid, const unsigned* block, const char* arguments, size_t size) {
    if ((size_t)block[0] * block[1] * block[2] > 1024 || grid[1] > 65535 || grid[2] > 65535 || !grid[0] || !grid[1] || !grid[2]) return WRONG_SIZE;
    size_t at = 0;
    const std::tuple<A...> values{take<A>(arguments, &at)...};
    if (at != size) return WRONG_ARGUMENTS;
    body = [&] { std::apply(kernel, values); };
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {block[0], block[1], block[2]};
    for (unsigned z = 0; z < grid[2]; z++)
        for (unsigned y = 0; y < grid[1]; y++)
            for (unsigned x = 0; x < grid[0]; x++) {
                blockIdx = {x, y, z};
                if (!barriers) run_threads();
                else if (!run_fibers()) return TORN_BARRIER;
            }
    return DONE;
}
}   // namespace host

#define __syncthreads() host::wait()
#define HOST_KERNEL(name, barriers)                                                                                  \
    extern "C" int launch_##name(const unsigned* grid, const unsigned* block, const char* arguments, size_t size) {   \
        return host::launch(name, barriers, grid, block, arguments, size);                                           \
    }
