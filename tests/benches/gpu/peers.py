"""Times one Lloyd iteration of what else is installed: torch (chunked), flash-kmeans (Triton), faiss on the GPU.

usage: peers.py ROWS DIMS K ITERATIONS [--on cpu]; lines as `kmeans_card time` writes them: shape, system, milliseconds,
TFLOP/s. A peer that is not installed or fails is said to be missing, with the reason; nothing else fails. With `--on cpu`
the processor takes the part of the card: a rehearsal.
"""
import sys
import time


def say(*words):
    print(*words, sep="\t", flush=True)


def data(torch, rows, dims, k, dtype, device):
    """Rows around k points, as the Rust side makes them; generated on the card, chunk by chunk."""
    generator = torch.Generator(device=device).manual_seed(1)
    points = torch.randn(k, dims, device=device, generator=generator) + 0.3
    x = torch.empty(rows, dims, device=device, dtype=dtype)
    for first in range(0, rows, 1 << 20):
        end = min(first + (1 << 20), rows)
        label = torch.arange(first, end, device=device) % k
        x[first:end] = (points[label] + torch.randn(end - first, dims, device=device, generator=generator)).to(dtype)
    start = x[torch.arange(k, device=device) * 7 % rows].clone()
    return x, start


def median_step(torch, run, iterations):
    """Seconds of an iteration: a run of many less a run of one, the middle of three."""
    def seconds(count):
        settle(torch)
        begin = time.perf_counter()
        run(count)
        settle(torch)
        return time.perf_counter() - begin
    run(1)
    steps = sorted((seconds(iterations + 1) - seconds(1)) / iterations for _ in range(3))
    return steps[1]


def settle(torch):
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def report(shape, name, step):
    rows, dims, k = shape
    say("time", f"{rows}x{dims} k={k}", name, f"{step * 1e3:.3f}", f"{2 * rows * dims * k / step / 1e12:.1f}", "", "", "", "")


def torch_lloyd(torch, x, start, count):
    """The plain way: distances of a chunk as a matrix, argmin, index_add."""
    centroids = start.float()
    k = len(centroids)
    for _ in range(count):
        half = (centroids * centroids).sum(1) / 2
        sums, sizes = torch.zeros_like(centroids), torch.zeros(k, device=x.device)
        reduced = centroids.to(x.dtype)
        for chunk in x.split(1 << 17):
            label = (half - (chunk @ reduced.T).float()).argmin(1)
            sums.index_add_(0, label, chunk.float())
            sizes.index_add_(0, label, torch.ones(len(chunk), device=x.device))
        centroids = torch.where(sizes[:, None] > 0, sums / sizes.clamp(min=1)[:, None], centroids)
    return centroids


def attempt(name, work):
    try:
        work()
    except Exception as failure:  # a peer may fail in any way; it must not end the bench
        say("missing", name, f"{type(failure).__name__}: {failure}".replace("\n", " ")[:200])


def main():
    rows, dims, k, iterations = map(int, sys.argv[1:5])
    device = "cpu" if sys.argv[5:] == ["--on", "cpu"] else "cuda"
    shape = (rows, dims, k)
    try:
        import torch
    except ImportError as failure:
        for name in ("torch", "flash-kmeans", "faiss"):
            say("missing", name, f"no torch to make the data on the card: {failure}")
        return
    if device == "cuda" and not torch.cuda.is_available():
        say("missing", "torch", "it finds no card")
        return
    torch.set_float32_matmul_precision("high")

    def with_torch(dtype, name):
        x, start = data(torch, rows, dims, k, dtype, device)
        report(shape, f"torch {name}", median_step(torch, lambda count: torch_lloyd(torch, x, start, count), iterations))

    def with_flash(dtype, name):
        from flash_kmeans import batch_kmeans_Euclid
        x, start = data(torch, rows, dims, k, dtype, device)

        def run(count):
            batch_kmeans_Euclid(x[None], k, max_iters=count, tol=-1.0, init_centroids=start[None].clone())
        report(shape, f"flash-kmeans {name}", median_step(torch, run, iterations))

    def with_faiss():
        import faiss
        if not hasattr(faiss, "StandardGpuResources"):
            raise ImportError("this faiss is built without GPU support")
        x, start = data(torch, rows, dims, k, torch.float32, device)
        host, start = x.cpu().numpy(), start.cpu().numpy()
        del x

        def run(count):
            kmeans = faiss.Kmeans(dims, k, niter=count, gpu=True, max_points_per_centroid=rows, seed=1)
            kmeans.train(host, init_centroids=start)
        report(shape, "faiss f32", median_step(torch, run, iterations))

    for dtype, name in ((torch.float32, "tf32"), (torch.bfloat16, "bf16")):
        attempt(f"torch {name}", lambda dtype=dtype, name=name: with_torch(dtype, name))
        torch.cuda.empty_cache()
        attempt(f"flash-kmeans {name}", lambda dtype=dtype, name=name: with_flash(dtype, name))
        torch.cuda.empty_cache()
    attempt("faiss", with_faiss)


if __name__ == "__main__":
    main()
