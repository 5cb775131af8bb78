"""Compares our k-means with scikit-learn and faiss, in turn, on the same rows and first centroids.

Usage: kmeans_rows.py FOLDER BINARY [cases] [rounds] [lloyd|init]; rows are made in FOLDER when they are missing.
"""

import os
import subprocess
import sys

os.environ.setdefault("OPENBLAS_CORETYPE", "SkylakeX")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("RAYON_NUM_THREADS", "2")

import resource
import statistics
import time
import warnings

import numpy as np

# Rows, columns, clusters, iterations at most, and dimensions of what the rows are made of: 0 for planted centres.
CASES = {
    "a": (200_000, 64, 100, 20, 0),
    "b": (100_000, 384, 256, 10, 0),
    "c": (5_000, 40_000, 20, 10, 0),
    "d": (398_210, 512, 128, 25, 0),
    # Without groups, so that rows still change their cluster in the last iteration.
    "e": (5_000, 40_000, 20, 10, 8),
    # The rows of d until no row changes its cluster; faiss may go on for as many iterations as ours, and stops before by itself.
    "f": (398_210, 512, 128, 1_000, 0),
}


def rows(folder, name):
    n, d, k, _, latent = CASES[name]
    name = "d" if name == "f" else name
    path = f"{folder}/{name}.f32"
    if not os.path.exists(path):
        rng = np.random.default_rng(0)
        if latent:
            x = rng.standard_normal((n, latent), dtype=np.float32) @ rng.standard_normal((latent, d), dtype=np.float32)
        else:
            x = rng.standard_normal((k, d), dtype=np.float32)[rng.integers(0, k, n)]
        x += 2 * rng.standard_normal((n, d), dtype=np.float32)
        x.tofile(path)
        x[rng.choice(n, k, replace=False)].tofile(f"{folder}/{name}.init.f32")
    first = f"{folder}/{name}.init.f32"
    return path, np.fromfile(path, np.float32).reshape(n, d), first, np.fromfile(first, np.float32).reshape(k, d)


def timed(run):
    used, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    inertia, iterations = run()
    wall, now = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    return wall, now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime, inertia, iterations


def main():
    folder, binary = sys.argv[1:3]
    cases = sys.argv[3] if len(sys.argv) > 3 else "abc"
    rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 5
    what = sys.argv[5] if len(sys.argv) > 5 else "lloyd"
    import faiss
    from sklearn.cluster import KMeans, kmeans_plusplus

    faiss.omp_set_num_threads(2)
    warnings.filterwarnings("ignore")
    for name in cases:
        n, d, k, iterations, _ = CASES[name]
        path, x, start_path, first = rows(folder, name)
        ours = subprocess.Popen(
            [binary, path, str(d), str(k), str(iterations), start_path],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        peak, curve, settled = 0, [], 0

        def engine(command):
            nonlocal peak
            ours.stdin.write(command + "\n")
            ours.stdin.flush()
            wall, used, inertia, count, peak = map(float, ours.stdout.readline().split())
            return wall, used, inertia, count

        def sklearn():
            fit = KMeans(k, init=first, n_init=1, max_iter=iterations, tol=0, algorithm="lloyd").fit(x)
            return fit.inertia_, fit.n_iter_

        def with_faiss():
            iterations = settled or CASES[name][3]
            km = faiss.Kmeans(d, k, niter=iterations, max_points_per_centroid=n, min_points_per_centroid=1)
            km.train(x, init_centroids=first)
            curve[:] = km.obj
            # It stops when the inertia rests, however many iterations it may do.
            return float(km.obj[-1]), len(km.obj)

        def start(seed):
            centres, _ = kmeans_plusplus(x, k, random_state=seed)
            return KMeans(k, init=centres, n_init=1, max_iter=1, tol=1e30).fit(x).inertia_, 1

        found = {}
        for turn in range(rounds + 1):
            if what == "lloyd":
                runs = {"ours": lambda: engine("lloyd"), "sklearn": lambda: timed(sklearn), "faiss": lambda: timed(with_faiss)}
            else:
                runs = {"ours": lambda: engine(f"init {turn}"), "ours-parallel": lambda: engine(f"parallel {turn}"),
                        "sklearn": lambda: timed(lambda: (float("nan"), len(kmeans_plusplus(x, k, random_state=turn)[1])))}
            for who, run in runs.items():
                result = run()
                if who == "ours" and name == "f":
                    settled = int(result[3])
                if turn:
                    found.setdefault(who, []).append(result)
        ours.stdin.close()
        for who, results in found.items():
            wall, used, inertia, count = (statistics.median(column) for column in zip(*results))
            print(f"{name} {who:14} {wall:7.3f} s {used:7.2f} cpu-s {count:4.0f} it {wall / count if count else wall:8.4f} s/it "
                  f"{used / count if count else used:8.4f} cpu-s/it inertia {inertia:.8g}")
        if curve:
            # The centroids after i iterations have the inertia that the next one measures.
            ours, theirs = (statistics.median(result[0] for result in found[who]) for who in ("ours", "faiss"))
            reached = statistics.median(result[2] for result in found["ours"]) * (1 + 1e-5)
            needed = next((i for i, inertia in enumerate(curve) if inertia <= reached), len(curve))
            theirs *= needed / len(curve)
            print(f"{name} to the inertia of ours: {ours:.3f} s, faiss {theirs:.3f} s ({needed} it), {theirs / ours:.2f} x")
        print(f"{name} peak {peak / 1024:.0f} MiB = {peak * 1024 / x.nbytes:.2f} x data", flush=True)


main()
