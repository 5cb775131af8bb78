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
enum class State { Ready, AtBlock, AtWarp, Done };
struct Copy { void *into; const void *from; bool there; };

struct Fiber {
    State state = State::Ready;
    bool started = false;
    jmp_buf jump;
    ucontext_t context;
    void *stack = nullptr;
    unsigned index = 0, collectives = 0;
    std::deque<std::vector<Copy>> groups;
    std::vector<Copy> open;
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
    }
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
    unsigned char *dynamic = shared ? (unsigned char *)allocate(shared) : nullptr;
    blockDim = Place{threads, 1, 1};
    gridDim = Place{gx, gy, 1};
    for (unsigned y = 0; y < gy; y++) {
        for (unsigned x = 0; x < gx; x++) {
            blockIdx = Place{x, y, 0};
            if (dynamic) std::memset(dynamic, 0xff, shared);
            block.dynamic = dynamic;
            run_block(threads);
        }
    }
    if (dynamic) release(dynamic, shared);
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

// ldmatrix.x4 (PTX ISA, "ldmatrix"): lanes 8·m .. 8·m+7 give the rows of matrix m; lane l gets word l % 4 of row l / 4.
inline void load_matrices(unsigned *into, const Piece *from) {
    unsigned turn = shim_turn(), lane = threadIdx.x % 32;
    shim::Warp &warp = shim_warp();
    warp.address[turn][lane] = from;
    if ((uintptr_t)from % 16) shim::fail("a row of a matrix does not stand on 16 bytes");
    __syncwarp();
    for (unsigned m = 0; m < 4; m++) {
        const auto *row = (const unsigned char *)warp.address[turn][m * 8 + lane / 4];
        std::memcpy(into + m, row + lane % 4 * 4, 4);
    }
    __syncwarp();
}

// ldmatrix.x4.trans: as above, with each matrix transposed, so that a lane gets column l / 4 of rows 2·(l % 4) and the next.
inline void load_transposed(unsigned *into, const Piece *from) {
    unsigned turn = shim_turn(), lane = threadIdx.x % 32;
    shim::Warp &warp = shim_warp();
    warp.address[turn][lane] = from;
    if ((uintptr_t)from % 16) shim::fail("a row of a matrix does not stand on 16 bytes");
    __syncwarp();
    for (unsigned m = 0; m < 4; m++) {
        unsigned short pair[2];
        for (unsigned i = 0; i < 2; i++) {
            const auto *row = (const unsigned char *)warp.address[turn][m * 8 + lane % 4 * 2 + i];
            std::memcpy(pair + i, row + lane / 4 * 2, 2);
        }
        std::memcpy(into + m, pair, 4);
    }
    __syncwarp();
}

// The elements of the fragments by the tables of the PTX ISA ("Matrix fragments for mma.m16n8k16"):
// word r of A stands at row lane / 4 + 8·(r % 2), word column lane % 4 + 4·(r / 2); word r of B at word row
// lane % 4 + 4·r, column lane / 4; C and D at row lane / 4 + 8·(r / 2), column 2·(lane % 4) + r % 2.
template <class DOT> void shim_mma(float *d, const unsigned *a, const unsigned *b, DOT dot) {
    unsigned turn = shim_turn(), lane = threadIdx.x % 32;
    shim::Warp &warp = shim_warp();
    std::memcpy(warp.a[turn][lane], a, 16);
    std::memcpy(warp.b[turn][lane], b, 8);
    __syncwarp();
    for (unsigned r = 0; r < 4; r++) {
        unsigned row = lane / 4 + 8 * (r / 2), column = 2 * (lane % 4) + r % 2;
        for (unsigned word = 0; word < 8; word++) {
            unsigned left = warp.a[turn][row % 8 * 4 + word % 4][row / 8 + word / 4 * 2];
            unsigned right = warp.b[turn][column * 4 + word % 4][word / 4];
            d[r] = dot(d[r], left, right);
        }
    }
}

inline void mma(float *d, const unsigned *a, const unsigned *b) {
    shim_mma(d, a, b, [](float sum, unsigned x, unsigned y) {
        sum += __uint_as_float(x << 16) * __uint_as_float(y << 16);
        return sum + __uint_as_float(x & 0xffff0000u) * __uint_as_float(y & 0xffff0000u);
    });
}

// Round to nearest with 10 bits behind the point, ties away from zero, as cvt.rna.tf32.f32.
inline unsigned to_tf32(float x) { return (__float_as_uint(x) + 0x1000u) & 0xffffe000u; }

// The fragments of m16n8k8 stand as those of m16n8k16, with a number where that has a pair.
inline void mma_tf32(float *d, const unsigned *a, const unsigned *b) {
    shim_mma(d, a, b, [](float sum, unsigned x, unsigned y) {
        if ((x | y) & 0x1fffu) shim::fail("a factor was not rounded to TF32");
        return sum + __uint_as_float(x) * __uint_as_float(y);
    });
}

// An entry of the list of kernels.
struct Kernel {
    const char *name;
    void (*body)(void *);
};

#define KERNEL(name) {#name, [](void *arguments) { shim::call_all(name, (void **)arguments); }}
