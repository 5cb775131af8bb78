// The kernels as a library for the processor: `shim_launch` takes what the CUDA driver's launch takes.
#include "shim.h"

#include "base.cu"
#include "rows.cu"
#include "heads.cu"
#include "attend.cu"
#include "tiles.cu"

#define ATTEND_ALL(E)                                                                                                         \
    ATTEND(f32, E, 1) ATTEND(f32, E, 2) ATTEND(f32, E, 4) ATTEND(f32, E, 8)                                                   \
    ATTEND(bf16, E, 1) ATTEND(bf16, E, 2) ATTEND(bf16, E, 4) ATTEND(bf16, E, 8)
ATTEND_ALL(2)
ATTEND_ALL(4)
ATTEND_ALL(8)
TILES(16)
TILES(64)
TILES(96)
TILES(128)
TILES(256)

namespace {

struct Kernel {
    const char *name;
    void (*body)(void *);
};

#define KERNEL(name) {#name, [](void *arguments) { shim::call_all(name, (void **)arguments); }}
#define BOTH(name) KERNEL(name##_f32), KERNEL(name##_bf16)
#define ATTEND_KERNELS(T, E) \
    KERNEL(attend_##T##_##E##_1), KERNEL(attend_##T##_##E##_2), KERNEL(attend_##T##_##E##_4), KERNEL(attend_##T##_##E##_8)

const Kernel KERNELS[] = {
    BOTH(embed), BOTH(add_norm), BOTH(gate), BOTH(place), BOTH(merge), KERNEL(angles), KERNEL(cap_rows),
    ATTEND_KERNELS(f32, 2), ATTEND_KERNELS(f32, 4), ATTEND_KERNELS(f32, 8),
    ATTEND_KERNELS(bf16, 2), ATTEND_KERNELS(bf16, 4), ATTEND_KERNELS(bf16, 8),
    KERNEL(tiles_16), KERNEL(tiles_64), KERNEL(tiles_96), KERNEL(tiles_128), KERNEL(tiles_256),
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
