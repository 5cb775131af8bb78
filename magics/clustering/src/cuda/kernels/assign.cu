// Nearest centroid by fused multiply-adds in f32, without the n × k matrix: the reference, and the way back for near ties.
//
// A block of 256 threads holds 128 rows against 128 centroids at a time; each thread 8 × 8 of them in registers. The
// columns are added in ascending order, so a row's scores do not depend on where in a tile it stands.

#define TILE 128
#define DEPTH 16
#define LINE (TILE + 4)

struct AssignShared {
    float rows[DEPTH][LINE];
    float centroids[DEPTH][LINE];
};

// Copies DEPTH columns of TILE rows, transposed; `row_of` tells which row stands where (NONE: none).
template <class T>
static __device__ __forceinline__ void fetch(float (*into)[LINE], const T *from, u32 column, u32 ld, u32 row, u32 part) {
    constexpr u32 width = Width<T>::value;
#pragma unroll
    for (u32 piece = part; piece < DEPTH / width; piece += 2) {
        float values[width];
        u32 at = column + piece * width;
        if (row != NONE && at < ld) {
            unpack(from + (u64)row * ld + at, values);
        } else {
            for (u32 e = 0; e < width; e++) values[e] = 0.0f;
        }
        for (u32 e = 0; e < width; e++) into[piece * width + e][threadIdx.x % TILE] = values[e];
    }
}

// Multiplies what is in shared memory into the 8 × 8 sums of this thread: rows and centroids 4·y.. and 64 + 4·y..
static __device__ __forceinline__ void multiply(const AssignShared &s, float (*sums)[8], u32 tx, u32 ty) {
#pragma unroll
    for (u32 depth = 0; depth < DEPTH; depth++) {
        float a[8], b[8];
        unpack(&s.rows[depth][ty * 4], a);
        unpack(&s.rows[depth][64 + ty * 4], a + 4);
        unpack(&s.centroids[depth][tx * 4], b);
        unpack(&s.centroids[depth][64 + tx * 4], b + 4);
#pragma unroll
        for (u32 i = 0; i < 8; i++)
#pragma unroll
            for (u32 j = 0; j < 8; j++) sums[i][j] = fmaf(a[i], b[j], sums[i][j]);
    }
}

template <class T>
static __device__ __forceinline__ void assign_tile(AssignShared &s, const T *x, const float *centroids, const float *halves,
                                                   u32 my_row, u32 k, u32 ld, Nearest *best) {
    u32 tx = threadIdx.x % 16, ty = threadIdx.x / 16, part = threadIdx.x / TILE;
    for (u32 first = 0; first < k; first += TILE) {
        u32 my_centroid = first + threadIdx.x % TILE < k ? first + threadIdx.x % TILE : NONE;
        float sums[8][8] = {};
        for (u32 column = 0; column < ld; column += DEPTH) {
            __syncthreads();
            fetch(s.rows, x, column, ld, my_row, part);
            fetch(s.centroids, centroids, column, ld, my_centroid, part);
            __syncthreads();
            multiply(s, sums, tx, ty);
        }
#pragma unroll
        for (u32 j = 0; j < 8; j++) {
            u32 label = first + (j < 4 ? tx * 4 + j : 60 + tx * 4 + j);
            if (label >= k) break;
            float half = halves[label];
#pragma unroll
            for (u32 i = 0; i < 8; i++) offer(best[i], half - sums[i][j], label);
        }
    }
}

// `list` and `n_list`: only these rows (their number is read on the card); both null: all `rows`.
template <class T>
static __device__ __forceinline__ void assign(const T *x, const float *centroids, const float *halves, const u32 *list,
                                              const u32 *n_list, u32 rows, u32 k, u32 ld, u32 *labels, float *scores) {
    __shared__ __align__(16) AssignShared s;
    u32 n = n_list ? *n_list : rows;
    u32 ty = threadIdx.x / 16;
    for (u64 tile = blockIdx.x; tile * TILE < n; tile += gridDim.x) {
        u64 place = tile * TILE + threadIdx.x % TILE;
        u32 my_row = place < n ? (list ? list[place] : (u32)place) : NONE;
        Nearest best[8];
#pragma unroll
        for (u32 i = 0; i < 8; i++) best[i] = nobody();
        assign_tile(s, x, centroids, halves, my_row, k, ld, best);
#pragma unroll
        for (u32 i = 0; i < 8; i++) {
            merge_lanes(best[i], 16);
            u64 at = tile * TILE + (i < 4 ? ty * 4 + i : 60 + ty * 4 + i);
            if (threadIdx.x % 16 == 0 && at < n) {
                u32 row = list ? list[at] : (u32)at;
                labels[row] = best[i].label;
                scores[row] = best[i].score;
            }
        }
    }
}

extern "C" __global__ void __launch_bounds__(256) assign_f32(const float *x, const float *centroids, const float *halves,
                                                             const u32 *list, const u32 *n_list, u32 rows, u32 k, u32 ld,
                                                             u32 *labels, float *scores) {
    assign(x, centroids, halves, list, n_list, rows, k, ld, labels, scores);
}

extern "C" __global__ void __launch_bounds__(256) assign_bf16(const bf16 *x, const float *centroids, const float *halves,
                                                              const u32 *list, const u32 *n_list, u32 rows, u32 k, u32 ld,
                                                              u32 *labels, float *scores) {
    assign(x, centroids, halves, list, n_list, rows, k, ld, labels, scores);
}
