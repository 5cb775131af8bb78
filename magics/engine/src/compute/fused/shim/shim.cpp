// The encoders' kernels as a library for the processor.
#include "shim.h"

#include "base.cu"
#include "rows.cu"
#include "attend.cu"

#define ATTEND_BOTH(D) ATTEND(D, 0) ATTEND(D, 1)
ATTEND_BOTH(8)
ATTEND_BOTH(16)
ATTEND_BOTH(32)
ATTEND_BOTH(64)
ATTEND_BOTH(80)
ATTEND_BOTH(96)
ATTEND(128, 0)

namespace {

#define ATTEND_KERNELS(D) KERNEL(attend_##D##_0), KERNEL(attend_##D##_1)

const Kernel KERNELS[] = {
    KERNEL(embed), KERNEL(add_norm), KERNEL(activate), KERNEL(mean), KERNEL(pick),
    ATTEND_KERNELS(8), ATTEND_KERNELS(16), ATTEND_KERNELS(32), ATTEND_KERNELS(64), ATTEND_KERNELS(80), ATTEND_KERNELS(96),
    KERNEL(attend_128_0),
};

} // namespace

#include "library.h"
