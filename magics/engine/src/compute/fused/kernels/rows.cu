// What happens to whole rows between the products of an encoder: embeddings, norms, activations, and the vectors of texts.
// Rows are single precision and a multiple of four numbers; a warp has a row.

#define ROW_WARPS 4

// Writes a row's layer norm (Ba et al. 2016): (x - mean) / sqrt(variance + epsilon) * scale + shift. A warp calls it, and
// what it wrote itself to `from` it may read.
static __device__ __forceinline__ void normalise(const float *from, u32 width, const float *scale, const float *shift,
                                                 float epsilon, float *out) {
    u32 lane = threadIdx.x % WARP;
    float sum = 0.0f, squares = 0.0f;
    for (u32 d = lane * 4; d < width; d += WARP * 4) {
        float x[4];
        load_four(from + d, x);
        sum += (x[0] + x[1]) + (x[2] + x[3]);
    }
    float mean = add_lanes(sum) / (float)width;
    for (u32 d = lane * 4; d < width; d += WARP * 4) {
        float x[4];
        load_four(from + d, x);
#pragma unroll
        for (u32 e = 0; e < 4; e++) squares += (x[e] - mean) * (x[e] - mean);
    }
    float rate = 1.0f / sqrtf(add_lanes(squares) / (float)width + epsilon);
    for (u32 d = lane * 4; d < width; d += WARP * 4) {
        float x[4], s[4], b[4];
        load_four(from + d, x);
        load_four(scale + d, s);
        load_four(shift + d, b);
#pragma unroll
        for (u32 e = 0; e < 4; e++) x[e] = (x[e] - mean) * rate * s[e] + b[e];
        store_four(out + d, x);
    }
}

// Vectors of words, with those of their places added where there are any: rows of `x`.
extern "C" __global__ void embed(const float *words, const float *positions, const u32 *ids, const u32 *places, u32 n, u32 width,
                                 float *x) {
    u32 row = blockIdx.x * ROW_WARPS + threadIdx.x / WARP;
    if (row >= n) return;
    const float *word = words + (u64)ids[row] * width, *position = positions ? positions + (u64)places[row] * width : nullptr;
    for (u32 d = threadIdx.x % WARP * 4; d < width; d += WARP * 4) {
        float a[4], b[4];
        load_four(word + d, a);
        if (position) {
            load_four(position + d, b);
#pragma unroll
            for (u32 e = 0; e < 4; e++) a[e] += b[e];
        }
        store_four(x + (u64)row * width + d, a);
    }
}

// Adds `y` and a bias (either may be absent) to `x`, where they stay, and writes the norm of the sum to `out`, which may be
// `x`; without a scale nothing is normalised.
extern "C" __global__ void add_norm(float *x, const float *y, const float *bias, const float *scale, const float *shift,
                                    float epsilon, u32 n, u32 width, float *out) {
    u32 row = blockIdx.x * ROW_WARPS + threadIdx.x / WARP;
    if (row >= n) return;
    float *own = x + (u64)row * width;
    if (y) {
        for (u32 d = threadIdx.x % WARP * 4; d < width; d += WARP * 4) {
            float a[4], b[4];
            load_four(own + d, a);
            load_four(y + (u64)row * width + d, b);
#pragma unroll
            for (u32 e = 0; e < 4; e++) a[e] += b[e];
            if (bias) {
                load_four(bias + d, b);
#pragma unroll
                for (u32 e = 0; e < 4; e++) a[e] += b[e];
            }
            store_four(own + d, a);
        }
    }
    if (scale) normalise(own, width, scale, shift, epsilon, out ? out + (u64)row * width : own);
}

static __device__ __forceinline__ float active(float x, u32 kind) {
    switch (kind) {
    case 0: return 0.5f * x * (1.0f + erff(x * 0.70710678119f));
    case 1: return 0.5f * x * (1.0f + tanhf(0.7978845608f * (x + 0.044715f * x * x * x)));
    case 2: return x / (1.0f + expf(-1.702f * x));
    case 3: return x / (1.0f + expf(-x));
    default: return fmaxf(x, 0.0f);
    }
}

// The middle of a feed-forward part: rows of `up` (and behind it in the same row of the gate, where the layer is gated),
// with their biases, through the activation. `stride` is a row of `up`; `out` may be `up` where they are as wide.
extern "C" __global__ void activate(const float *up, const float *bias, u32 stride, u32 width, u32 kind, float *out) {
    u32 d = (blockIdx.y * blockDim.x + threadIdx.x) * 4;
    if (d >= width) return;
    const float *row = up + (u64)blockIdx.x * stride;
    float x[4], b[4];
    load_four(row + d, x);
    load_four(bias + d, b);
#pragma unroll
    for (u32 e = 0; e < 4; e++) x[e] = active(x[e] + b[e], kind);
    if (stride > width) {
        float g[4];
        load_four(row + width + d, g);
        load_four(bias + width + d, b);
#pragma unroll
        for (u32 e = 0; e < 4; e++) x[e] *= g[e] + b[e];
    }
    store_four(out + (u64)blockIdx.x * width + d, x);
}

// The mean of each sequence's rows: one block a sequence, of which `firsts` says where it begins and the next one does.
extern "C" __global__ void mean(const float *x, const u32 *firsts, u32 width, float *out) {
    u32 first = firsts[blockIdx.x], end = firsts[blockIdx.x + 1];
    for (u32 d = threadIdx.x * 4; d < width; d += blockDim.x * 4) {
        float sums[4] = {0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll 4
        for (u32 row = first; row < end; row++) {
            float v[4];
            load_four(x + (u64)row * width + d, v);
#pragma unroll
            for (u32 e = 0; e < 4; e++) sums[e] += v[e];
        }
#pragma unroll
        for (u32 e = 0; e < 4; e++) sums[e] /= (float)(end - first);
        store_four(out + (u64)blockIdx.x * width + d, sums);
    }
}

// Some rows: one block each.
extern "C" __global__ void pick(const float *x, const u32 *rows, u32 width, float *out) {
    for (u32 d = threadIdx.x * 4; d < width; d += blockDim.x * 4) {
        float v[4];
        load_four(x + (u64)rows[blockIdx.x] * width + d, v);
        store_four(out + (u64)blockIdx.x * width + d, v);
    }
}
