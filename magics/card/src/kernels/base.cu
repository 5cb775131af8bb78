// What the kernels share: how elements are read and written, and sums over lanes and blocks.
//
// An element is an f32 or a bf16, which is held as its bits so that no header is needed; sums are always f32. The shim
// for the processor defines CPU_SHIM and everything that the compiler for the card has built in.

typedef unsigned int u32;
typedef unsigned long long u64;
typedef float f32;
typedef unsigned short bf16;

#define WARP 32
#define PAGE 32u /* tokens of a page of the cache */
#define NONE 0xffffffffu
#define EVERY_LANE 0xffffffffu

#ifndef CPU_SHIM
#define DYNAMIC_SHARED(name) extern __shared__ __align__(128) unsigned char name[]
#endif

struct alignas(16) Piece { u32 word[4]; };
struct alignas(8) Half { u32 word[2]; };

// Elements of one 16-byte piece.
template <class T> struct Width { static constexpr u32 value = 16 / sizeof(T); };

static __device__ __forceinline__ float infinity() { return __uint_as_float(0x7f800000u); }
static __device__ __forceinline__ float number(float x) { return x; }
static __device__ __forceinline__ float number(bf16 x) { return __uint_as_float((u32)x << 16); }

// Round to nearest, ties to even.
static __device__ __forceinline__ u32 to_bf16(float x) {
    u32 bits = __float_as_uint(x);
    return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
}

static __device__ __forceinline__ u32 pair_bf16(float low, float high) { return to_bf16(low) | to_bf16(high) << 16; }

static __device__ __forceinline__ void put(float *at, float x) { *at = x; }
static __device__ __forceinline__ void put(bf16 *at, float x) { *at = (bf16)to_bf16(x); }

static __device__ __forceinline__ void unpack(u32 word, float *into) {
    into[0] = __uint_as_float(word << 16);
    into[1] = __uint_as_float(word & 0xffff0000u);
}

// One 16-byte piece.
static __device__ __forceinline__ void load_piece(const float *from, float *into) {
    Piece p = *(const Piece *)from;
#pragma unroll
    for (u32 e = 0; e < 4; e++) into[e] = __uint_as_float(p.word[e]);
}

static __device__ __forceinline__ void load_piece(const bf16 *from, float *into) {
    Piece p = *(const Piece *)from;
#pragma unroll
    for (u32 e = 0; e < 4; e++) unpack(p.word[e], into + 2 * e);
}

// Four elements.
static __device__ __forceinline__ void load_four(const float *from, float *into) { load_piece(from, into); }

static __device__ __forceinline__ void load_four(const bf16 *from, float *into) {
    Half h = *(const Half *)from;
    unpack(h.word[0], into);
    unpack(h.word[1], into + 2);
}

static __device__ __forceinline__ void store_four(float *at, const float *x) {
    Piece p;
#pragma unroll
    for (u32 e = 0; e < 4; e++) p.word[e] = __float_as_uint(x[e]);
    *(Piece *)at = p;
}

static __device__ __forceinline__ void store_four(bf16 *at, const float *x) {
    Half h;
    h.word[0] = pair_bf16(x[0], x[1]);
    h.word[1] = pair_bf16(x[2], x[3]);
    *(Half *)at = h;
}

// N elements that stand on a multiple of N, at most a piece at a time.
template <u32 N> static __device__ __forceinline__ void load_some(const float *from, float *into) {
    if (N == 2) {
        Half h = *(const Half *)from;
        into[0] = __uint_as_float(h.word[0]);
        into[1] = __uint_as_float(h.word[1]);
    } else {
#pragma unroll
        for (u32 e = 0; e < N; e += 4) load_piece(from + e, into + e);
    }
}

template <u32 N> static __device__ __forceinline__ void load_some(const bf16 *from, float *into) {
    if (N == 2) unpack(*(const u32 *)from, into);
    else if (N == 4) load_four(from, into);
    else load_piece(from, into);
}

static __device__ __forceinline__ float add_lanes(float x) {
#pragma unroll
    for (u32 step = WARP / 2; step > 0; step /= 2) x += __shfl_xor_sync(EVERY_LANE, x, step);
    return x;
}

static __device__ __forceinline__ float most_lanes(float x) {
#pragma unroll
    for (u32 step = WARP / 2; step > 0; step /= 2) x = fmaxf(x, __shfl_xor_sync(EVERY_LANE, x, step));
    return x;
}

// Adds over a block of whole warps; `room` holds one f32 a warp. All threads get the sum.
static __device__ __forceinline__ float add_block(float x, float *room) {
    x = add_lanes(x);
    __syncthreads();
    if (threadIdx.x % WARP == 0) room[threadIdx.x / WARP] = x;
    __syncthreads();
    float total = 0.0f;
    for (u32 w = 0; w < blockDim.x / WARP; w++) total += room[w];
    return total;
}

// c·tanh(x/c); 0 stands for no cap.
static __device__ __forceinline__ float capped(float x, float cap) { return cap > 0.0f ? cap * tanhf(x / cap) : x; }
