// Attention of packed sequences, without padding or masks in memory, on the tensor cores (TF32, sums in f32), after
// FlashAttention-2 (Dao 2023): a block for some queries of one sequence and one head, 16 for each warp.
//
// Biases and rotary positions are applied when rows are read. Keys and values pass through shared memory, 32 tokens at a
// time; their rows are padded by four numbers, so that the 32 lanes meet 32 banks. A factor is rounded to TF32, or, where
// EXACT is 1, cut into two such parts, of whose four products three are summed.

#define TILE_KEYS 32u
#define LOG2_E 1.4426950409f /* powers of 2 are cheaper than those of e */

#ifndef CPU_SHIM
static __device__ __forceinline__ u32 to_tf32(float x) {
    u32 bits;
    // Volatile, so that the two parts of all queries are not kept in registers.
    asm volatile("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
    return bits;
}

static __device__ __forceinline__ void mma_tf32(float *d, const u32 *a, const u32 *b) {
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#endif

// Some queries of a sequence: its first row, its tokens, and the first of the queries in it.
struct Queries { u32 row, length, first; };

// Queries, keys and values, and what is done to them when they are read.
struct Rows {
    const float *qkv, *bias, *cosines, *sines;
    u32 n_heads, head;
    float scale; // of the queries
};

// Four numbers of part `part` (query, key, value) of a row's head, with their bias.
template <u32 D> static __device__ __forceinline__ void read_four(const Rows &from, u64 row, u32 part, u32 d, float *x) {
    u32 at = (part * from.n_heads + from.head) * D + d;
    float b[4];
    load_four(from.qkv + row * 3 * from.n_heads * D + at, x);
    load_four(from.bias + at, b);
#pragma unroll
    for (u32 e = 0; e < 4; e++) x[e] += b[e];
}

// Four numbers of the first half of a head and four of the second, turned by the angles of the token's place.
template <u32 D>
static __device__ __forceinline__ void read_turned(const Rows &from, u64 row, u32 place, u32 part, u32 d, float *a, float *b) {
    read_four<D>(from, row, part, d, a);
    read_four<D>(from, row, part, D / 2 + d, b);
    if (part == 2 || !from.cosines) return;
    float c[4], s[4];
    load_four(from.cosines + (u64)place * (D / 2) + d, c);
    load_four(from.sines + (u64)place * (D / 2) + d, s);
#pragma unroll
    for (u32 e = 0; e < 4; e++) {
        float first = a[e] * c[e] - b[e] * s[e];
        b[e] = b[e] * c[e] + a[e] * s[e];
        a[e] = first;
    }
}

// Products of fragments of 16 × 8 and 8 × 8 numbers.
template <u32 EXACT> static __device__ __forceinline__ void multiply(float *d, const float *a, const float *b) {
    u32 high_a[4], high_b[2];
#pragma unroll
    for (u32 i = 0; i < 4; i++) high_a[i] = EXACT ? to_tf32(a[i]) : __float_as_uint(a[i]);
#pragma unroll
    for (u32 i = 0; i < 2; i++) high_b[i] = EXACT ? to_tf32(b[i]) : __float_as_uint(b[i]);
    if (EXACT) {
        u32 low_a[4], low_b[2];
#pragma unroll
        for (u32 i = 0; i < 4; i++) low_a[i] = to_tf32(a[i] - __uint_as_float(high_a[i]));
#pragma unroll
        for (u32 i = 0; i < 2; i++) low_b[i] = to_tf32(b[i] - __uint_as_float(high_b[i]));
        mma_tf32(d, low_a, high_b);
        mma_tf32(d, high_a, low_b);
    }
    mma_tf32(d, high_a, high_b);
}

// A factor as it is kept until it is multiplied.
template <u32 EXACT> static __device__ __forceinline__ float factor(float x) { return EXACT ? x : __uint_as_float(to_tf32(x)); }

// Reads a tile of keys and values; what is behind the last token becomes 0.
template <u32 D, u32 EXACT>
static __device__ __forceinline__ void load_tile(const Rows &from, const Queries &queries, u32 first, float *keys, float *values) {
    const u32 pieces = D / 8, stride = D + 4;
    for (u32 i = threadIdx.x; i < 2 * TILE_KEYS * pieces; i += blockDim.x) {
        u32 part = i / (TILE_KEYS * pieces), token = i / pieces % TILE_KEYS, d = i % pieces * 4;
        float a[4] = {0.0f, 0.0f, 0.0f, 0.0f}, b[4] = {0.0f, 0.0f, 0.0f, 0.0f};
        if (first + token < queries.length) {
            read_turned<D>(from, (u64)queries.row + first + token, first + token, 1 + part, d, a, b);
        }
#pragma unroll
        for (u32 e = 0; e < 4; e++) a[e] = factor<EXACT>(a[e]), b[e] = factor<EXACT>(b[e]);
        float *into = (part ? values : keys) + token * stride;
        store_four(into + d, a);
        store_four(into + D / 2 + d, b);
    }
}

// The queries of a block, scaled, in shared memory.
template <u32 D, u32 EXACT>
static __device__ __forceinline__ void load_queries(const Rows &from, const Queries &queries, float *room) {
    const u32 pieces = D / 8, stride = D + 4;
    u32 n = blockDim.x / 2;
    for (u32 i = threadIdx.x; i < n * pieces; i += blockDim.x) {
        u32 query = i / pieces, d = i % pieces * 4, place = queries.first + query;
        float a[4] = {0.0f, 0.0f, 0.0f, 0.0f}, b[4] = {0.0f, 0.0f, 0.0f, 0.0f};
        if (place < queries.length) read_turned<D>(from, (u64)queries.row + place, place, 0, d, a, b);
#pragma unroll
        for (u32 e = 0; e < 4; e++) a[e] = factor<EXACT>(a[e] * from.scale), b[e] = factor<EXACT>(b[e] * from.scale);
        store_four(room + query * stride + d, a);
        store_four(room + query * stride + D / 2 + d, b);
    }
}

// What a warp has of its 16 queries: their numbers, sums, and for the two rows of a lane the largest score and the sum of
// the exponentials.
template <u32 D> struct Warp16 {
    float queries[D / 8][4], sums[D / 8][4];
    float most[2], total[2];
};

template <u32 D, u32 EXACT> static __device__ __forceinline__ void score(const Warp16<D> &warp, const float *keys, float (*scores)[4]) {
    u32 group = threadIdx.x % WARP / 4, lane = threadIdx.x % 4;
#pragma unroll
    for (u32 j = 0; j < 4; j++) {
        scores[j][0] = scores[j][1] = scores[j][2] = scores[j][3] = 0.0f;
        const float *key = keys + (j * 8 + group) * (D + 4) + lane;
#pragma unroll
        for (u32 k = 0; k < D / 8; k++) {
            float b[2] = {key[k * 8], key[k * 8 + 4]};
            multiply<EXACT>(scores[j], warp.queries[k], b);
        }
    }
}

// Scores of the tile that begins with token `first` become exponentials; what a query does not see becomes 0.
template <u32 D, u32 EXACT>
static __device__ __forceinline__ void soften(Warp16<D> &warp, float (*scores)[4], u32 first, const u32 *places, u32 length,
                                              u32 before, u32 behind) {
    u32 lane = threadIdx.x % 4;
#pragma unroll
    for (u32 half = 0; half < 2; half++) {
        float most = warp.most[half];
#pragma unroll
        for (u32 i = 0; i < 8; i++) {
            float &x = scores[i / 2][half * 2 + i % 2];
            u32 token = first + i / 2 * 8 + lane * 2 + i % 2;
            bool seen = token < length && token + before >= places[half] && token <= places[half] + behind;
            x = seen ? x : -infinity();
            most = fmaxf(most, x);
        }
        most = fmaxf(most, __shfl_xor_sync(EVERY_LANE, most, 1));
        most = fmaxf(most, __shfl_xor_sync(EVERY_LANE, most, 2));
        // Nothing seen so far: every exponential is 0.
        float shift = most == -infinity() ? 0.0f : most, total = 0.0f;
        float shrink = exp2f(warp.most[half] - shift);
#pragma unroll
        for (u32 i = 0; i < 8; i++) {
            float &x = scores[i / 2][half * 2 + i % 2];
            x = factor<EXACT>(exp2f(x - shift));
            total += x;
        }
        warp.total[half] = warp.total[half] * shrink + total;
        warp.most[half] = most;
#pragma unroll
        for (u32 j = 0; j < D / 8; j++) {
            warp.sums[j][half * 2] *= shrink;
            warp.sums[j][half * 2 + 1] *= shrink;
        }
    }
}

// Adds exponentials times values. The scores of a lane stand where a product leaves them; read as a factor they are those
// of other tokens, so the values are read in the same other order.
template <u32 D, u32 EXACT>
static __device__ __forceinline__ void add_values(Warp16<D> &warp, const float (*scores)[4], const float *values) {
    u32 group = threadIdx.x % WARP / 4, lane = threadIdx.x % 4;
#pragma unroll
    for (u32 k = 0; k < 4; k++) {
        float a[4] = {scores[k][0], scores[k][2], scores[k][1], scores[k][3]};
        const float *value = values + (k * 8 + lane * 2) * (D + 4) + group;
#pragma unroll
        for (u32 j = 0; j < D / 8; j++) {
            float b[2] = {value[j * 8], value[D + 4 + j * 8]};
            multiply<EXACT>(warp.sums[j], a, b);
        }
    }
}

template <u32 D>
static __device__ __forceinline__ void write_rows(const Warp16<D> &warp, const Rows &from, const Queries &queries, const u32 *places,
                                                  float *out) {
    u32 lane = threadIdx.x % 4;
#pragma unroll
    for (u32 half = 0; half < 2; half++) {
        float total = warp.total[half];
        total += __shfl_xor_sync(EVERY_LANE, total, 1);
        total += __shfl_xor_sync(EVERY_LANE, total, 2);
        if (places[half] >= queries.length) continue;
        float *row = out + (((u64)queries.row + places[half]) * from.n_heads + from.head) * D;
#pragma unroll
        for (u32 j = 0; j < D / 8; j++) {
            row[j * 8 + lane * 2] = warp.sums[j][half * 2] / total;
            row[j * 8 + lane * 2 + 1] = warp.sums[j][half * 2 + 1] / total;
        }
    }
}

// A query sees `before` tokens before it and `behind` behind it.
template <u32 D, u32 EXACT>
static __device__ __forceinline__ void attend(const Rows &from, const Queries &queries, u32 before, u32 behind, float *keys,
                                              float *values, float *room, float *out) {
    u32 warp = threadIdx.x / WARP, group = threadIdx.x % WARP / 4, lane = threadIdx.x % 4, n = blockDim.x / 2;
    u32 places[2] = {queries.first + warp * 16 + group, queries.first + warp * 16 + 8 + group};
    u32 last = queries.first + n < queries.length ? queries.first + n - 1 : queries.length - 1;
    u32 begin = queries.first > before ? queries.first - before : 0;
    u32 end = last + behind < queries.length ? last + behind + 1 : queries.length;
    load_queries<D, EXACT>(from, queries, room);
    __syncthreads();
    Warp16<D> own;
    const float *mine = room + (warp * 16 + group) * (D + 4) + lane;
#pragma unroll
    for (u32 k = 0; k < D / 8; k++) {
        own.queries[k][0] = mine[k * 8], own.queries[k][1] = mine[8 * (D + 4) + k * 8];
        own.queries[k][2] = mine[k * 8 + 4], own.queries[k][3] = mine[8 * (D + 4) + k * 8 + 4];
        own.sums[k][0] = own.sums[k][1] = own.sums[k][2] = own.sums[k][3] = 0.0f;
    }
#pragma unroll
    for (u32 half = 0; half < 2; half++) own.most[half] = -infinity(), own.total[half] = 0.0f;
    for (u32 first = begin / TILE_KEYS * TILE_KEYS; first < end; first += TILE_KEYS) {
        __syncthreads();
        load_tile<D, EXACT>(from, queries, first, keys, values);
        __syncthreads();
        // A warp whose queries are all behind the last has nothing to do but to wait.
        if (queries.first + warp * 16 < queries.length) {
            float scores[4][4];
            score<D, EXACT>(own, keys, scores);
            soften<D, EXACT>(own, scores, first, places, queries.length, before, behind);
            add_values<D, EXACT>(own, scores, values);
        }
    }
    write_rows<D>(own, from, queries, places, out);
}

// The kernel for heads of D dimensions, a multiple of 8; blocks of one, two or four warps. Queries and keys share room.
#define ATTEND(D, EXACT)                                                                                                     \
    extern "C" __global__ void __launch_bounds__(128)                                                                        \
        attend_##D##_##EXACT(const float *qkv, const float *bias, const float *cosines, const float *sines,                  \
                             const Queries *queries, u32 n_heads, float scale, u32 before, u32 behind, float *out) {         \
        __shared__ __align__(16) float room[2 * TILE_KEYS * (D + 4)];                                                        \
        Rows from{qkv, bias, cosines, sines, n_heads, blockIdx.y, scale * LOG2_E};                                           \
        attend<D, EXACT>(from, queries[blockIdx.x], before, behind, room, room + TILE_KEYS * (D + 4), room, out);            \
    }
