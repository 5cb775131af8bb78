// Products of tensor cores (PTX ISA, "ldmatrix", "mma"): what lies in whose registers is part of the instruction.
#pragma once

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

// The elements of the fragments by the tables of the PTX ISA ("Matrix fragments for mma.m16n8k8" and "…m16n8k16"):
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

inline void mma(float *d, const unsigned *a, const unsigned *b, unsigned short) { mma(d, a, b); }

// Factors as they stand: tensor cores drop the 13 bits behind those of TF32.
inline void mma(float *d, const unsigned *a, const unsigned *b, float) {
    shim_mma(d, a, b, [](float sum, unsigned x, unsigned y) {
        return sum + __uint_as_float(x & 0xffffe000u) * __uint_as_float(y & 0xffffe000u);
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
