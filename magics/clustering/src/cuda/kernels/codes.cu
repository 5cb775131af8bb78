// Answers to questions as codes: a row is q codes of V values (NONE: no answer), a one-hot row is never made.
//
// x·c is a sum of q entries of the centroids' transpose [V × k], whose rows are read side by side by the threads of a
// block. Sums of clusters are counts, exact in integers in any order.

#define CODE_ROWS 8

// Threads stand as `rows` groups × `line` centroids (a power of two ≤ 256); each takes 8 rows for one centroid at a time.
extern "C" __global__ void __launch_bounds__(256) assign_codes(const u32 *codes, const float *table, const float *halves,
                                                               u32 rows, u32 questions, u32 k, u32 line, u32 *labels,
                                                               float *scores) {
    __shared__ Nearest room[256][CODE_ROWS];
    u32 groups = 256u / line, group = threadIdx.x / line, lane = threadIdx.x % line;
    u64 first = ((u64)blockIdx.x * groups + group) * CODE_ROWS;
    Nearest best[CODE_ROWS];
#pragma unroll
    for (u32 i = 0; i < CODE_ROWS; i++) best[i] = nobody();
    for (u32 label = lane; label < k; label += line) {
        float sums[CODE_ROWS] = {};
        for (u32 question = 0; question < questions; question++) {
#pragma unroll
            for (u32 i = 0; i < CODE_ROWS; i++) {
                u32 code = first + i < rows ? codes[(first + i) * questions + question] : NONE;
                if (code != NONE) sums[i] += table[(u64)code * k + label];
            }
        }
#pragma unroll
        for (u32 i = 0; i < CODE_ROWS; i++) offer(best[i], halves[label] - sums[i], label);
    }
#pragma unroll
    for (u32 i = 0; i < CODE_ROWS; i++) room[threadIdx.x][i] = best[i];
    for (u32 step = line / 2; step > 0; step /= 2) {
        __syncthreads();
        if (lane >= step) continue;
        for (u32 i = 0; i < CODE_ROWS; i++) {
            Nearest other = room[threadIdx.x + step][i];
            merge(room[threadIdx.x][i], other.score, other.second, other.label);
        }
    }
    __syncthreads();
    if (lane < CODE_ROWS || line < CODE_ROWS) {
        for (u32 i = lane; i < CODE_ROWS; i += line) {
            if (first + i >= rows) break;
            labels[first + i] = room[group * line][i].label;
            scores[first + i] = room[group * line][i].score;
        }
    }
}

// Counts each answer in its row's cluster: `counts` is k × V.
extern "C" __global__ void __launch_bounds__(256) count_codes(const u32 *codes, const u32 *labels, u32 rows, u32 questions,
                                                              u32 values, u32 *counts, u64 *sizes) {
    u64 n = (u64)rows * questions;
    for (u64 at = (u64)blockIdx.x * 256u + threadIdx.x; at < n; at += (u64)gridDim.x * 256u) {
        u32 label = labels[at / questions], code = codes[at];
        if (code != NONE) atomicAdd(counts + (u64)label * values + code, 1u);
        if (at % questions == 0) atomicAdd(sizes + label, (u64)1);
    }
}

// Counts as the sums of one-hot columns that hold `scales[value]`; sizes as masses.
extern "C" __global__ void __launch_bounds__(256) sums_of_counts(const u32 *counts, const u64 *sizes, const float *scales,
                                                                 u32 k, u32 values, double *sums, double *mass) {
    u64 n = (u64)k * values;
    for (u64 at = (u64)blockIdx.x * 256u + threadIdx.x; at < n; at += (u64)gridDim.x * 256u) {
        sums[at] = (double)counts[at] * (double)scales[at % values];
        if (at < k) mass[at] = (double)sizes[at];
    }
}

// The centroids' transpose times the scales: [V × k].
extern "C" __global__ void __launch_bounds__(256) table_of_centroids(const float *centroids, const float *scales, u32 k,
                                                                     u32 values, float *table) {
    u64 n = (u64)k * values;
    for (u64 at = (u64)blockIdx.x * 256u + threadIdx.x; at < n; at += (u64)gridDim.x * 256u) {
        table[at] = centroids[at % k * values + at / k] * scales[at / k];
    }
}

// ‖x‖² of each row, and the sum over 256 rows a block.
extern "C" __global__ void __launch_bounds__(256) measure_codes(const u32 *codes, const float *scales, u32 rows,
                                                                u32 questions, float *squares, double *partial) {
    __shared__ double room[8];
    u32 row = blockIdx.x * 256u + threadIdx.x;
    double square = 0.0;
    for (u32 question = 0; row < rows && question < questions; question++) {
        u32 code = codes[(u64)row * questions + question];
        if (code != NONE) square += (double)scales[code] * (double)scales[code];
    }
    if (row < rows) squares[row] = (float)square;
    square = add_block(square, room);
    if (threadIdx.x == 0) partial[blockIdx.x] = square;
}

// As `weigh_f32`, with trials that are rows of codes; one thread a row.
extern "C" __global__ void __launch_bounds__(256) weigh_codes(const u32 *codes, const float *scales, const u32 *trials, u32 m,
                                                              u32 rows, u32 questions, u32 keep, float *closest,
                                                              double *potentials) {
    __shared__ double room[8];
    u32 row = blockIdx.x * 256u + threadIdx.x;
    for (u32 trial = 0; trial < m; trial++) {
        float distance = 0.0f;
        for (u32 question = 0; row < rows && question < questions; question++) {
            u32 mine = codes[(u64)row * questions + question], other = trials[(u64)trial * questions + question];
            if (mine == other) continue;
            if (mine != NONE) distance = fmaf(scales[mine], scales[mine], distance);
            if (other != NONE) distance = fmaf(scales[other], scales[other], distance);
        }
        float near = row < rows ? fminf(distance, closest[row]) : 0.0f;
        if (keep && row < rows) closest[row] = near;
        double all = add_block((double)near, room);
        if (threadIdx.x == 0) potentials[(u64)blockIdx.x * m + trial] = all;
    }
}
