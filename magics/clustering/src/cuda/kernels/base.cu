// What the other kernels share: how an element of a row is read, and how a nearest centroid is compared and reduced.
//
// Rows are stored with `ld` elements each, a multiple of one 16-byte piece, zeros behind the last column. bf16 elements
// are held as their bits, so that no header is needed. The CPU shim defines CPU_SHIM and everything the compiler
// for the card has built in.

typedef unsigned int u32;
typedef unsigned long long u64;
typedef unsigned short bf16;

#define WARP 32
#define NONE 0xffffffffu
#define EVERY_LANE 0xffffffffu

#ifndef CPU_SHIM
#define DYNAMIC_SHARED(name) extern __shared__ __align__(128) unsigned char name[]
#endif

struct alignas(16) Piece { u32 word[4]; };

static __device__ __forceinline__ float infinity() { return __uint_as_float(0x7f800000u); }
static __device__ __forceinline__ float number(float x) { return x; }
static __device__ __forceinline__ float number(bf16 x) { return __uint_as_float((u32)x << 16); }

// Elements of one 16-byte piece.
template <class T> struct Width { static constexpr u32 value = 16 / sizeof(T); };

static __device__ __forceinline__ void unpack(const float *from, float *into) {
    Piece p = *(const Piece *)from;
#pragma unroll
    for (u32 e = 0; e < 4; e++) into[e] = __uint_as_float(p.word[e]);
}

static __device__ __forceinline__ void unpack(const bf16 *from, float *into) {
    Piece p = *(const Piece *)from;
#pragma unroll
    for (u32 e = 0; e < 4; e++) {
        into[2 * e] = __uint_as_float(p.word[e] << 16);
        into[2 * e + 1] = __uint_as_float(p.word[e] & 0xffff0000u);
    }
}

// Round to nearest, ties to even.
static __device__ __forceinline__ u32 to_bf16(float x) {
    u32 bits = __float_as_uint(x);
    return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
}

// Round to nearest; the tensor cores drop the 13 bits behind.
static __device__ __forceinline__ u32 to_tf32(u32 bits) { return bits + 0x1000u; }

// The nearest centroid so far, and how near the second comes: enough to see a near tie.
struct Nearest {
    float score;
    float second;
    u32 label;
};

static __device__ __forceinline__ Nearest nobody() { return Nearest{infinity(), infinity(), NONE}; }

// Centroids must come in ascending order: the lowest index of equals stays.
static __device__ __forceinline__ void offer(Nearest &best, float score, u32 label) {
    if (score < best.score) {
        best.second = best.score;
        best.score = score;
        best.label = label;
    } else if (score < best.second) {
        best.second = score;
    }
}

// The same for two sets of centroids in any order.
static __device__ __forceinline__ void merge(Nearest &best, float score, float second, u32 label) {
    if (score < best.score || (score == best.score && label < best.label)) {
        best.second = best.score < second ? best.score : second;
        best.score = score;
        best.label = label;
    } else if (score < best.second) {
        best.second = score;
    }
}

// Merges over `lanes` neighbouring lanes (a power of two); all of them get the result.
static __device__ __forceinline__ void merge_lanes(Nearest &best, u32 lanes) {
    for (u32 step = lanes / 2; step > 0; step /= 2) {
        float score = __shfl_xor_sync(EVERY_LANE, best.score, step);
        float second = __shfl_xor_sync(EVERY_LANE, best.second, step);
        u32 label = __shfl_xor_sync(EVERY_LANE, best.label, step);
        merge(best, score, second, label);
    }
}

// Writes a row's nearest centroid; a near tie also goes on the list of rows that are looked at again in full precision.
// The order of that list is not defined, what becomes of its rows is: each is computed by itself.
static __device__ __forceinline__ void settle(const Nearest &best, u32 row, float margin, u32 *labels, float *scores,
                                              u32 *unsure, u32 *n_unsure) {
    labels[row] = best.label;
    scores[row] = best.score;
    if (unsure && !(best.second - best.score > margin)) unsure[atomicAdd(n_unsure, 1u)] = row;
}

static __device__ __forceinline__ double add_lanes(double x) {
    for (u32 step = WARP / 2; step > 0; step /= 2) x += __shfl_xor_sync(EVERY_LANE, x, step);
    return x;
}

// Adds over a block of whole warps, by the same tree each time; `room` holds one f64 a warp. All threads get the sum.
static __device__ __forceinline__ double add_block(double x, double *room) {
    x = add_lanes(x);
    __syncthreads();
    if (threadIdx.x % WARP == 0) room[threadIdx.x / WARP] = x;
    __syncthreads();
    double total = 0.0;
    for (u32 w = 0; w < blockDim.x / WARP; w++) total += room[w];
    return total;
}
