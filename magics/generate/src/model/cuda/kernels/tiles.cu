// Attention of many rows of one sequence over a paged cache, on the tensor cores (bf16, sums in f32), after
// FlashAttention-2 (Dao 2023): one block of four warps for 64 queries, that is for the rows of a stretch times the query
// heads that share a key-value head.
//
// Pages flow through two stages in shared memory: while one page is multiplied, the next is copied. The pieces of the keys
// stand there as in the cache, and rows of values are padded by a piece, so that ldmatrix meets no bank conflict. Rows
// that are not there repeat the last one, and are not written.

#define TILE_ROWS 64
#define TILE_WARPS 4
#define TILE_THREADS (TILE_WARPS * WARP)
#define LOG2_E 1.4426950409f /* powers of 2 are cheaper than those of e */

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

static __device__ __forceinline__ void load_transposed(u32 *into, const Piece *from) {
    u32 address = (u32)__cvta_generic_to_shared(from);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(into[0]), "=r"(into[1]), "=r"(into[2]), "=r"(into[3])
                 : "r"(address)
                 : "memory");
}

static __device__ __forceinline__ void mma(float *d, const u32 *a, const u32 *b) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#endif

struct Stretch {
    u32 row;      // first of the packed rows
    u32 n;        // rows
    u32 pages;    // where its list of pages begins
    u32 position; // of the first row in its sequence
};

// Pieces of a page's keys, of its padded values, and of both.
template <u32 D> struct Sizes {
    static constexpr u32 row = D / 8, padded = row + 1, keys = PAGE * row, stage = keys + PAGE * padded;
};

// Copies a page, of which only the first tokens are this sequence's: what another one left behind must not be multiplied,
// not even by 0.
template <u32 D>
static __device__ __forceinline__ void load_page(Piece *stage, const bf16 *keys, const bf16 *values, u32 n_tokens) {
    for (u32 i = threadIdx.x; i < Sizes<D>::keys; i += TILE_THREADS) copy_async(stage + i, (const Piece *)keys + i, true);
    for (u32 i = threadIdx.x; i < Sizes<D>::keys; i += TILE_THREADS) {
        u32 token = i / Sizes<D>::row, piece = i % Sizes<D>::row;
        copy_async(stage + Sizes<D>::keys + token * Sizes<D>::padded + piece, (const Piece *)values + i, token < n_tokens);
    }
}

// What a warp has of its 16 queries: fragments of them (re-read where registers are short), sums, and for the two rows of a
// lane the largest score and the sum of the exponentials.
template <u32 D> struct Tile {
    float sums[D / 8][4];
    float most[2], total[2];
};

// Scores of 16 queries and the 32 tokens of a page.
template <u32 D> static __device__ __forceinline__ void score(const Piece *queries, const Piece *keys, float (*scores)[4]) {
    u32 lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
#pragma unroll
    for (u32 j = 0; j < 4; j++) scores[j][0] = scores[j][1] = scores[j][2] = scores[j][3] = 0.0f;
#pragma unroll
    for (u32 k = 0; k < D / 16; k++) {
        u32 a[4];
        load_matrices(a, queries + (warp * 16 + lane % 16) * Sizes<D>::padded + k * 2 + lane / 16);
#pragma unroll
        for (u32 pair = 0; pair < 2; pair++) {
            u32 b[4];
            load_matrices(b, keys + (k * 2 + lane / 8 % 2) * PAGE + pair * 16 + lane / 16 * 8 + lane % 8);
            mma(scores[pair * 2], a, b);
            mma(scores[pair * 2 + 1], a, b + 2);
        }
    }
}

// Scores of the page that begins with token `first` become exponentials; what a row does not see becomes 0.
template <u32 D>
static __device__ __forceinline__ void soften_tile(Tile<D> &tile, float (*scores)[4], u32 first, const u32 *positions, u32 window,
                                                   float cap) {
    u32 lane = threadIdx.x % WARP;
#pragma unroll
    for (u32 half = 0; half < 2; half++) {
        u32 position = positions[half];
        float most = tile.most[half];
#pragma unroll
        for (u32 i = 0; i < 8; i++) {
            float &x = scores[i / 2][half * 2 + i % 2];
            u32 token = first + i / 2 * 8 + lane % 4 * 2 + i % 2;
            bool seen = token <= position && !(window && token + window <= position);
            x = seen ? capped(x, cap) * LOG2_E : -infinity();
            most = fmaxf(most, x);
        }
        most = fmaxf(most, __shfl_xor_sync(EVERY_LANE, most, 1));
        most = fmaxf(most, __shfl_xor_sync(EVERY_LANE, most, 2));
        // Nothing seen so far: every exponential is 0.
        float shift = most == -infinity() ? 0.0f : most, total = 0.0f;
        float shrink = exp2f(tile.most[half] - shift);
#pragma unroll
        for (u32 i = 0; i < 8; i++) {
            float &x = scores[i / 2][half * 2 + i % 2];
            x = exp2f(x - shift);
            total += x;
        }
        tile.total[half] = tile.total[half] * shrink + total;
        tile.most[half] = most;
#pragma unroll
        for (u32 j = 0; j < D / 8; j++) {
            tile.sums[j][half * 2] *= shrink;
            tile.sums[j][half * 2 + 1] *= shrink;
        }
    }
}

// Adds exponentials times values; the sums of the exponentials of a row stay spread over four lanes until the end.
template <u32 D> static __device__ __forceinline__ void add_values(Tile<D> &tile, const float (*scores)[4], const Piece *values) {
    u32 lane = threadIdx.x % WARP;
#pragma unroll
    for (u32 k = 0; k < 2; k++) {
        const float(*s)[4] = scores + k * 2;
        u32 a[4] = {pair_bf16(s[0][0], s[0][1]), pair_bf16(s[0][2], s[0][3]), pair_bf16(s[1][0], s[1][1]),
                    pair_bf16(s[1][2], s[1][3])};
#pragma unroll
        for (u32 j = 0; j < D / 16; j++) {
            u32 b[4];
            load_transposed(b, values + (k * 16 + lane % 16) * Sizes<D>::padded + j * 2 + lane / 16);
            mma(tile.sums[j * 2], a, b);
            mma(tile.sums[j * 2 + 1], a, b + 2);
        }
    }
}

struct Caches {
    const bf16 *keys, *values;
    const u32 *pages;
    u32 n_kv, kv;
};

template <u32 D>
static __device__ __forceinline__ void start_page(Piece *stages, const Caches &caches, const Stretch &stretch, u32 at, u32 end) {
    if (at < end) {
        u64 page = ((u64)caches.pages[stretch.pages + at] * caches.n_kv + caches.kv) * D * PAGE;
        load_page<D>(stages + at % 2 * Sizes<D>::stage, caches.keys + page, caches.values + page,
                     stretch.position + stretch.n - at * PAGE);
    }
    copy_commit();
}

template <u32 D>
static __device__ __forceinline__ void write_tile(const Tile<D> &tile, const Stretch &stretch, u32 n_heads, u32 group, u32 kv,
                                                  bf16 *out) {
    u32 lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
#pragma unroll
    for (u32 half = 0; half < 2; half++) {
        float total = tile.total[half];
        total += __shfl_xor_sync(EVERY_LANE, total, 1);
        total += __shfl_xor_sync(EVERY_LANE, total, 2);
        u32 i = warp * 16 + half * 8 + lane / 4;
        if (i >= stretch.n * group) continue;
        bf16 *row = out + ((u64)(stretch.row + i / group) * n_heads + kv * group + i % group) * D;
#pragma unroll
        for (u32 j = 0; j < D / 8; j++) {
            *(u32 *)(row + j * 8 + lane % 4 * 2) = pair_bf16(tile.sums[j][half * 2] / total, tile.sums[j][half * 2 + 1] / total);
        }
    }
}

template <u32 D>
static __device__ __forceinline__ void tiles(Piece *room, const bf16 *queries, const Caches &caches, const Stretch &stretch,
                                             u32 n_heads, u32 window, float cap, bf16 *out) {
    Piece *stages = room + TILE_ROWS * Sizes<D>::padded;
    u32 group = n_heads / caches.n_kv, last = stretch.n * group - 1, warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    u32 begin = window && stretch.position + 1 > window ? (stretch.position + 1 - window) / PAGE : 0;
    u32 end = (stretch.position + stretch.n - 1) / PAGE + 1;
    for (u32 i = threadIdx.x; i < TILE_ROWS * Sizes<D>::row; i += TILE_THREADS) {
        u32 query = i / Sizes<D>::row, piece = i % Sizes<D>::row, from = query < last ? query : last;
        u64 head = (u64)(stretch.row + from / group) * n_heads + caches.kv * group + from % group;
        copy_async(room + query * Sizes<D>::padded + piece, (const Piece *)(queries + head * D) + piece, true);
    }
    start_page<D>(stages, caches, stretch, begin, end);
    Tile<D> tile;
#pragma unroll
    for (u32 half = 0; half < 2; half++) tile.most[half] = -infinity(), tile.total[half] = 0.0f;
#pragma unroll
    for (u32 j = 0; j < D / 8; j++) tile.sums[j][0] = tile.sums[j][1] = tile.sums[j][2] = tile.sums[j][3] = 0.0f;
    u32 positions[2];
#pragma unroll
    for (u32 half = 0; half < 2; half++) {
        u32 i = warp * 16 + half * 8 + lane / 4;
        positions[half] = stretch.position + (i < last ? i : last) / group;
    }
    for (u32 at = begin; at < end; at++) {
        start_page<D>(stages, caches, stretch, at + 1, end);
        copy_wait<1>();
        __syncthreads();
        const Piece *stage = stages + at % 2 * Sizes<D>::stage;
        float scores[4][4];
        score<D>(room, stage, scores);
        soften_tile(tile, scores, at * PAGE, positions, window, cap);
        add_values(tile, scores, stage + Sizes<D>::keys);
        __syncthreads();
    }
    copy_wait<0>();
    write_tile(tile, stretch, n_heads, group, caches.kv, out);
}

// The kernel for heads of D dimensions (a multiple of 16); its dynamic shared memory is that of `TILES_SHARED`.
#define TILES(D)                                                                                                             \
    extern "C" __global__ void __launch_bounds__(TILE_THREADS)                                                               \
        tiles_##D(const bf16 *queries, const bf16 *keys, const bf16 *values, const Stretch *stretches, const u32 *pages,     \
                  u32 n_heads, u32 n_kv, u32 window, float cap, bf16 *out) {                                                 \
        DYNAMIC_SHARED(room);                                                                                                \
        Caches caches{keys, values, pages, n_kv, blockIdx.y};                                                                \
        tiles<D>((Piece *)room, queries, caches, stretches[blockIdx.x], n_heads, window, cap, out);                          \
    }
