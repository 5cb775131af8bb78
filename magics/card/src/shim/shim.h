// Runs CUDA kernels on the CPU, for tests: each thread of a block is a fiber, blocks run one after the other.
//
// What hides errors on a card is made to show them here. Threads run in an order that the test chooses (each warp as far
// as it can before the next one, first or last warp first; or shuffled); asynchronous copies happen as late or as early
// as is allowed; memory starts as NaN and ends at a page that faults; a barrier that some threads never reach ends the
// program with a message.
#pragma once
#define CPU_SHIM 1
#include <csetjmp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <math.h>
#include <sys/mman.h>
#include <type_traits>
#include <ucontext.h>
#include <utility>
#include <vector>

namespace shim {

struct Place { unsigned x = 0, y = 0, z = 0; };
enum class State { Ready, AtBlock, AtWarp, AtPhase, Done };
struct Copy { void *into; const void *from; bool there; };
struct Bulk { void *into; const void *from; unsigned bytes; uint64_t *barrier; };
struct Product { float *sums; uint64_t a, b; bool more; float (*number)(uint16_t); };

struct Fiber {
    State state = State::Ready;
    bool started = false;
    jmp_buf jump;
    ucontext_t context;
    void *stack = nullptr;
    unsigned index = 0, collectives = 0;
    std::deque<std::vector<Copy>> groups;
    std::vector<Copy> open;
    const uint64_t *barrier = nullptr; // what it waits for while AtPhase
    unsigned parity = 0;
    std::deque<std::vector<Product>> products;
    std::vector<Product> open_products;
};

struct Warp {
    uint64_t value[2][32];
    const void *address[2][32];
    uint32_t a[2][32][4], b[2][32][2];
};

struct Block {
    std::vector<Fiber> fibers;
    std::vector<Warp> warps;
    jmp_buf scheduler;
    Fiber *running = nullptr;
    void (*body)(void *) = nullptr;
    void *arguments = nullptr;
    unsigned char *dynamic = nullptr;
    unsigned order = 0; // 0 first warp first, copies late; 1 last warp first, copies early; 2.. shuffled
    uint64_t dice = 0;
    std::vector<Bulk> bulk; // copies that are still under way
};

inline Block block;

[[noreturn]] inline void fail(const char *why) {
    std::fprintf(stderr, "shim: %s\n", why);
    std::abort();
}

inline uint64_t roll() {
    block.dice = block.dice * 6364136223846793005ull + 1442695040888963407ull;
    return block.dice >> 33;
}

constexpr size_t PAGE = 4096;
inline size_t whole_pages(size_t bytes) { return (bytes + PAGE - 1) / PAGE * PAGE; }

// Memory that starts as NaN and whose end (16-byte steps) borders on a page that faults.
inline void *allocate(size_t bytes) {
    size_t used = (bytes + 15) / 16 * 16, whole = whole_pages(used);
    auto *base = (unsigned char *)mmap(nullptr, whole + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) return nullptr;
    if (mprotect(base + whole, PAGE, PROT_NONE)) return nullptr;
    std::memset(base, 0xff, whole);
    return base + whole - used;
}

inline void release(void *start, size_t bytes) {
    size_t used = (bytes + 15) / 16 * 16, whole = whole_pages(used);
    munmap((unsigned char *)start + used - whole, whole + PAGE);
}

inline void yield(State state) {
    Fiber *me = block.running;
    me->state = state;
    if (!_setjmp(me->jump)) _longjmp(block.scheduler, 1);
}

inline void enter() {
    block.body(block.arguments);
    block.running->state = State::Done;
    _longjmp(block.scheduler, 1);
}

} // namespace shim

inline shim::Place threadIdx, blockIdx, blockDim, gridDim;

namespace shim {

inline void resume(Fiber &fiber) {
    block.running = &fiber;
    threadIdx.x = fiber.index;
    if (_setjmp(block.scheduler)) return;
    if (fiber.started) _longjmp(fiber.jump, 1);
    fiber.started = true;
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack;
    fiber.context.uc_stack.ss_size = 256 * 1024;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, (void (*)())enter, 0);
    setcontext(&fiber.context);
}

// Whether the phase of this parity has ended at a barrier in shared memory; cards that have such barriers say.
inline bool (*phase_ended)(const uint64_t *barrier, unsigned parity) = nullptr;

// Lets these threads go on if all that have not ended wait at the same kind of barrier.
inline bool open_barrier(size_t first, size_t end, State kind) {
    bool any = false;
    for (size_t i = first; i < end; i++) {
        State state = block.fibers[i].state;
        if (state != State::Done && state != kind) return false;
        any |= state == kind;
    }
    if (!any) return false;
    for (size_t i = first; i < end; i++) {
        if (block.fibers[i].state == State::Done && kind == State::AtWarp) fail("a warp operation misses threads that ended");
        if (block.fibers[i].state == kind) block.fibers[i].state = State::Ready;
    }
    return true;
}

// Lets a warp go on, alone, until all of its threads wait for the block or have ended, or for `steps` of its barriers.
inline bool run_warp(const std::vector<unsigned> &lanes, unsigned first, unsigned steps) {
    bool ran = false;
    for (unsigned step = 0; step < steps; step++) {
        bool now = false;
        for (unsigned lane : lanes) {
            Fiber &fiber = block.fibers[first + lane];
            if (fiber.state == State::AtPhase && phase_ended(fiber.barrier, fiber.parity)) fiber.state = State::Ready;
            if (fiber.state == State::Ready) resume(fiber), now = true;
        }
        now |= open_barrier(first, first + 32, State::AtWarp);
        if (!now) break;
        ran = true;
    }
    return ran;
}

template <class T> void shuffle(std::vector<T> &values) {
    for (size_t i = values.size() - 1; i > 0; i--) std::swap(values[i], values[roll() % (i + 1)]);
}

// Warps run as far ahead of each other as barriers allow, or a random way; lock-step would hide missing barriers.
inline void run_block(unsigned threads) {
    for (unsigned i = 0; i < threads; i++) {
        Fiber &fiber = block.fibers[i];
        fiber.state = State::Ready;
        fiber.started = false;
        fiber.collectives = 0;
        fiber.groups.clear();
        fiber.open.clear();
        fiber.products.clear();
        fiber.open_products.clear();
    }
    block.bulk.clear();
    std::vector<unsigned> warps, lanes;
    for (unsigned w = 0; w < threads; w += 32) warps.push_back(block.order == 1 ? threads - 32 - w : w);
    for (unsigned lane = 0; lane < 32; lane++) lanes.push_back(block.order == 1 ? 31 - lane : lane);
    for (;;) {
        bool ran = false;
        if (block.order >= 2) shuffle(warps), shuffle(lanes);
        for (unsigned first : warps) ran |= run_warp(lanes, first, block.order >= 2 ? 1 + (unsigned)roll() % 16 : ~0u);
        if (!ran && !open_barrier(0, threads, State::AtBlock)) break;
    }
    for (unsigned i = 0; i < threads; i++)
        if (block.fibers[i].state != State::Done) fail("threads of a block wait for each other at different barriers");
}

inline void run_grid(unsigned gx, unsigned gy, unsigned threads, size_t shared) {
    if (threads % 32) fail("a block must be whole warps");
    while (block.fibers.size() < threads) block.fibers.emplace_back();
    for (unsigned i = 0; i < threads; i++) {
        Fiber &fiber = block.fibers[i];
        fiber.index = i;
        if (!fiber.stack) fiber.stack = std::malloc(256 * 1024);
    }
    block.warps.resize(threads / 32);
    // On a card it starts at a multiple of 1024, by which swizzles are counted; who has none gets memory that ends where it
    // faults.
    size_t line = phase_ended ? 1024 : 1, whole = (shared + line - 1) / line * line;
    size_t room = whole + (phase_ended ? line : 0);
    unsigned char *memory = shared ? (unsigned char *)allocate(room) : nullptr;
    unsigned char *dynamic = shared ? memory + room - whole : nullptr;
    blockDim = Place{threads, 1, 1};
    gridDim = Place{gx, gy, 1};
    for (unsigned y = 0; y < gy; y++) {
        for (unsigned x = 0; x < gx; x++) {
            blockIdx = Place{x, y, 0};
            if (shared) std::memset(dynamic, 0xff, shared);
            block.dynamic = dynamic;
            run_block(threads);
        }
    }
    if (shared) release(memory, room);
}

// Calls a kernel with arguments as the CUDA driver takes them: one pointer to each value.
template <class... A, size_t... I> void call(void (*kernel)(A...), void **arguments, std::index_sequence<I...>) {
    kernel(*(std::remove_const_t<A> *)arguments[I]...);
}
template <class... A> void call_all(void (*kernel)(A...), void **arguments) {
    call(kernel, arguments, std::index_sequence_for<A...>());
}

} // namespace shim

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static
#define __align__(n) __attribute__((aligned(n)))
#define DYNAMIC_SHARED(name) unsigned char *name = shim::block.dynamic

inline float __uint_as_float(unsigned bits) { float x; std::memcpy(&x, &bits, 4); return x; }
inline unsigned __float_as_uint(float x) { unsigned bits; std::memcpy(&bits, &x, 4); return bits; }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline void __syncthreads() { shim::yield(shim::State::AtBlock); }
inline void __syncwarp() { shim::yield(shim::State::AtWarp); }

// One area for odd, one for even collectives: a thread that is ahead cannot overwrite what others still read.
inline unsigned shim_turn() { return shim::block.running->collectives++ & 1u; }
inline shim::Warp &shim_warp() { return shim::block.warps[threadIdx.x / 32]; }

template <class T> T __shfl_xor_sync(unsigned mask, T value, unsigned step) {
    if (mask != 0xffffffffu) shim::fail("only whole warps shuffle");
    unsigned turn = shim_turn(), lane = threadIdx.x % 32;
    shim::Warp &warp = shim_warp();
    std::memcpy(&warp.value[turn][lane], &value, sizeof(T));
    __syncwarp();
    std::memcpy(&value, &warp.value[turn][lane ^ step], sizeof(T));
    return value;
}

inline unsigned __match_any_sync(unsigned, unsigned value) {
    unsigned turn = shim_turn(), lane = threadIdx.x % 32, mask = 0;
    shim::Warp &warp = shim_warp();
    warp.value[turn][lane] = value;
    __syncwarp();
    for (unsigned i = 0; i < 32; i++) mask |= (unsigned)(warp.value[turn][i] == value) << i;
    return mask;
}

template <class T> T atomicAdd(T *at, T value) { T old = *at; *at += value; return old; }
template <class T> T atomicMax(T *at, T value) { T old = *at; if (value > old) *at = value; return old; }

struct Piece;
inline void shim_copy(const shim::Copy &copy) {
    if (copy.there) std::memcpy(copy.into, copy.from, 16);
    else std::memset(copy.into, 0, 16);
}

inline void copy_async(Piece *into, const void *from, bool there) {
    shim::Copy copy{into, from, there};
    bool early = shim::block.order == 1 || (shim::block.order >= 2 && shim::roll() % 2);
    if (early) shim_copy(copy);
    else shim::block.running->open.push_back(copy);
}

inline void copy_commit() {
    shim::Fiber *me = shim::block.running;
    me->groups.push_back(std::move(me->open));
    me->open.clear();
}

template <int PENDING> void copy_wait() {
    auto &groups = shim::block.running->groups;
    while (groups.size() > PENDING) {
        for (const shim::Copy &copy : groups.front()) shim_copy(copy);
        groups.pop_front();
    }
}

#include "matrices.h"

// An entry of the list of kernels.
struct Kernel {
    const char *name;
    void (*body)(void *);
};

#define KERNEL(name) {#name, [](void *arguments) { shim::call_all(name, (void **)arguments); }}
