// Attention of single rows over a paged cache: one block of four warps for an item, that is a row and a stretch of the
// tokens it sees, and for the query heads of one key-value head (eight at most).
//
// Warps take pages in turn. A lane scores one token of a page for all query heads, so that a key is read once; then it
// sums some dimensions of the values. Softmax runs over the pages with a running maximum (Milakov and Gimelshein 2018). A
// row's tokens can be split over several items, whose sums `merge` brings together (Dao et al. 2023, "Flash-Decoding").

#define ATTEND_WARPS 4

struct Item {
    u32 row;
    u32 pages;    // where its list of pages begins
    u32 position; // of the row in its sequence
    u32 first;    // of the tokens, a multiple of a page
    u32 end;      // behind the last
    u32 slot;     // where sums go that are to be merged, or NONE
};

template <u32 E, u32 G> struct Running {
    float most[G], total[G], sums[G][E];
};

// Makes of the lanes' scores of a page their exponentials below the largest score so far.
template <u32 E, u32 G>
static __device__ __forceinline__ void soften(Running<E, G> &running, float (*weights)[WARP], const float *scores, bool seen) {
#pragma unroll
    for (u32 g = 0; g < G; g++) {
        float score = seen ? scores[g] : -infinity();
        float most = fmaxf(running.most[g], most_lanes(score));
        float weight = seen ? expf(score - most) : 0.0f;
        float shrink = expf(running.most[g] - most);
        running.total[g] = running.total[g] * shrink + add_lanes(weight);
        running.most[g] = most;
#pragma unroll
        for (u32 e = 0; e < E; e++) running.sums[g][e] *= shrink;
        weights[g][threadIdx.x % WARP] = weight;
    }
    __syncwarp();
}

template <class T, u32 G>
static __device__ __forceinline__ void score_page(const T *keys, const float *queries, u32 dim, float cap, float *scores) {
    const u32 width = Width<T>::value;
#pragma unroll
    for (u32 g = 0; g < G; g++) scores[g] = 0.0f;
#pragma unroll 4
    for (u32 d = 0; d < dim; d += width) {
        float key[width];
        load_piece(keys + d * PAGE + threadIdx.x % WARP * width, key);
#pragma unroll
        for (u32 g = 0; g < G; g++) {
            float query[width];
#pragma unroll
            for (u32 e = 0; e < width; e += 4) load_piece(queries + g * dim + d + e, query + e);
#pragma unroll
            for (u32 e = 0; e < width; e++) scores[g] += query[e] * key[e];
        }
    }
#pragma unroll
    for (u32 g = 0; g < G; g++) scores[g] = capped(scores[g], cap);
}

template <class T, u32 E, u32 G>
static __device__ __forceinline__ void sum_values(Running<E, G> &running, const T *values, const float (*weights)[WARP], u32 dim,
                                                  u32 first, u32 end) {
    u32 d = threadIdx.x % WARP * E;
    if (d < dim) {
#pragma unroll 4
        for (u32 t = first; t < end; t++) {
            float value[E];
            load_some<E>(values + t * dim + d, value);
#pragma unroll
            for (u32 g = 0; g < G; g++) {
#pragma unroll
                for (u32 e = 0; e < E; e++) running.sums[g][e] += weights[g][t] * value[e];
            }
        }
    }
    __syncwarp();
}

// The warps' sums become one, of which a thread gets one dimension at a time.
template <class T, u32 E, u32 G>
static __device__ __forceinline__ void finish(const Running<E, G> &running, const Item &item, u32 head, u32 n, u32 n_heads, u32 dim,
                                              T *out, float *sums, float *states) {
    __shared__ float most[ATTEND_WARPS][G], total[ATTEND_WARPS][G], room[ATTEND_WARPS][G][E * WARP];
    u32 warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
#pragma unroll
    for (u32 g = 0; g < G; g++) {
        if (lane == 0) most[warp][g] = running.most[g], total[warp][g] = running.total[g];
#pragma unroll
        for (u32 e = 0; e < E; e++) room[warp][g][lane * E + e] = running.sums[g][e];
    }
    __syncthreads();
    for (u32 g = 0; g < n; g++) {
        float peak = -infinity(), all = 0.0f, shrinks[ATTEND_WARPS];
        for (u32 w = 0; w < ATTEND_WARPS; w++) peak = fmaxf(peak, most[w][g]);
        for (u32 w = 0; w < ATTEND_WARPS; w++) {
            shrinks[w] = peak == -infinity() ? 0.0f : expf(most[w][g] - peak);
            all += total[w][g] * shrinks[w];
        }
        for (u32 d = threadIdx.x; d < dim; d += blockDim.x) {
            float sum = 0.0f;
            for (u32 w = 0; w < ATTEND_WARPS; w++) sum += room[w][g][d] * shrinks[w];
            if (item.slot == NONE) put(out + ((u64)item.row * n_heads + head + g) * dim + d, sum / all);
            else sums[((u64)item.slot * n_heads + head + g) * dim + d] = sum;
        }
        if (item.slot != NONE && threadIdx.x == 0) {
            states[((u64)item.slot * n_heads + head + g) * 2] = peak;
            states[((u64)item.slot * n_heads + head + g) * 2 + 1] = all;
        }
    }
}

template <class T, u32 E, u32 G>
static __device__ __forceinline__ void attend(const T *queries, const T *keys, const T *values, const Item *items, const u32 *pages,
                                              u32 n_heads, u32 n_kv, u32 dim, u32 window, float cap, T *out, float *sums,
                                              float *states) {
    __shared__ __align__(16) float query[G * E * WARP];
    __shared__ float weights[ATTEND_WARPS][G][WARP];
    Item item = items[blockIdx.x];
    u32 group = n_heads / n_kv, chunks = (group + G - 1) / G;
    u32 kv = blockIdx.y / chunks, chunk = blockIdx.y % chunks * G;
    u32 head = kv * group + chunk, n = group - chunk < G ? group - chunk : G;
    u32 warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    for (u32 i = threadIdx.x; i < G * dim; i += blockDim.x) {
        query[i] = i < n * dim ? number(queries[((u64)item.row * n_heads + head) * dim + i]) : 0.0f;
    }
    __syncthreads();
    u32 seen = window && item.position + 1 > window ? item.position + 1 - window : 0;
    u32 first = seen > item.first ? seen : item.first;
    Running<E, G> running;
#pragma unroll
    for (u32 g = 0; g < G; g++) {
        running.most[g] = -infinity(), running.total[g] = 0.0f;
#pragma unroll
        for (u32 e = 0; e < E; e++) running.sums[g][e] = 0.0f;
    }
    for (u32 at = first / PAGE + warp; at * PAGE < item.end && first < item.end; at += ATTEND_WARPS) {
        u64 page = ((u64)pages[item.pages + at] * n_kv + kv) * dim * PAGE;
        u32 from = first > at * PAGE ? first - at * PAGE : 0, to = item.end - at * PAGE < PAGE ? item.end - at * PAGE : PAGE;
        float scores[G];
        score_page<T, G>(keys + page, query, dim, cap, scores);
        soften(running, weights[warp], scores, lane >= from && lane < to);
        sum_values(running, values + page, weights[warp], dim, from, to);
    }
    finish(running, item, head, n, n_heads, dim, out, sums, states);
}

// Brings the sums of a row's items together: one block for a row (row, first slot, slots) and a head.
template <class T>
static __device__ __forceinline__ void merge(const u32 *rows, const float *sums, const float *states, u32 n_heads, u32 dim, T *out) {
    const u32 *row = rows + 3 * blockIdx.x;
    u32 head = blockIdx.y;
    float peak = -infinity(), all = 0.0f;
    for (u32 i = 0; i < row[2]; i++) peak = fmaxf(peak, states[((u64)(row[1] + i) * n_heads + head) * 2]);
    for (u32 i = 0; i < row[2]; i++) {
        const float *state = states + ((u64)(row[1] + i) * n_heads + head) * 2;
        all += state[1] * expf(state[0] - peak);
    }
    for (u32 d = threadIdx.x; d < dim; d += blockDim.x) {
        float sum = 0.0f;
        for (u32 i = 0; i < row[2]; i++) {
            u64 at = (u64)(row[1] + i) * n_heads + head;
            sum += sums[at * dim + d] * expf(states[at * 2] - peak);
        }
        put(out + ((u64)row[0] * n_heads + head) * dim + d, sum / all);
    }
}

extern "C" __global__ void merge_f32(const u32 *rows, const float *sums, const float *states, u32 n_heads, u32 dim, f32 *out) {
    merge(rows, sums, states, n_heads, dim, out);
}

extern "C" __global__ void merge_bf16(const u32 *rows, const float *sums, const float *states, u32 n_heads, u32 dim, bf16 *out) {
    merge(rows, sums, states, n_heads, dim, out);
}

// The kernel for dimensions up to 32·E and G query heads a block; a model needs one of them.
#define ATTEND(T, E, G)                                                                                                       \
    extern "C" __global__ void __launch_bounds__(128)                                                                         \
        attend_##T##_##E##_##G(const T *queries, const T *keys, const T *values, const Item *items, const u32 *pages,         \
                               u32 n_heads, u32 n_kv, u32 dim, u32 window, float cap, T *out, float *sums, float *states) {   \
        attend<T, E, G>(queries, keys, values, items, pages, n_heads, n_kv, dim, window, cap, out, sums, states);             \
    }
