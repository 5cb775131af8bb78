// What happens to whole rows between the products: embeddings, norms, gates, and the angles of a step.

// Rows of the table of embeddings, times a factor, as the residual stream: one block a row.
template <class T>
static __device__ __forceinline__ void embed(const T *table, const u32 *tokens, float scale, u32 width, float *out) {
    const T *from = table + (u64)tokens[blockIdx.x] * width;
    for (u32 d = threadIdx.x * 4; d < width; d += blockDim.x * 4) {
        float x[4];
        load_four(from + d, x);
#pragma unroll
        for (u32 e = 0; e < 4; e++) x[e] *= scale;
        store_four(out + (u64)blockIdx.x * width + d, x);
    }
}

// Adds y, normalised by `post` if that is there, to the residual x (a null y: nothing), and writes the root-mean-square
// norm of the sum (Zhang and Sennrich 2019). With a list of rows, only these are done. One block a row.
template <class T>
static __device__ __forceinline__ void add_norm(float *x, const T *y, const float *post, const float *weight, const u32 *rows,
                                                u32 width, float epsilon, T *out) {
    __shared__ float room[WARP];
    u32 row = rows ? rows[blockIdx.x] : blockIdx.x;
    float *residual = x + (u64)row * width;
    const T *added = y + (u64)row * width;
    float rate = 1.0f, sum = 0.0f;
    if (y && post) {
        for (u32 d = threadIdx.x * 4; d < width; d += blockDim.x * 4) {
            float v[4];
            load_four(added + d, v);
#pragma unroll
            for (u32 e = 0; e < 4; e++) sum += v[e] * v[e];
        }
        rate = 1.0f / sqrtf(add_block(sum, room) / (float)width + epsilon);
        sum = 0.0f;
    }
    for (u32 d = threadIdx.x * 4; d < width; d += blockDim.x * 4) {
        float v[4], a[4];
        load_four(residual + d, v);
        if (y) {
            load_four(added + d, a);
#pragma unroll
            for (u32 e = 0; e < 4; e++) v[e] += post ? a[e] * rate * post[d + e] : a[e];
            store_four(residual + d, v);
        }
#pragma unroll
        for (u32 e = 0; e < 4; e++) sum += v[e] * v[e];
    }
    rate = 1.0f / sqrtf(add_block(sum, room) / (float)width + epsilon);
    for (u32 d = threadIdx.x * 4; d < width; d += blockDim.x * 4) {
        float v[4], w[4];
        load_four(residual + d, v);
        load_four(weight + d, w);
#pragma unroll
        for (u32 e = 0; e < 4; e++) v[e] = v[e] * rate * w[e];
        store_four(out + (u64)blockIdx.x * width + d, v);
    }
}

// Multiplies `up` into the activated `gate`; both are columns of wider rows.
template <class T>
static __device__ __forceinline__ void gate(const T *gates, const T *ups, u32 gate_stride, u32 up_stride, u32 width, u32 gelu,
                                            T *out) {
    u32 d = (blockIdx.y * blockDim.x + threadIdx.x) * 4;
    if (d >= width) return;
    float g[4], u[4];
    load_four(gates + (u64)blockIdx.x * gate_stride + d, g);
    load_four(ups + (u64)blockIdx.x * up_stride + d, u);
#pragma unroll
    for (u32 e = 0; e < 4; e++) {
        float x = g[e];
        float active = gelu ? 0.5f * x * (1.0f + tanhf(0.7978845608f * (x + 0.044715f * x * x * x))) : x / (1.0f + expf(-x));
        u[e] *= active;
    }
    store_four(out + (u64)blockIdx.x * width + d, u);
}

extern "C" __global__ void embed_f32(const float *table, const u32 *tokens, float scale, u32 width, float *out) {
    embed(table, tokens, scale, width, out);
}

extern "C" __global__ void embed_bf16(const bf16 *table, const u32 *tokens, float scale, u32 width, float *out) {
    embed(table, tokens, scale, width, out);
}

extern "C" __global__ void add_norm_f32(float *x, const float *y, const float *post, const float *weight, const u32 *rows,
                                        u32 width, float epsilon, float *out) {
    add_norm(x, y, post, weight, rows, width, epsilon, out);
}

extern "C" __global__ void add_norm_bf16(float *x, const bf16 *y, const float *post, const float *weight, const u32 *rows,
                                         u32 width, float epsilon, bf16 *out) {
    add_norm(x, y, post, weight, rows, width, epsilon, out);
}

extern "C" __global__ void gate_f32(const float *gates, const float *ups, u32 gate_stride, u32 up_stride, u32 width, u32 gelu,
                                    float *out) {
    gate(gates, ups, gate_stride, up_stride, width, gelu, out);
}

extern "C" __global__ void gate_bf16(const bf16 *gates, const bf16 *ups, u32 gate_stride, u32 up_stride, u32 width, u32 gelu,
                                     bf16 *out) {
    gate(gates, ups, gate_stride, up_stride, width, gelu, out);
}

// Cosine and sine of each row's position times each frequency: rows × pairs, one block a row.
extern "C" __global__ void angles(const u32 *positions, const float *frequencies, float scale, u32 pairs, float *cosines,
                                  float *sines) {
    float position = (float)positions[blockIdx.x];
    for (u32 i = threadIdx.x; i < pairs; i += blockDim.x) {
        float angle = position * frequencies[i];
        cosines[blockIdx.x * pairs + i] = cosf(angle) * scale;
        sines[blockIdx.x * pairs + i] = sinf(angle) * scale;
    }
}

// Caps the logits where they stand: one block a row.
extern "C" __global__ void cap_rows(float *logits, u32 width, float cap) {
    float *row = logits + (u64)blockIdx.x * width;
    for (u32 i = threadIdx.x; i < width; i += blockDim.x) row[i] = capped(row[i], cap);
}
