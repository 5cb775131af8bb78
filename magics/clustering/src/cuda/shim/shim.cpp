// The kernels as a library for the CPU: `shim_launch` takes what the CUDA driver's launch takes.
#include "shim.h"

#include "base.cu"
#include "assign.cu"
#include "tensor.cu"
#include "hopper.cu"
#include "argmin.cu"
#include "update.cu"
#include "measure.cu"
#include "init.cu"
#include "codes.cu"

namespace {

struct Kernel {
    const char *name;
    void (*body)(void *);
};

#define KERNEL(name) {#name, [](void *arguments) { shim::call_all(name, (void **)arguments); }}

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

extern "C" void *shim_allocate(size_t bytes) { return shim::allocate(bytes); }

extern "C" void shim_release(void *start, size_t bytes) { shim::release(start, bytes); }

// 0, or 1 where no kernel has this name. One caller at a time.
extern "C" int shim_launch(const char *name, unsigned gx, unsigned gy, unsigned threads, unsigned shared, void **arguments,
                           unsigned order) {
    for (const Kernel &kernel : KERNELS) {
        if (std::strcmp(kernel.name, name)) continue;
        shim::block.body = kernel.body;
        shim::block.arguments = arguments;
        shim::block.order = order;
        shim::block.dice = order;
        shim::run_grid(gx, gy, threads, shared);
        return 0;
    }
    return 1;
}
