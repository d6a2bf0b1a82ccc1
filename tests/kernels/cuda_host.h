// Runs a CUDA kernel on the host: the .cu is compiled by g++ as it is, and every thread of every block really runs.
//
// A grid is a loop over blocks, a block a loop over threads, run by a fiber. A thread that comes to __syncthreads keeps
// that fiber, and the next thread begins in another; then they take turns phase by phase. A barrier that not every thread
// of the block reaches is an error, as it is undefined on a GPU. Threads of a block never run at the same moment, so this
// proves indices, bounds, arithmetic and phases; it cannot show a data race within a phase.
#pragma once
#include <math.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

#include <functional>
#include <memory>
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
static inline float __uint_as_float(unsigned bits) { float value; memcpy(&value, &bits, 4); return value; }
static inline int __float2int_rn(float value) { return (int)nearbyintf(value); }
// Four signed (or mixed) byte products, added: what the DP4A instruction does.
static inline int __dp4a(int a, int b, int sum) {
    for (int k = 0; k < 4; k++) sum += (int)(int8_t)(a >> 8 * k) * (int8_t)(b >> 8 * k);
    return sum;
}
using std::function;

namespace host {
constexpr size_t STACK = 64 * 1024;
static bool waited;      // whether the thread that ran last stopped at a barrier
enum { DONE = 0, WRONG_ARGUMENTS = 1, WRONG_SIZE = 2, TORN_BARRIER = 3 };

struct Fiber {
    jmp_buf context;
    size_t thread;
    bool ended;
};
static std::vector<Fiber> fibers;
static std::vector<std::unique_ptr<char[]>> stacks;
static jmp_buf scheduler;
static size_t running, begun, threads;
static function<void()> body;

static void become(size_t thread) {
    fibers[running].thread = thread;
    threadIdx = {(unsigned)(thread % blockDim.x), (unsigned)(thread / blockDim.x % blockDim.y), (unsigned)(thread / blockDim.x / blockDim.y)};
}
// Between two stacks by _longjmp, which makes no system call; a fiber's first step is swapcontext's, in begin_fiber.
static void leave() { if (!_setjmp(fibers[running].context)) _longjmp(scheduler, 1); }
static void resume() { if (!_setjmp(scheduler)) _longjmp(fibers[running].context, 1); }

// Run threads until one of them has been through a barrier, or all have begun.
static void enter() {
    while (begun < threads) {
        const size_t mine = begun++;
        become(mine);
        body();
        if (waited) break;
    }
    fibers[running].ended = true;
    leave();
}
static void wait() {
    waited = true;
    leave();
}
static void begin_fiber() {
    if (stacks.size() <= running) stacks.emplace_back(new char[STACK]);
    ucontext_t here, there;
    getcontext(&there);
    there.uc_stack.ss_sp = stacks[running].get();
    there.uc_stack.ss_size = STACK;
    makecontext(&there, enter, 0);
    if (!_setjmp(scheduler)) swapcontext(&here, &there);
}

// One block; false where a barrier was not reached by all of its threads.
static bool run_block() {
    threads = (size_t)blockDim.x * blockDim.y * blockDim.z, begun = 0;
    fibers.assign(threads, Fiber());
    size_t held = 0;
    for (; begun < threads; held++) {            // up to the first barrier, or the end
        waited = false;
        running = held;
        begin_fiber();
        if (waited && begun != held + 1) return false;    // threads before this one have ended without it
    }
    if (!waited) return held == 1;               // no barrier at all; or the last thread ended and others wait
    for (size_t ended = 0; ended < held;) {
        ended = 0;
        for (running = 0; running < held; running++) {
            become(fibers[running].thread);
            resume();
            ended += fibers[running].ended;
        }
        if (ended && ended < held) return false;
    }
    return true;
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
static size_t block_size(void (*)(A...)) {
    size_t at = 0;
    ((at = (at + alignof(A) - 1) / alignof(A) * alignof(A) + sizeof(A)), ...);
    return at;
}

template <class... A>
static int launch(void (*kernel)(A...), const unsigned* grid, const unsigned* block, const char* arguments, size_t size) {
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
                if (!run_block()) return TORN_BARRIER;
            }
    return DONE;
}
}   // namespace host

#define __syncthreads() host::wait()
#define HOST_KERNEL(name)                                                                                            \
    extern "C" int launch_##name(const unsigned* grid, const unsigned* block, const char* arguments, size_t size) {   \
        return host::launch(name, grid, block, arguments, size);                                                     \
    }                                                                                                                \
    extern "C" size_t arguments_##name() { return host::block_size(name); }
