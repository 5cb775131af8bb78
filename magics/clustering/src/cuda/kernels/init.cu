// First centroids by D² sampling (Arthur and Vassilvitskii 2007; Bahmani et al. 2012): the host draws from sums of
// blocks of 256 rows, the card finds the row within the block.

#define TRIALS 16

// Distance of 256 rows a block to `m` ≤ 16 trials (rows of `trials`, f32). `potentials` (blocks × m) gets the block's
// Σ w·min(closest, distance); with `keep` (m = 1) the smaller distance also becomes the row's closest one.
template <class T>
static __device__ __forceinline__ void weigh(const T *x, const float *weights, const float *trials, u32 m, u32 rows, u32 ld,
                                             u32 keep, float *closest, double *potentials) {
    constexpr u32 width = Width<T>::value;
    __shared__ double room[8][TRIALS];
    u32 lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    double total = 0.0;
    for (u32 i = warp; i < 256u; i += 8u) {
        u64 row = (u64)blockIdx.x * 256u + i;
        if (row >= rows) break;
        float sums[TRIALS] = {};
        for (u32 column = lane * width; column < ld; column += WARP * width) {
            float values[width];
            unpack(x + row * ld + column, values);
#pragma unroll
            for (u32 trial = 0; trial < TRIALS; trial++) {
                if (trial >= m) break;
#pragma unroll
                for (u32 e = 0; e < width; e++) {
                    float step = values[e] - trials[(u64)trial * ld + column + e];
                    sums[trial] = fmaf(step, step, sums[trial]);
                }
            }
        }
        float mine = 0.0f;
#pragma unroll
        for (u32 trial = 0; trial < TRIALS; trial++) {
            if (trial >= m) break;
            for (u32 step = WARP / 2; step > 0; step /= 2) sums[trial] += __shfl_xor_sync(EVERY_LANE, sums[trial], step);
            if (lane == trial) mine = sums[trial];
        }
        float near = fminf(mine, closest[row]);
        if (lane < m) total += (weights ? (double)weights[row] : 1.0) * (double)near;
        __syncwarp();
        if (keep && lane == 0) closest[row] = near;
    }
    if (lane < TRIALS) room[warp][lane] = total;
    __syncthreads();
    if (threadIdx.x < m) {
        double all = 0.0;
        for (u32 w = 0; w < 8; w++) all += room[w][threadIdx.x];
        potentials[(u64)blockIdx.x * m + threadIdx.x] = all;
    }
}

extern "C" __global__ void __launch_bounds__(256) weigh_f32(const float *x, const float *weights, const float *trials, u32 m,
                                                            u32 rows, u32 ld, u32 keep, float *closest, double *potentials) {
    weigh(x, weights, trials, m, rows, ld, keep, closest, potentials);
}

extern "C" __global__ void __launch_bounds__(256) weigh_bf16(const bf16 *x, const float *weights, const float *trials, u32 m,
                                                             u32 rows, u32 ld, u32 keep, float *closest, double *potentials) {
    weigh(x, weights, trials, m, rows, ld, keep, closest, potentials);
}

// Σ w·closest of 256 rows a block.
extern "C" __global__ void __launch_bounds__(256) sum_closest(const float *closest, const float *weights, u32 rows,
                                                              double *potentials) {
    __shared__ double room[8];
    u32 row = blockIdx.x * 256u + threadIdx.x;
    double mine = row < rows ? (weights ? (double)weights[row] : 1.0) * (double)closest[row] : 0.0;
    mine = add_block(mine, room);
    if (threadIdx.x == 0) potentials[blockIdx.x] = mine;
}

// For each draw, the row of block `blocks[draw]` where the running sum of w·closest passes `rests[draw]`; where rounding
// lets none pass, the last row with a share. One thread a draw.
extern "C" __global__ void __launch_bounds__(64) pick_rows(const float *closest, const float *weights, u32 rows,
                                                           const u32 *blocks, const double *rests, u32 draws, u32 *picked) {
    u32 draw = blockIdx.x * 64u + threadIdx.x;
    if (draw >= draws) return;
    u32 first = blocks[draw] * 256u, last = first;
    double running = 0.0, rest = rests[draw];
    for (u32 row = first; row < rows && row < first + 256u; row++) {
        double share = (weights ? (double)weights[row] : 1.0) * (double)closest[row];
        if (share > 0.0) {
            last = row;
            running += share;
            if (running > rest) break;
        }
    }
    picked[draw] = last;
}
