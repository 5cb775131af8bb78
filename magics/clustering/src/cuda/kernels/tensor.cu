// Nearest centroid on the tensor cores (TF32 or bf16), without the n × k matrix, after FlashAssign (arXiv 2603.09229).
//
// A block of eight warps holds 128 rows against 128 centroids; 16-byte pieces flow through a ring of three stages in
// shared memory (XOR-swizzled, so that neither cp.async nor ldmatrix meets a bank conflict) without a pause between
// tiles of centroids. Both formats share the code: a k-step is two pieces, 8 TF32 or 16 bf16 numbers. The scores are
// rounded, hence a row whose second centroid comes nearer than `margin` is put on a list for the f32 kernel.

#define BLOCK_ROWS 128
#define BLOCK_CENTROIDS 128
#define STAGES 3
#define PIECES 8 /* a row of one stage: 32 TF32 or 64 bf16 numbers */
#define STAGE_PIECES ((BLOCK_ROWS + BLOCK_CENTROIDS) * PIECES)

#ifndef CPU_SHIM
static __device__ __forceinline__ void copy_async(Piece *into, const void *from, bool there) {
    u32 address = (u32)__cvta_generic_to_shared(into), bytes = there ? 16u : 0u;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(from), "r"(bytes) : "memory");
}

static __device__ __forceinline__ void copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

template <int PENDING> static __device__ __forceinline__ void copy_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}

static __device__ __forceinline__ void load_matrices(u32 *into, const Piece *from) {
    u32 address = (u32)__cvta_generic_to_shared(from);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(into[0]), "=r"(into[1]), "=r"(into[2]), "=r"(into[3])
                 : "r"(address)
                 : "memory");
}

static __device__ __forceinline__ void mma(float *d, const u32 *a, const u32 *b, float) {
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

static __device__ __forceinline__ void mma(float *d, const u32 *a, const u32 *b, bf16) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#endif

static __device__ __forceinline__ u32 rounded(u32 bits, float) { return to_tf32(bits); }
static __device__ __forceinline__ u32 rounded(u32 bits, bf16) { return bits; }

static __device__ __forceinline__ u32 swizzled(u32 row, u32 piece) { return row * PIECES + (piece ^ (row & 7u)); }

struct Operands {
    const unsigned char *rows;
    const unsigned char *centroids;
    u64 row_bytes;
    u32 n_rows, k, pieces, first_row;
};

// Starts the copies of one stage: pieces `step`·8.. of the block's rows and of the centroids from `first` on.
static __device__ __forceinline__ void load_stage(Piece *stage, const Operands &o, u32 first, u32 step) {
    u32 piece = threadIdx.x % PIECES, at = step * PIECES + piece;
#pragma unroll
    for (u32 line = threadIdx.x / PIECES; line < BLOCK_ROWS; line += 256 / PIECES) {
        u32 row = o.first_row + line;
        bool there = row < o.n_rows && at < o.pieces;
        copy_async(stage + swizzled(line, piece), o.rows + (there ? row * o.row_bytes + at * 16u : 0), there);
    }
#pragma unroll
    for (u32 line = threadIdx.x / PIECES; line < BLOCK_CENTROIDS; line += 256 / PIECES) {
        u32 centroid = first + line;
        bool there = centroid < o.k && at < o.pieces;
        copy_async(stage + BLOCK_ROWS * PIECES + swizzled(line, piece),
                   o.centroids + (there ? centroid * o.row_bytes + at * 16u : 0), there);
    }
}

// A warp multiplies 64 rows with 32 centroids: sums[row tile of 16][centroid tile of 8][4].
template <class T>
static __device__ __forceinline__ void multiply_stage(const Piece *stage, float (*sums)[4][4], u32 row, u32 centroid) {
    u32 lane = threadIdx.x % WARP;
    const Piece *other = stage + BLOCK_ROWS * PIECES;
#pragma unroll
    for (u32 step = 0; step < PIECES / 2; step++) {
        u32 b[4][2];
#pragma unroll
        for (u32 pair = 0; pair < 2; pair++) {
            u32 line = centroid + pair * 16 + lane / 16 * 8 + lane % 8;
            load_matrices(b[pair * 2], other + swizzled(line, step * 2 + lane / 8 % 2));
        }
#pragma unroll
        for (u32 i = 0; i < 4; i++) {
            u32 a[4];
            u32 line = row + i * 16 + lane / 8 % 2 * 8 + lane % 8;
            load_matrices(a, stage + swizzled(line, step * 2 + lane / 16));
#pragma unroll
            for (u32 w = 0; w < 4; w++) a[w] = rounded(a[w], T());
#pragma unroll
            for (u32 j = 0; j < 4; j++) mma(sums[i][j], a, b[j], T());
        }
    }
}

// Takes the finished scores of a tile of centroids; `halves` is padded with infinity up to a whole tile.
static __device__ __forceinline__ void take(float (*sums)[4][4], const float *halves, u32 first, Nearest *best) {
    u32 pair = threadIdx.x % 4 * 2;
#pragma unroll
    for (u32 j = 0; j < 4; j++) {
#pragma unroll
        for (u32 c = 0; c < 2; c++) {
            u32 label = first + j * 8 + pair + c;
            float half = halves[label];
#pragma unroll
            for (u32 i = 0; i < 8; i++) {
                offer(best[i], half - sums[i / 2][j][i % 2 * 2 + c], label);
                sums[i / 2][j][i % 2 * 2 + c] = 0.0f;
            }
        }
    }
}

// The four warps that share rows meet in shared memory; one thread a row merges and writes.
static __device__ __forceinline__ void write_nearest(Nearest *best, Nearest *room, u32 row, u32 quarter, const Operands &o,
                                                     const float *spreads, const float *widest, float tolerance, u32 *labels,
                                                     float *scores, u32 *unsure, u32 *n_unsure) {
    u32 lane = threadIdx.x % WARP;
    __syncthreads();
#pragma unroll
    for (u32 i = 0; i < 8; i++) {
        merge_lanes(best[i], 4);
        if (lane % 4 == 0) room[quarter * BLOCK_ROWS + row + i / 2 * 16 + i % 2 * 8 + lane / 4] = best[i];
    }
    __syncthreads();
    u32 mine = o.first_row + threadIdx.x;
    if (threadIdx.x < BLOCK_ROWS && mine < o.n_rows) {
        Nearest all = room[threadIdx.x];
        for (u32 q = 1; q < 4; q++) {
            Nearest next = room[q * BLOCK_ROWS + threadIdx.x];
            merge(all, next.score, next.second, next.label);
        }
        settle(all, mine, tolerance * spreads[mine] * *widest, labels, scores, unsure, n_unsure);
    }
}

template <class T>
static __device__ __forceinline__ void assign_tensor(Piece *ring, const Operands &o, const float *halves, const float *spreads,
                                                     const float *widest, float tolerance, u32 *labels, float *scores,
                                                     u32 *unsure, u32 *n_unsure) {
    u32 warp = threadIdx.x / WARP, row = warp / 4 * 64, quarter = warp % 4;
    u32 steps = (o.pieces + PIECES - 1) / PIECES;
    u32 total = (o.k + BLOCK_CENTROIDS - 1) / BLOCK_CENTROIDS * steps;
    float sums[4][4][4] = {};
    Nearest best[8];
#pragma unroll
    for (u32 i = 0; i < 8; i++) best[i] = nobody();
    u32 next = 0, next_first = 0, next_step = 0, first = 0, step = 0;
    for (u32 at = 0; at < total + STAGES - 1; at++) {
        if (at >= STAGES - 1) {
            copy_wait<STAGES - 2>();
            __syncthreads();
        }
        if (next < total) load_stage(ring + next % STAGES * STAGE_PIECES, o, next_first, next_step);
        copy_commit();
        next++;
        if (++next_step == steps) next_step = 0, next_first += BLOCK_CENTROIDS;
        if (at < STAGES - 1) continue;
        multiply_stage<T>(ring + (at - (STAGES - 1)) % STAGES * STAGE_PIECES, sums, row, quarter * 32);
        if (++step == steps) {
            take(sums, halves, first + quarter * 32, best);
            step = 0, first += BLOCK_CENTROIDS;
        }
    }
    copy_wait<0>();
    write_nearest(best, (Nearest *)ring, row, quarter, o, spreads, widest, tolerance, labels, scores, unsure, n_unsure);
}

extern "C" __global__ void __launch_bounds__(256, 2)
    assign_tensor_f32(const float *x, const float *centroids, const float *halves, const float *spreads, const float *widest,
                      float tolerance, u32 rows, u32 k, u32 ld, u32 *labels, float *scores, u32 *unsure, u32 *n_unsure) {
    DYNAMIC_SHARED(ring);
    Operands o{(const unsigned char *)x, (const unsigned char *)centroids, (u64)ld * 4, rows, k, ld / 4,
               blockIdx.x * BLOCK_ROWS};
    assign_tensor<float>((Piece *)ring, o, halves, spreads, widest, tolerance, labels, scores, unsure, n_unsure);
}

extern "C" __global__ void __launch_bounds__(256, 2)
    assign_tensor_bf16(const bf16 *x, const bf16 *centroids, const float *halves, const float *spreads, const float *widest,
                       float tolerance, u32 rows, u32 k, u32 ld, u32 *labels, float *scores, u32 *unsure, u32 *n_unsure) {
    DYNAMIC_SHARED(ring);
    Operands o{(const unsigned char *)x, (const unsigned char *)centroids, (u64)ld * 2, rows, k, ld / 8,
               blockIdx.x * BLOCK_ROWS};
    assign_tensor<bf16>((Piece *)ring, o, halves, spreads, widest, tolerance, labels, scores, unsure, n_unsure);
}
