// Nearest centroid on Hopper's tensor cores (`wgmma`), without the n × k matrix.
//
// Rows stay in shared memory, in 16 bits, while the centroids stream past them: read again for each tile of centroids, as
// smaller kernels do, both meet the limit of the L2 cache long before that of the tensor cores. f32 is multiplied as f16,
// which has the 11 significant bits of TF32 at twice its rate: each row is scaled by a power of two of its own, so that its
// range does not matter. Rounded scores that are near ties go on a list for the f32 kernel.
//
// Each of the block's warpgroups holds 64 rows. Rows and centroids stand in memory, rounded, as shared memory wants them,
// and the bulk-copy engine brings them: lines of 64 columns of 64 rows, and stages of 64 columns of 128 centroids.
// The last warp that is done with a stage has it filled again, and so with a line, after the last tile of centroids: the
// next rows come while the present ones are still being looked at.

#define GROUP 128 /* threads of a warpgroup */
#define GROUP_ROWS 64
#define LINE_PIECES 8 /* of a line of rows in shared memory: 64 numbers of 16 bits, as wide as a swizzle can be */
#define BUNDLE (GROUP_ROWS * LINE_PIECES) /* pieces of such a line of 64 rows */
#define STAGE_CENTROIDS 128 /* a stage is a line of so many centroids */

#ifndef CPU_SHIM
#define DYNAMIC_SHARED_LINES(name) extern __shared__ __align__(1024) unsigned char name[] // by which swizzles are counted

static __device__ __forceinline__ u32 shared_address(const void *at) { return (u32)__cvta_generic_to_shared(at); }

static __device__ __forceinline__ void barrier_start(u64 *barrier, u32 arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals) : "memory");
}

static __device__ __forceinline__ void barrier_expect(u64 *barrier, u32 bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes) : "memory");
}

static __device__ __forceinline__ void barrier_wait(u64 *barrier, u32 parity) {
    asm volatile("{\n"
                 ".reg .pred done;\n"
                 "again:\n"
                 "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
                 "@!done bra again;\n"
                 "}" ::"r"(shared_address(barrier)), "r"(parity) : "memory");
}

static __device__ __forceinline__ void copy_bulk(Piece *into, const void *from, u32 bytes, u64 *barrier) {
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                     shared_address(into)), "l"(from), "r"(bytes), "r"(shared_address(barrier)) : "memory");
}

// What threads have written to shared memory, barriers too, is there for the copy engine and the tensor cores.
static __device__ __forceinline__ void show_writes() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

static __device__ __forceinline__ void products_begin(float *sums) {
#pragma unroll
    for (u32 i = 0; i < 64; i++) asm volatile("" : "+f"(sums[i])::"memory");
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

static __device__ __forceinline__ void products_end() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }

// Waits until products of so many stages are under way at most; while any are, nobody knows what stands in `sums`.
template <int PENDING> static __device__ __forceinline__ void products_wait(float *sums) {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(PENDING) : "memory");
#pragma unroll
    for (u32 i = 0; i < 64; i++) asm volatile("" : "+f"(sums[i])::"memory");
}

#define EIGHT(at) "+f"(sums[at]), "+f"(sums[at + 1]), "+f"(sums[at + 2]), "+f"(sums[at + 3]), "+f"(sums[at + 4]), \
                  "+f"(sums[at + 5]), "+f"(sums[at + 6]), "+f"(sums[at + 7])
#define PRODUCT(types)                                                                                                     \
    asm volatile("{\n"                                                                                                     \
                 ".reg .pred more;\n"                                                                                      \
                 "setp.ne.b32 more, %66, 0;\n"                                                                             \
                 "wgmma.mma_async.sync.aligned.m64n128k16.f32." types " "                                                  \
                 "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "                                 \
                 "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "                        \
                 "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "                        \
                 "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, "                       \
                 "%64, %65, more, 1, 1, 0, 0;\n"                                                                           \
                 "}"                                                                                                       \
                 : EIGHT(0), EIGHT(8), EIGHT(16), EIGHT(24), EIGHT(32), EIGHT(40), EIGHT(48), EIGHT(56)                    \
                 : "l"(a), "l"(b), "r"((u32)more))

// sums (+)= 64 rows × 128 centroids over 16 columns, which `a` and `b` describe; `more`: what was there counts.
static __device__ __forceinline__ void product(float *sums, u64 a, u64 b, bool more, float) { PRODUCT("f16.f16"); }
static __device__ __forceinline__ void product(float *sums, u64 a, u64 b, bool more, bf16) { PRODUCT("bf16.bf16"); }

// Two f16, rounded to nearest, ties to even.
static __device__ __forceinline__ u32 to_f16_pair(float low, float high) {
    u32 pair;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}
#endif

// What the tensor cores are told of a matrix in shared memory: where it starts, that it is 1024 bytes from eight lines to the
// next eight, and that pieces of lines of 128 bytes are swizzled (PTX ISA, "Matrix descriptor").
static __device__ __forceinline__ u64 describe(u32 address) {
    return (u64)((address & 0x3ffffu) >> 4) | (u64)1 << 16 | (u64)(1024 >> 4) << 32 | (u64)1 << 62;
}

// Where a piece of a line stands: the line's number among eight is XORed into its own.
static __device__ __forceinline__ u32 swizzled_place(u32 line, u32 piece) { return line * LINE_PIECES + (piece ^ (line & 7u)); }

// The power of two that brings numbers up to `most` to 2¹³ … 2¹⁴, far from both ends of f16's range. It has limits: rows
// whose numbers are below 2⁻⁷⁴, where squares are no numbers in f32 either, lose bits.
static __device__ __forceinline__ float scale_for(float most) {
    int exponent = 13 + 127 - (int)(__float_as_uint(most) >> 23);
    exponent = exponent < -60 ? -60 : exponent > 60 ? 60 : exponent;
    return __uint_as_float((u32)(exponent + 127) << 23);
}

static __device__ __forceinline__ float scale_of(float spread, float) { return scale_for(spread); }
static __device__ __forceinline__ float scale_of(float, bf16) { return 1.0f; }

// Eight numbers of a row from `column` on, zeros behind its end.
static __device__ __forceinline__ void load_eight(const float *row, u32 column, u32 ld, Piece *into) {
    into[0] = column < ld ? *(const Piece *)(row + column) : Piece{};
    into[1] = column + 4 < ld ? *(const Piece *)(row + column + 4) : Piece{};
}

static __device__ __forceinline__ void load_eight(const bf16 *row, u32 column, u32 ld, Piece *into) {
    into[0] = column < ld ? *(const Piece *)(row + column) : Piece{};
}

static __device__ __forceinline__ Piece narrowed(const Piece *from, float scale, float) {
    Piece piece;
#pragma unroll
    for (u32 w = 0; w < 4; w++) {
        const u32 *pair = from[w / 2].word + w % 2 * 2;
        piece.word[w] = to_f16_pair(__uint_as_float(pair[0]) * scale, __uint_as_float(pair[1]) * scale);
    }
    return piece;
}

static __device__ __forceinline__ Piece narrowed(const Piece *from, float, bf16) { return from[0]; }

// The centroids in 16 bits, in the order in which stages take them: tile of 128, line of columns, centroid, piece. Centroids
// and columns that are not there are zeros. One thread a piece.
template <class T>
static __device__ __forceinline__ void tile_centroids(const float *centroids, const float *widest, u32 k, u32 ld, u32 lines,
                                                      u64 pieces, Piece *tiles) {
    u64 at = (u64)blockIdx.x * 256u + threadIdx.x;
    if (at >= pieces) return;
    u32 piece = at % LINE_PIECES, line = at / LINE_PIECES % STAGE_CENTROIDS;
    u64 block = at / (LINE_PIECES * STAGE_CENTROIDS);
    u32 column = ((u32)(block % lines) * LINE_PIECES + piece) * 8, centroid = (u32)(block / lines) * STAGE_CENTROIDS + line;
    float scale = scale_of(*widest, T()), values[8];
    for (u32 e = 0; e < 8; e++) {
        values[e] = centroid < k && column + e < ld ? centroids[(u64)centroid * ld + column + e] * scale : 0.0f;
    }
    Piece narrow;
    for (u32 w = 0; w < 4; w++) {
        float low = values[2 * w], high = values[2 * w + 1];
        narrow.word[w] = sizeof(T) == 4 ? to_f16_pair(low, high) : to_bf16(low) | to_bf16(high) << 16;
    }
    tiles[block * (LINE_PIECES * STAGE_CENTROIDS) + swizzled_place(line, piece)] = narrow;
}

extern "C" __global__ void __launch_bounds__(256) tile_centroids_f16(const float *centroids, const float *widest, u32 k, u32 ld,
                                                                     u32 lines, u64 pieces, Piece *tiles) {
    tile_centroids<float>(centroids, widest, k, ld, lines, pieces, tiles);
}

extern "C" __global__ void __launch_bounds__(256) tile_centroids_bf16(const float *centroids, const float *widest, u32 k,
                                                                      u32 ld, u32 lines, u64 pieces, Piece *tiles) {
    tile_centroids<bf16>(centroids, widest, k, ld, lines, pieces, tiles);
}

// Rows in 16 bits, in the order in which warpgroups read them: 64 rows, line of columns, row, piece. Rows and columns that
// are not there are zeros. One thread a piece.
template <class T>
static __device__ __forceinline__ void tile_rows(const T *x, const float *spreads, u32 rows, u32 ld, u32 lines, u64 pieces,
                                                 Piece *tiles) {
    u64 at = (u64)blockIdx.x * 256u + threadIdx.x;
    if (at >= pieces) return;
    u32 piece = at % LINE_PIECES, beside = at / LINE_PIECES % GROUP_ROWS;
    u64 bundle = at / BUNDLE;
    u64 row = bundle / lines * GROUP_ROWS + beside;
    u32 column = ((u32)(bundle % lines) * LINE_PIECES + piece) * 8;
    bool there = row < rows;
    Piece loaded[sizeof(T) / 2];
    load_eight(x + (there ? row : 0) * ld, there ? column : ld, ld, loaded);
    float scale = scale_of(there ? spreads[row] : 0.0f, T());
    tiles[bundle * BUNDLE + swizzled_place(beside, piece)] = narrowed(loaded, scale, T());
}

extern "C" __global__ void __launch_bounds__(256) tile_rows_f32(const float *x, const float *spreads, u32 rows, u32 ld, u32 lines,
                                                                u64 pieces, Piece *tiles) {
    tile_rows(x, spreads, rows, ld, lines, pieces, tiles);
}

extern "C" __global__ void __launch_bounds__(256) tile_rows_bf16(const bf16 *x, const float *spreads, u32 rows, u32 ld, u32 lines,
                                                                 u64 pieces, Piece *tiles) {
    tile_rows(x, spreads, rows, ld, lines, pieces, tiles);
}

struct HopperOperands {
    const Piece *rows, *centroids; // both tiled
    const float *halves, *spreads, *widest;
    float tolerance;
    u32 n_rows;
    u32 lines;   // of 64 columns, that a row has
    u32 n_tiles; // of 128 centroids
    u32 ring;    // stages in shared memory
    u32 *labels;
    float *scores;
    u32 *unsure, *n_unsure;
};

// Takes the finished products of a tile: `sums[4·j + 2·r + c]` is of row r (of two) and centroid 8·j + 2·(lane % 4) + c.
// Only where a row's lowest score is a new best does its label matter.
static __device__ __forceinline__ void take_tile(float *sums, const float *halves, u32 first, const float *back, Nearest *best) {
    float low[2] = {infinity(), infinity()}, second[2] = {infinity(), infinity()};
    u32 mine = first + threadIdx.x % 4 * 2;
#pragma unroll
    for (u32 i = 0; i < 32; i++) {
        float half = halves[mine + i / 2 * 8 + i % 2];
#pragma unroll
        for (u32 r = 0; r < 2; r++) {
            float &sum = sums[i / 2 * 4 + r * 2 + i % 2];
            sum = fmaf(-back[r], sum, half);
            second[r] = fminf(second[r], fmaxf(low[r], sum));
            low[r] = fminf(low[r], sum);
        }
    }
#pragma unroll
    for (u32 r = 0; r < 2; r++) {
        if (low[r] < best[r].score) {
            best[r].second = fminf(best[r].score, second[r]);
            best[r].score = low[r];
#pragma unroll
            for (u32 i = 32; i-- > 0;) {
                if (sums[i / 2 * 4 + r * 2 + i % 2] == low[r]) best[r].label = mine + i / 2 * 8 + i % 2;
            }
        } else {
            best[r].second = fminf(best[r].second, low[r]);
        }
    }
}

// Whether this warp is the last of `warps` that are done with what a counter stands for; then the counter starts again.
static __device__ __forceinline__ bool last_user(u32 *users, u32 warps) {
    __threadfence_block();
    if (atomicAdd(users, 1u) != warps - 1) return false;
    *users = 0;
    __threadfence_block();
    return true;
}

// What a block of `GROUPS` warpgroups has in shared memory, and where it is.
template <u32 GROUPS> struct HopperBlock {
    static constexpr u32 stage_pieces = STAGE_CENTROIDS * LINE_PIECES;
    const HopperOperands &o;
    u32 n_blocks;         // of rows, of which this one takes every gridDim.x-th
    u32 coming, in_all;   // the next stage that is not yet under way, of those for a block of rows
    u32 at_once;          // stages that are under way at the start
    u64 to_come;          // how many come after them, for all blocks that this one takes
    Piece *rows, *ring;
    u64 *full, *loaded;        // barriers: a stage, a line of a warpgroup's rows is there
    u32 *stage_users, *line_users; // warps that are done with them

    __device__ __forceinline__ HopperBlock(unsigned char *room, const HopperOperands &o) : o(o) {
        n_blocks = (o.n_rows + GROUPS * GROUP_ROWS - 1) / (GROUPS * GROUP_ROWS);
        in_all = o.n_tiles * o.lines;
        u64 total = (u64)((n_blocks - blockIdx.x + gridDim.x - 1) / gridDim.x) * in_all;
        at_once = total < o.ring ? (u32)total : o.ring;
        to_come = total - at_once;
        coming = at_once % in_all;
        rows = (Piece *)room;
        ring = rows + GROUPS * o.lines * BUNDLE;
        full = (u64 *)(ring + o.ring * stage_pieces);
        loaded = full + o.ring;
        stage_users = (u32 *)(loaded + GROUPS * o.lines);
        line_users = stage_users + o.ring;
    }

    // Starts the copy of a stage.
    __device__ __forceinline__ void fill_stage(u32 stage, u32 which) const {
        barrier_expect(full + stage, stage_pieces * 16);
        copy_bulk(ring + stage * stage_pieces, o.centroids + (u64)which * stage_pieces, stage_pieces * 16, full + stage);
    }

    // Starts the copy of a line (of `GROUPS` · lines) of a block of rows.
    __device__ __forceinline__ void fill_line(u32 line, u32 block) const {
        barrier_expect(loaded + line, BUNDLE * 16);
        copy_bulk(rows + line * BUNDLE, o.rows + ((u64)block * GROUPS * o.lines + line) * BUNDLE, BUNDLE * 16, loaded + line);
    }

    // One thread, before all others.
    __device__ __forceinline__ void start() const {
        for (u32 stage = 0; stage < o.ring; stage++) barrier_start(full + stage, 1), stage_users[stage] = 0;
        for (u32 line = 0; line < GROUPS * o.lines; line++) barrier_start(loaded + line, 1), line_users[line] = 0;
        show_writes();
        for (u32 line = 0; line < GROUPS * o.lines; line++) fill_line(line, blockIdx.x);
        for (u32 stage = 0; stage < at_once; stage++) fill_stage(stage, stage % in_all);
    }

    // This warp is done with a stage: the next one comes there when all are.
    __device__ __forceinline__ void leave_stage(u32 stage) {
        if (to_come == 0) return;
        if (threadIdx.x % WARP == 0 && last_user(stage_users + stage, GROUPS * (GROUP / WARP))) fill_stage(stage, coming);
        to_come--;
        if (++coming == in_all) coming = 0;
    }

    // This warp is done with a line of its warpgroup's rows, into which that of block `next` comes.
    __device__ __forceinline__ void leave_line(u32 line, u32 next) const {
        if (threadIdx.x % WARP == 0 && last_user(line_users + line, GROUP / WARP) && next < n_blocks) fill_line(line, next);
    }
};

// The labels of the rows of this thread, whose best centroids four lanes have found together.
static __device__ __forceinline__ void settle_rows(Nearest *best, u32 row, const HopperOperands &o) {
#pragma unroll
    for (u32 r = 0; r < 2; r++) {
        merge_lanes(best[r], 4);
        u32 mine = row + r * 8;
        if (threadIdx.x % 4 == 0 && mine < o.n_rows) {
            settle(best[r], mine, o.tolerance * o.spreads[mine] * *o.widest, o.labels, o.scores, o.unsure, o.n_unsure);
        }
    }
}

template <class T, u32 GROUPS>
static __device__ __forceinline__ void assign_hopper(unsigned char *room, const HopperOperands &o) {
    HopperBlock<GROUPS> s(room, o);
    if (threadIdx.x == 0) s.start();
    __syncthreads();
    u32 group = threadIdx.x / GROUP, first_line = group * o.lines;
    u32 stage = 0, parity = 0, line_parity = 0;
    u32 before = 0; // the stage before
    float back[2], sums[64];
    for (u32 block = blockIdx.x; block < s.n_blocks; block += gridDim.x, line_parity ^= 1) {
        u32 row = (block * GROUPS + group) * GROUP_ROWS + threadIdx.x % GROUP / WARP * 16 + threadIdx.x % WARP / 4;
        Nearest best[2] = {nobody(), nobody()};
#pragma unroll
        for (u32 r = 0; r < 2; r++) {
            float spread = row + r * 8 < o.n_rows ? o.spreads[row + r * 8] : 0.0f;
            back[r] = 1.0f / scale_of(spread, T()) / scale_of(*o.widest, T());
        }
        for (u32 tile = 0; tile < o.n_tiles; tile++) {
            bool last = tile + 1 == o.n_tiles;
            for (u32 line = 0; line < o.lines; line++) {
                u64 a = describe(shared_address(s.rows + (first_line + line) * BUNDLE));
                u64 b = describe(shared_address(s.ring + stage * s.stage_pieces));
                if (tile == 0) barrier_wait(s.loaded + first_line + line, line_parity);
                barrier_wait(s.full + stage, parity);
                products_begin(sums);
#pragma unroll
                for (u32 step = 0; step < LINE_PIECES; step += 2) product(sums, a + step, b + step, line + step > 0, T());
                products_end();
                if (line > 0) {
                    products_wait<1>(sums);
                    s.leave_stage(before);
                    if (last) s.leave_line(first_line + line - 1, block + gridDim.x);
                }
                before = stage;
                if (++stage == o.ring) stage = 0, parity ^= 1;
            }
            products_wait<0>(sums);
            s.leave_stage(before);
            if (last) s.leave_line(first_line + o.lines - 1, block + gridDim.x);
            take_tile(sums, o.halves, tile * STAGE_CENTROIDS, back, best);
        }
        settle_rows(best, row, o);
    }
}

#define ASSIGN_HOPPER(name, T, GROUPS, BLOCKS)                                                                             \
    extern "C" __global__ void __launch_bounds__(GROUPS * GROUP, BLOCKS)                                                   \
        name(const Piece *rows, const Piece *centroids, const float *halves, const float *spreads, const float *widest,    \
             float tolerance, u32 n_rows, u32 lines, u32 n_tiles, u32 ring, u32 *labels, float *scores, u32 *unsure,        \
             u32 *n_unsure) {                                                                                              \
        DYNAMIC_SHARED_LINES(room);                                                                                        \
        HopperOperands o{rows, centroids, halves, spreads, widest, tolerance, n_rows, lines, n_tiles, ring, labels,         \
                         scores, unsure, n_unsure};                                                                        \
        assign_hopper<T, GROUPS>(room, o);                                                                   \
    }

// The longer the rows, the fewer of them fit.
ASSIGN_HOPPER(assign_hopper_f16_4, float, 4, 1)
ASSIGN_HOPPER(assign_hopper_bf16_4, bf16, 4, 1)
ASSIGN_HOPPER(assign_hopper_f16_3, float, 3, 1)
ASSIGN_HOPPER(assign_hopper_bf16_3, bf16, 3, 1)
ASSIGN_HOPPER(assign_hopper_f16_2, float, 2, 2)
ASSIGN_HOPPER(assign_hopper_bf16_2, bf16, 2, 2)
ASSIGN_HOPPER(assign_hopper_f16_1, float, 1, 2)
ASSIGN_HOPPER(assign_hopper_bf16_1, bf16, 1, 2)
