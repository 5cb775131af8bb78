// New centroids without floating-point atomics: the rows are sorted by label (a stable counting sort), each run is cut
// into spans of 256 rows, spans are summed in f64, and their sums are added in order. Same labels, same bits.

#define SPAN 256

// One warp walks `length` rows in order, so that equal labels keep it. `counts` is k × segments; with `order` null the
// rows are counted, else `counts` holds the first free place of each (label, segment) and the rows are placed.
static __device__ __forceinline__ void walk(const u32 *labels, u32 rows, u32 segments, u32 length, u32 *counts, u32 *order) {
    u32 lane = threadIdx.x % WARP;
    u32 segment = blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP;
    if (segment >= segments) return;
    u64 end = (u64)(segment + 1) * length;
    if (end > rows) end = rows;
    for (u64 first = (u64)segment * length; first < end; first += WARP) {
        u64 row = first + lane;
        u32 label = row < end ? labels[row] : NONE;
        u32 equals = __match_any_sync(EVERY_LANE, label);
        u32 before = __popc(equals & ((1u << lane) - 1u));
        u64 slot = (u64)label * segments + segment;
        u32 count = label != NONE ? counts[slot] : 0;
        if (order && label != NONE) order[count + before] = (u32)row;
        __syncwarp();
        if (before == 0 && label != NONE) counts[slot] = count + __popc(equals);
        __syncwarp();
    }
}

extern "C" __global__ void __launch_bounds__(128) count_labels(const u32 *labels, u32 rows, u32 segments, u32 length,
                                                               u32 *counts) {
    walk(labels, rows, segments, length, counts, (u32 *)0);
}

// Afterwards `counts` holds the end of each (label, segment).
extern "C" __global__ void __launch_bounds__(128) place_rows(const u32 *labels, u32 rows, u32 segments, u32 length,
                                                             u32 *counts, u32 *order) {
    walk(labels, rows, segments, length, counts, order);
}

// Running sums (each without its own element) of 2,048 elements a block, in place; `totals` gets the sum of each block.
extern "C" __global__ void __launch_bounds__(256) scan_blocks(u32 *values, u64 n, u32 *totals) {
    __shared__ u32 room[256];
    u64 first = ((u64)blockIdx.x * 256u + threadIdx.x) * 8u;
    u32 mine[8], sum = 0;
#pragma unroll
    for (u32 e = 0; e < 8; e++) {
        mine[e] = first + e < n ? values[first + e] : 0;
        sum += mine[e];
    }
    room[threadIdx.x] = sum;
    __syncthreads();
    for (u32 step = 1; step < 256; step *= 2) {
        u32 other = threadIdx.x >= step ? room[threadIdx.x - step] : 0;
        __syncthreads();
        room[threadIdx.x] += other;
        __syncthreads();
    }
    u32 running = room[threadIdx.x] - sum;
#pragma unroll
    for (u32 e = 0; e < 8; e++) {
        if (first + e < n) values[first + e] = running;
        running += mine[e];
    }
    if (threadIdx.x == 255) totals[blockIdx.x] = room[255];
}

extern "C" __global__ void __launch_bounds__(256) add_totals(u32 *values, u64 n, const u32 *totals) {
    u64 first = (u64)blockIdx.x * 2048u;
    for (u32 e = threadIdx.x; e < 2048u && first + e < n; e += 256u) values[first + e] += totals[blockIdx.x];
}

static __device__ __forceinline__ u32 run_end(const u32 *ends, u32 segments, u32 label) {
    return ends[(u64)label * segments + segments - 1];
}

static __device__ __forceinline__ u32 run_start(const u32 *ends, u32 segments, u32 label) {
    return label == 0 ? 0 : run_end(ends, segments, label - 1);
}

// Spans of each label's run (element k: 0, so that a scan puts their total there), and its size added to `sizes`.
extern "C" __global__ void __launch_bounds__(256) count_spans(const u32 *ends, u32 segments, u32 k, u32 *spans, u64 *sizes) {
    u32 label = blockIdx.x * 256u + threadIdx.x;
    if (label > k) return;
    u32 size = label < k ? run_end(ends, segments, label) - run_start(ends, segments, label) : 0;
    spans[label] = (size + SPAN - 1) / SPAN;
    if (label < k) sizes[label] += size;
}

// The label whose run holds span `span`: the last one that starts at or before it.
static __device__ __forceinline__ u32 label_of(const u32 *first_spans, u32 k, u32 span) {
    u32 low = 0, high = k;
    while (high - low > 1) {
        u32 middle = (low + high) / 2;
        if (first_spans[middle] <= span) low = middle;
        else high = middle;
    }
    return low;
}

// One block a span. Threads stand as groups × pieces of 16 bytes; a group takes every groups-th row, and the groups'
// sums are added in order. `partial` is spans × ld, `partial_mass` one weight a span.
template <class T>
static __device__ __forceinline__ void sum_span(const T *x, const float *weights, const u32 *order, const u32 *ends,
                                                u32 segments, const u32 *first_spans, u32 k, u32 ld, double *partial,
                                                double *partial_mass) {
    constexpr u32 width = Width<T>::value;
    __shared__ u32 rows[SPAN];
    __shared__ float mass[SPAN];
    __shared__ double room[128 * width];
    u32 span = blockIdx.x;
    if (span >= first_spans[k]) return;
    u32 label = label_of(first_spans, k, span);
    u32 start = run_start(ends, segments, label) + (span - first_spans[label]) * SPAN;
    u32 stop = run_end(ends, segments, label);
    u32 n = stop - start < SPAN ? stop - start : SPAN;
    for (u32 i = threadIdx.x; i < n; i += 128u) {
        rows[i] = order[start + i];
        mass[i] = weights ? weights[rows[i]] : 1.0f;
    }
    __syncthreads();
    u32 pieces = ld / width, line = pieces < 128u ? pieces : 128u, groups = 128u / line;
    u32 group = threadIdx.x / line, lane = threadIdx.x % line;
    for (u32 base = 0; base < pieces; base += line) {
        double sums[width];
        for (u32 e = 0; e < width; e++) sums[e] = 0.0;
        bool busy = group < groups && base + lane < pieces;
        if (busy) {
#pragma unroll 4
            for (u32 i = group; i < n; i += groups) {
                float values[width];
                unpack(x + (u64)rows[i] * ld + (base + lane) * width, values);
#pragma unroll
                for (u32 e = 0; e < width; e++) sums[e] += (double)mass[i] * (double)values[e];
            }
        }
        for (u32 e = 0; e < width; e++) room[e * 128u + threadIdx.x] = sums[e];
        __syncthreads();
        if (busy && group == 0) {
            for (u32 e = 0; e < width; e++) {
                double total = 0.0;
                for (u32 g = 0; g < groups; g++) total += room[e * 128u + g * line + lane];
                partial[(u64)span * ld + (base + lane) * width + e] = total;
            }
        }
        __syncthreads();
    }
    if (threadIdx.x == 0) {
        double total = 0.0;
        for (u32 i = 0; i < n; i++) total += (double)mass[i];
        partial_mass[span] = total;
    }
}

extern "C" __global__ void __launch_bounds__(128) sum_spans_f32(const float *x, const float *weights, const u32 *order,
                                                                const u32 *ends, u32 segments, const u32 *first_spans, u32 k,
                                                                u32 ld, double *partial, double *partial_mass) {
    sum_span(x, weights, order, ends, segments, first_spans, k, ld, partial, partial_mass);
}

extern "C" __global__ void __launch_bounds__(128) sum_spans_bf16(const bf16 *x, const float *weights, const u32 *order,
                                                                 const u32 *ends, u32 segments, const u32 *first_spans,
                                                                 u32 k, u32 ld, double *partial, double *partial_mass) {
    sum_span(x, weights, order, ends, segments, first_spans, k, ld, partial, partial_mass);
}

// Adds the spans of each label, in order, to what earlier chunks of rows gave; one block a label.
extern "C" __global__ void __launch_bounds__(128) fold_spans(const double *partial, const double *partial_mass,
                                                             const u32 *first_spans, u32 ld, double *sums, double *mass) {
    u32 label = blockIdx.x, first = first_spans[label], end = first_spans[label + 1];
    for (u32 column = threadIdx.x; column < ld; column += 128u) {
        double total = sums[(u64)label * ld + column];
#pragma unroll 4
        for (u32 span = first; span < end; span++) total += partial[(u64)span * ld + column];
        sums[(u64)label * ld + column] = total;
    }
    if (threadIdx.x == 0) {
        double total = mass[label];
        for (u32 span = first; span < end; span++) total += partial_mass[span];
        mass[label] = total;
    }
}

// One block a label: the mean of its rows (unit length if `sphere`; the old centroid where it has none), the squared
// shift, and its part of the inertia at the old centroid: m‖c‖² − 2 s·c, to which Σ w‖x‖² belongs.
extern "C" __global__ void __launch_bounds__(128) move_centroids(const double *sums, const double *mass, const float *old,
                                                                 u32 ld, u32 sphere, float *moved, double *shifts,
                                                                 double *costs) {
    __shared__ double room[4];
    u64 at = (u64)blockIdx.x * ld;
    double weight = mass[blockIdx.x], square = 0.0, product = 0.0, length = 0.0, shift = 0.0;
    for (u32 column = threadIdx.x; column < ld; column += 128u) {
        double c = old[at + column], s = sums[at + column];
        square += c * c;
        product += s * c;
        length += s * s;
    }
    square = add_block(square, room);
    product = add_block(product, room);
    length = add_block(length, room);
    double scale = sphere ? (length > 0.0 ? 1.0 / sqrt(length) : 0.0) : (weight > 0.0 ? 1.0 / weight : 0.0);
    for (u32 column = threadIdx.x; column < ld; column += 128u) {
        float c = old[at + column];
        float next = scale > 0.0 ? (float)(sums[at + column] * scale) : c;
        double step = (double)next - (double)c;
        shift += step * step;
        moved[at + column] = next;
    }
    shift = add_block(shift, room);
    if (threadIdx.x == 0) {
        shifts[blockIdx.x] = shift;
        costs[blockIdx.x] = weight * square - 2.0 * product;
    }
}
