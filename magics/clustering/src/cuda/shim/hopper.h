// What only Hopper has: barriers in shared memory, bulk copies, products of a warpgroup (PTX ISA, "mbarrier",
// "cp.async.bulk", "wgmma").
//
// Copies and products happen as late as is allowed, or at once: a stage that is filled again before its products have
// been waited for gives wrong numbers here, too.
#pragma once

namespace shim {

// A barrier: arrivals that are still missing in this phase, how many a phase has, bytes that are still missing, the phase.
struct Barrier { uint16_t missing, arrivals; int32_t bytes : 31; uint32_t phase : 1; };
static_assert(sizeof(Barrier) == 8);

inline Barrier read(const uint64_t *at) { Barrier barrier; std::memcpy(&barrier, at, 8); return barrier; }

inline void update(uint64_t *at, Barrier barrier) {
    if (barrier.missing == 0 && barrier.bytes == 0) barrier.phase ^= 1, barrier.missing = barrier.arrivals;
    std::memcpy(at, &barrier, 8);
}

inline void deliver(const Bulk &copy) {
    std::memcpy(copy.into, copy.from, copy.bytes);
    Barrier barrier = read(copy.barrier);
    barrier.bytes -= (int)copy.bytes;
    update(copy.barrier, barrier);
}

// Whether the phase of this parity has ended; the copies that it waits for arrive now.
inline bool hopper_phase_ended(const uint64_t *barrier, unsigned parity) {
    for (size_t i = 0; i < block.bulk.size();) {
        if (block.bulk[i].barrier != barrier) { i++; continue; }
        deliver(block.bulk[i]);
        block.bulk.erase(block.bulk.begin() + (long)i);
    }
    return read(barrier).phase != parity;
}

const bool HAS_PHASES = (phase_ended = hopper_phase_ended, true);

inline float from_f16(uint16_t bits) { _Float16 x; std::memcpy(&x, &bits, 2); return (float)x; }
inline float from_bf16(uint16_t bits) { return __uint_as_float((unsigned)bits << 16); }

} // namespace shim

#define DYNAMIC_SHARED_LINES(name) DYNAMIC_SHARED(name)
inline unsigned shared_address(const void *at) { return (unsigned)((const unsigned char *)at - shim::block.dynamic); }

inline void barrier_start(uint64_t *at, unsigned arrivals) {
    shim::Barrier barrier{(uint16_t)arrivals, (uint16_t)arrivals, 0, 0};
    std::memcpy(at, &barrier, 8);
}
inline void barrier_start(unsigned long long *at, unsigned arrivals) { barrier_start((uint64_t *)at, arrivals); }

inline void barrier_arrive(unsigned long long *at) {
    shim::Barrier barrier = shim::read((uint64_t *)at);
    if (barrier.missing == 0) shim::fail("more threads arrive at a barrier than it has");
    barrier.missing--;
    shim::update((uint64_t *)at, barrier);
}

inline void barrier_expect(unsigned long long *at, unsigned bytes) {
    shim::Barrier barrier = shim::read((uint64_t *)at);
    barrier.bytes += (int)bytes;
    std::memcpy(at, &barrier, 8);
    barrier_arrive(at);
}

inline void barrier_wait(unsigned long long *at, unsigned parity) {
    while (!shim::hopper_phase_ended((uint64_t *)at, parity)) {
        shim::block.running->barrier = (uint64_t *)at;
        shim::block.running->parity = parity;
        shim::yield(shim::State::AtPhase);
    }
}

inline void copy_bulk(Piece *into, const void *from, unsigned bytes, unsigned long long *barrier) {
    if ((uintptr_t)into % 16 || (uintptr_t)from % 16 || bytes % 16) shim::fail("a bulk copy does not stand on 16 bytes");
    shim::Bulk copy{into, from, bytes, (uint64_t *)barrier};
    bool early = shim::block.order == 1 || (shim::block.order >= 2 && shim::roll() % 2);
    if (early) shim::deliver(copy);
    else shim::block.bulk.push_back(copy);
}

inline void show_writes() {}
inline void __threadfence_block() {}
// These are instructions of whole warps: no lane goes on before the others are there.
inline void products_begin(float *) { __syncwarp(); }

// The number at a line and a column of a matrix that a descriptor tells of. The swizzle XORs bits of the address itself.
inline float shim_number(uint64_t matrix, unsigned line, unsigned column, float (*number)(uint16_t)) {
    if (matrix >> 62 != 1 || (matrix >> 32 & 0x3fff) != 1024 / 16) shim::fail("a matrix stands as no line of ours does");
    unsigned at = (unsigned)(matrix & 0x3fff) * 16 + line * 128 + column * 2;
    at ^= (at >> 7 & 7) << 4;
    uint16_t bits;
    std::memcpy(&bits, shim::block.dynamic + at, 2);
    return number(bits);
}

inline void shim_product(const shim::Product &p) {
    unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32 % 4;
    for (unsigned i = 0; i < 64; i++) {
        unsigned row = warp * 16 + i / 2 % 2 * 8 + lane / 4, column = i / 4 * 8 + lane % 4 * 2 + i % 2;
        float sum = p.more ? p.sums[i] : 0.0f;
        for (unsigned at = 0; at < 16; at++) sum += shim_number(p.a, row, at, p.number) * shim_number(p.b, column, at, p.number);
        p.sums[i] = sum;
    }
}

inline void shim_product(const shim::Product &p, bool early) {
    if (early) shim_product(p);
    else shim::block.running->open_products.push_back(p);
}

inline void product(float *sums, uint64_t a, uint64_t b, bool more, float) {
    shim_product({sums, a, b, more, shim::from_f16}, shim::block.order == 1);
}

inline void product(float *sums, uint64_t a, uint64_t b, bool more, unsigned short) {
    shim_product({sums, a, b, more, shim::from_bf16}, shim::block.order == 1);
}

inline void products_end() {
    shim::Fiber *me = shim::block.running;
    me->products.push_back(std::move(me->open_products));
    me->open_products.clear();
}

template <int PENDING> void products_wait(float *) {
    __syncwarp();
    auto &groups = shim::block.running->products;
    while (groups.size() > PENDING) {
        for (const shim::Product &p : groups.front()) shim_product(p);
        groups.pop_front();
    }
    __syncwarp();
}

inline unsigned to_f16_pair(float low, float high) {
    _Float16 pair[2] = {(_Float16)low, (_Float16)high};
    unsigned bits;
    std::memcpy(&bits, pair, 4);
    return bits;
}
