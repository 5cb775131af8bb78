// Norms, inertia and sums, in f64 by trees that depend on the number of rows alone; and what the assignment needs of
// centroids.

// One warp a row: ‖x‖², and the spread ⁴√Σx⁴ (√Σx²c² is at most the product of two spreads, and that is what rounding
// errors of x·c scale with); a block of 256 rows gives its sum of w‖x‖² as one f64.
template <class T>
static __device__ __forceinline__ void measure(const T *x, const float *weights, u32 rows, u32 ld, float *squares,
                                               float *spreads, double *partial) {
    constexpr u32 width = Width<T>::value;
    __shared__ double room[8];
    u32 lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    double total = 0.0;
    for (u32 i = warp; i < 256u; i += 8u) {
        u32 row = blockIdx.x * 256u + i;
        if (row >= rows) break;
        double square = 0.0, quartic = 0.0;
        for (u32 column = lane * width; column < ld; column += WARP * width) {
            float values[width];
            unpack(x + (u64)row * ld + column, values);
#pragma unroll
            for (u32 e = 0; e < width; e++) {
                double squared = (double)values[e] * (double)values[e];
                square += squared;
                quartic += squared * squared;
            }
        }
        square = add_lanes(square);
        quartic = add_lanes(quartic);
        if (lane == 0) {
            squares[row] = (float)square;
            spreads[row] = (float)sqrt(sqrt(quartic));
            total += (weights ? (double)weights[row] : 1.0) * square;
        }
    }
    total = add_block(total, room);
    if (threadIdx.x == 0) partial[blockIdx.x] = total;
}

extern "C" __global__ void __launch_bounds__(256) measure_f32(const float *x, const float *weights, u32 rows, u32 ld,
                                                              float *squares, float *spreads, double *partial) {
    measure(x, weights, rows, ld, squares, spreads, partial);
}

extern "C" __global__ void __launch_bounds__(256) measure_bf16(const bf16 *x, const float *weights, u32 rows, u32 ld,
                                                               float *squares, float *spreads, double *partial) {
    measure(x, weights, rows, ld, squares, spreads, partial);
}

// Σ w·‖x − c‖² over 256 rows a block, each difference taken before it is squared: nothing cancels.
template <class T>
static __device__ __forceinline__ void inertia(const T *x, const float *weights, const u32 *labels, const float *centroids,
                                               u32 rows, u32 ld, double *partial) {
    constexpr u32 width = Width<T>::value;
    __shared__ double room[8];
    u32 lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    double total = 0.0;
    for (u32 i = warp; i < 256u; i += 8u) {
        u32 row = blockIdx.x * 256u + i;
        if (row >= rows) break;
        const float *centroid = centroids + (u64)labels[row] * ld;
        double weight = weights ? (double)weights[row] : 1.0;
        for (u32 column = lane * width; column < ld; column += WARP * width) {
            float values[width];
            unpack(x + (u64)row * ld + column, values);
#pragma unroll
            for (u32 e = 0; e < width; e++) {
                double step = (double)values[e] - (double)centroid[column + e];
                total += weight * step * step;
            }
        }
    }
    total = add_block(total, room);
    if (threadIdx.x == 0) partial[blockIdx.x] = total;
}

extern "C" __global__ void __launch_bounds__(256) inertia_f32(const float *x, const float *weights, const u32 *labels,
                                                              const float *centroids, u32 rows, u32 ld, double *partial) {
    inertia(x, weights, labels, centroids, rows, ld, partial);
}

extern "C" __global__ void __launch_bounds__(256) inertia_bf16(const bf16 *x, const float *weights, const u32 *labels,
                                                               const float *centroids, u32 rows, u32 ld, double *partial) {
    inertia(x, weights, labels, centroids, rows, ld, partial);
}

// One block a column of `values` (n × columns): its sum, to `sums[column]`.
extern "C" __global__ void __launch_bounds__(256) sum_columns(const double *values, u32 n, u32 columns, double *sums) {
    __shared__ double room[8];
    double total = 0.0;
    for (u32 i = threadIdx.x; i < n; i += 256u) total += values[(u64)i * columns + blockIdx.x];
    total = add_block(total, room);
    if (threadIdx.x == 0) sums[blockIdx.x] = total;
}

// Sum and sum of squares of each column over the rows of a block, times their weights: what the mean variance needs.
template <class T>
static __device__ __forceinline__ void moments(const T *x, const float *weights, u32 rows, u32 ld, double *partial) {
    u32 column = blockIdx.x * 128u + threadIdx.x, first = blockIdx.y * 1024u;
    if (column >= ld) return;
    double sum = 0.0, square = 0.0;
    for (u32 row = first; row < rows && row < first + 1024u; row++) {
        double value = number(x[(u64)row * ld + column]), weight = weights ? (double)weights[row] : 1.0;
        sum += weight * value;
        square += weight * value * value;
    }
    partial[(u64)blockIdx.y * ld * 2 + column] = sum;
    partial[(u64)blockIdx.y * ld * 2 + ld + column] = square;
}

extern "C" __global__ void __launch_bounds__(128) moments_f32(const float *x, const float *weights, u32 rows, u32 ld,
                                                              double *partial) {
    moments(x, weights, rows, ld, partial);
}

extern "C" __global__ void __launch_bounds__(128) moments_bf16(const bf16 *x, const float *weights, u32 rows, u32 ld,
                                                               double *partial) {
    moments(x, weights, rows, ld, partial);
}

// Scales each row to length 1 in place (a row of zeros stays); one warp a row.
extern "C" __global__ void __launch_bounds__(256) normalise_f32(float *x, u32 rows, u32 ld) {
    u32 lane = threadIdx.x % WARP, row = blockIdx.x * 8u + threadIdx.x / WARP;
    if (row >= rows) return;
    double square = 0.0;
    for (u32 column = lane; column < ld; column += WARP) {
        double value = x[(u64)row * ld + column];
        square += value * value;
    }
    square = add_lanes(square);
    double scale = square > 0.0 ? 1.0 / sqrt(square) : 0.0;
    for (u32 column = lane; column < ld; column += WARP) {
        x[(u64)row * ld + column] = (float)((double)x[(u64)row * ld + column] * scale);
    }
}

// Makes centroids ready: ‖c‖²/2 (infinity behind the last, up to `padded`), the largest spread, and their copy as the
// tensor cores read it. `widest` starts as 0; spreads are not negative, so their bits are in their order. One warp each.
extern "C" __global__ void __launch_bounds__(256) ready_centroids(const float *centroids, u32 k, u32 padded, u32 ld,
                                                                  float *halves, u32 *widest, u32 *tf32, bf16 *half_words) {
    u32 lane = threadIdx.x % WARP, at = blockIdx.x * 8u + threadIdx.x / WARP;
    if (at >= padded) return;
    double square = 0.0, quartic = 0.0;
    for (u32 column = lane; at < k && column < ld; column += WARP) {
        float c = centroids[(u64)at * ld + column];
        double squared = (double)c * (double)c;
        square += squared;
        quartic += squared * squared;
        if (tf32) tf32[(u64)at * ld + column] = to_tf32(__float_as_uint(c)) & 0xffffe000u;
        if (half_words) half_words[(u64)at * ld + column] = (bf16)to_bf16(c);
    }
    square = add_lanes(square);
    quartic = add_lanes(quartic);
    if (lane == 0) {
        halves[at] = at < k ? (float)(square / 2.0) : infinity();
        if (at < k) atomicMax(widest, __float_as_uint((float)sqrt(sqrt(quartic))));
    }
}

// Rows in f32 (stride `ld_from`) to bf16 (stride `ld`, zeros behind).
extern "C" __global__ void __launch_bounds__(256) round_rows(const float *from, u32 rows, u32 ld_from, u32 ld, bf16 *into) {
    u64 n = (u64)rows * ld;
    for (u64 at = (u64)blockIdx.x * 256u + threadIdx.x; at < n; at += (u64)gridDim.x * 256u) {
        u64 column = at % ld;
        into[at] = column < ld_from ? (bf16)to_bf16(from[at / ld * ld_from + column]) : (bf16)0;
    }
}
