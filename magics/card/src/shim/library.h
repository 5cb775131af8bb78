// The kernels of a list `KERNELS` as a library for the processor: `shim_launch` takes what the CUDA driver's launch takes.
#pragma once
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
