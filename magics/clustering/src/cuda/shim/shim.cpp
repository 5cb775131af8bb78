// The kernels of k-means as a library for the processor.
#include "shim.h"

#include "hopper.h"

#include "../kernels/base.cu"
#include "../kernels/assign.cu"
#include "../kernels/tensor.cu"
#include "../kernels/hopper.cu"
#include "../kernels/argmin.cu"
#include "../kernels/update.cu"
#include "../kernels/measure.cu"
#include "../kernels/init.cu"
#include "../kernels/codes.cu"

namespace {

const Kernel KERNELS[] = {
    KERNEL(assign_f32),        KERNEL(assign_bf16),        KERNEL(assign_tensor_f32), KERNEL(assign_tensor_bf16),
    KERNEL(assign_hopper_f16_1), KERNEL(assign_hopper_f16_2), KERNEL(assign_hopper_f16_4), KERNEL(assign_hopper_bf16_1),
    KERNEL(assign_hopper_bf16_2), KERNEL(assign_hopper_bf16_4), KERNEL(tile_centroids_f16), KERNEL(tile_centroids_bf16),
    KERNEL(assign_hopper_f16_3), KERNEL(assign_hopper_bf16_3), KERNEL(tile_rows_f32), KERNEL(tile_rows_bf16),
    KERNEL(argmin_products),   KERNEL(compare_labels),     KERNEL(nearer),            KERNEL(count_labels),
    KERNEL(place_rows),        KERNEL(scan_blocks),        KERNEL(add_totals),        KERNEL(count_spans),
    KERNEL(sum_spans_f32),     KERNEL(sum_spans_bf16),     KERNEL(fold_spans),        KERNEL(move_centroids),
    KERNEL(measure_f32),       KERNEL(measure_bf16),       KERNEL(inertia_f32),       KERNEL(inertia_bf16),
    KERNEL(sum_columns),       KERNEL(moments_f32),        KERNEL(moments_bf16),      KERNEL(normalise_f32),
    KERNEL(ready_centroids),   KERNEL(weigh_f32),          KERNEL(weigh_bf16),        KERNEL(sum_closest),
    KERNEL(pick_rows),       KERNEL(assign_codes),
    KERNEL(count_codes),       KERNEL(sums_of_counts),     KERNEL(table_of_centroids), KERNEL(measure_codes),
    KERNEL(weigh_codes), KERNEL(round_rows),
};

} // namespace

#include "library.h"
