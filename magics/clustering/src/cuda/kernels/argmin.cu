// What follows a matrix product X·Cᵀ: its argmin, where the columns are so many that fusing gains nothing; and the
// comparison of labels.

// `products` is row-major rows × k; one warp a row.
extern "C" __global__ void __launch_bounds__(256) argmin_products(const float *products, const float *halves,
                                                                  const float *spreads, const float *widest, float tolerance,
                                                                  u32 first, u32 rows, u32 k, u32 *labels, float *scores,
                                                                  u32 *unsure, u32 *n_unsure) {
    u32 lane = threadIdx.x % WARP;
    u32 at = blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP;
    if (at >= rows) return;
    const float *mine = products + (u64)at * k;
    Nearest best = nobody();
    for (u32 label = lane; label < k; label += WARP) offer(best, halves[label] - mine[label], label);
    merge_lanes(best, WARP);
    u32 row = first + at;
    if (lane == 0) settle(best, row, tolerance * spreads[row] * *widest, labels, scores, unsure, n_unsure);
}

// Counts the rows whose label changed, and keeps the new labels.
extern "C" __global__ void __launch_bounds__(256) compare_labels(const u32 *labels, u32 *kept, u32 rows, u64 *moved) {
    u32 changed = 0;
    for (u64 row = blockIdx.x * 256u + threadIdx.x; row < rows; row += gridDim.x * 256u) {
        u32 label = labels[row];
        changed += label != kept[row];
        kept[row] = label;
    }
    for (u32 step = WARP / 2; step > 0; step /= 2) changed += __shfl_xor_sync(EVERY_LANE, changed, step);
    if (threadIdx.x % WARP == 0 && changed) atomicAdd(moved, (u64)changed);
}

// Keeps the smaller squared distance of each row to centroids so far; `scores` belong to new ones.
extern "C" __global__ void __launch_bounds__(256) nearer(const float *scores, const float *squares, u32 rows, float *closest) {
    u32 row = blockIdx.x * 256u + threadIdx.x;
    if (row >= rows) return;
    float distance = fmaxf(fmaf(2.0f, scores[row], squares[row]), 0.0f);
    if (distance < closest[row]) closest[row] = distance;
}
