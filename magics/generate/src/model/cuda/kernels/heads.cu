// From the products of query, key and value to what attention reads: bias, norm and rotary position of each head, keys
// and values into their pages. One warp a head, the heads of a row in the order query, key, value.
//
// A page of a key-value head holds 32 tokens. Its keys stand in pieces of 16 bytes, first the first piece of every token,
// then the second: 32 lanes with a token each read 512 bytes side by side. Its values stand token after token.

#define HEAD_WARPS 4
#define MOST_DIMS 256

template <class T> struct Projections {
    const T *query, *key, *value;
    u32 query_stride, key_stride, value_stride;
};

// Reads a head, adds its bias and normalises it into `room`.
template <class T>
static __device__ __forceinline__ void read_head(const T *from, const float *bias, const float *norm, float epsilon, u32 dim,
                                                 float *room) {
    u32 lane = threadIdx.x % WARP;
    float sum = 0.0f;
    for (u32 d = lane; d < dim; d += WARP) {
        float x = number(from[d]) + (bias ? bias[d] : 0.0f);
        sum += x * x;
        room[d] = x;
    }
    if (norm) {
        float rate = 1.0f / sqrtf(add_lanes(sum) / (float)dim + epsilon);
        for (u32 d = lane; d < dim; d += WARP) room[d] *= rate * norm[d];
    }
    __syncwarp();
}

static __device__ __forceinline__ void turn(float *room, const float *cosines, const float *sines, u32 pairs, u32 interleaved) {
    for (u32 i = threadIdx.x % WARP; i < pairs; i += WARP) {
        u32 first = interleaved ? 2 * i : i, second = interleaved ? 2 * i + 1 : i + pairs;
        float a = room[first], b = room[second];
        room[first] = a * cosines[i] - b * sines[i];
        room[second] = a * sines[i] + b * cosines[i];
    }
    __syncwarp();
}

template <class T>
static __device__ __forceinline__ void
place(Projections<T> from, const float *bias, const float *query_norm, const float *key_norm, float epsilon, const float *cosines,
      const float *sines, u32 pairs, u32 interleaved, const u32 *slots, u32 n_heads, u32 n_kv, u32 dim, float scale, T *queries,
      T *keys, T *values) {
    __shared__ float rooms[HEAD_WARPS][MOST_DIMS];
    u32 row = blockIdx.x, head = blockIdx.y * HEAD_WARPS + threadIdx.x / WARP, lane = threadIdx.x % WARP;
    if (head >= n_heads + 2 * n_kv) return;
    float *room = rooms[threadIdx.x / WARP];
    u32 kind = head < n_heads ? 0 : head < n_heads + n_kv ? 1 : 2;
    u32 own = kind == 0 ? head : kind == 1 ? head - n_heads : head - n_heads - n_kv;
    const T *start = kind == 0 ? from.query : kind == 1 ? from.key : from.value;
    start += (u64)row * (kind == 0 ? from.query_stride : kind == 1 ? from.key_stride : from.value_stride) + own * dim;
    const float *norm = kind == 0 ? query_norm : kind == 1 ? key_norm : nullptr;
    read_head(start, bias ? bias + head * dim : nullptr, norm, epsilon, dim, room);
    if (kind < 2) turn(room, cosines + (u64)row * pairs, sines + (u64)row * pairs, pairs, interleaved);
    if (kind == 0) {
        T *into = queries + ((u64)row * n_heads + own) * dim;
        for (u32 d = lane; d < dim; d += WARP) put(into + d, room[d] * scale);
        return;
    }
    u32 slot = slots[row], token = slot % PAGE;
    u64 page = ((u64)(slot / PAGE) * n_kv + own) * dim * PAGE;
    if (kind == 2) {
        T *into = values + page + token * dim;
        for (u32 d = lane; d < dim; d += WARP) put(into + d, room[d]);
        return;
    }
    const u32 width = Width<T>::value;
    for (u32 d = lane; d < dim; d += WARP) put(keys + page + ((d / width) * PAGE + token) * width + d % width, room[d]);
}

#define PLACE(T)                                                                                                               \
    extern "C" __global__ void place_##T(const T *q, const T *k, const T *v, u32 q_stride, u32 k_stride, u32 v_stride,         \
                                         const float *bias, const float *query_norm, const float *key_norm, float epsilon,     \
                                         const float *cosines, const float *sines, u32 pairs, u32 interleaved,                 \
                                         const u32 *slots, u32 n_heads, u32 n_kv, u32 dim, float scale, T *queries, T *keys,   \
                                         T *values) {                                                                          \
        Projections<T> from{q, k, v, q_stride, k_stride, v_stride};                                                            \
        place(from, bias, query_norm, key_norm, epsilon, cosines, sines, pairs, interleaved, slots, n_heads, n_kv, dim, scale, \
              queries, keys, values);                                                                                          \
    }

PLACE(f32)
PLACE(bf16)
