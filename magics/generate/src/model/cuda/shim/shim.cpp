// The decoder's kernels as a library for the processor.
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

#include "library.h"
