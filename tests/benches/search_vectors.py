"""Times faiss-cpu on the vectors that `mlk8s-search-vectors` wrote: `search_vectors.py DIR [DIMS]`.

First, how long two threads take to read the vectors once, and a quarter as much, as codes of 8 bits are: memory gives no more.
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import faiss
import numpy

folder, dims = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 384
base = numpy.fromfile(f"{folder}/base.f32", dtype=numpy.float32).reshape(-1, dims)
queries = numpy.fromfile(f"{folder}/queries.f32", dtype=numpy.float32).reshape(-1, dims)
faiss.omp_set_num_threads(2)


def clock(name, index):
    """Prints the median and the fastest time of one query at a time, and hands the lists back."""
    times, lists = [], []
    for query in queries:
        began = time.perf_counter()
        lists.append(index.search(query[None], 10)[1][0])
        times.append(time.perf_counter() - began)
    times.sort()
    print(f"{name:>20}: median {times[len(times) // 2] * 1e3:.2f} ms, fastest {times[0] * 1e3:.2f} ms")
    return lists


def read_once(name, values):
    """Prints the median and the fastest time of 20 in which two threads look for the largest number."""
    halves, times = numpy.array_split(values.reshape(-1), 2), []
    with ThreadPoolExecutor(2) as pool:
        for _ in range(20):
            began = time.perf_counter()
            list(pool.map(numpy.max, halves))
            times.append(time.perf_counter() - began)
    times.sort()
    print(f"{name:>20}: median {times[10] * 1e3:.2f} ms, fastest {times[0] * 1e3:.2f} ms")


read_once("reading the values", base)
read_once("reading a quarter", base[: len(base) // 4])
flat = faiss.IndexFlatIP(dims)
flat.add(base)
exact = clock("FlatIP", flat)
codes = faiss.IndexScalarQuantizer(dims, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
codes.train(base[:100_000])
codes.add(base)
found = clock("SQ8", codes)
recall = numpy.mean([len(set(a) & set(b)) / 10 for a, b in zip(exact, found)])
print(f"recall@10 of SQ8: {recall:.4f}")
graph = faiss.IndexHNSWFlat(dims, 16, faiss.METRIC_INNER_PRODUCT)
graph.hnsw.efConstruction = 128
began = time.perf_counter()
graph.add(base)
print(f"HNSW (M 16, efConstruction 128) built in {time.perf_counter() - began:.0f} s")
for ef in (32, 64, 128):
    graph.hnsw.efSearch = ef
    found = clock(f"HNSW ef {ef}", graph)
    recall = numpy.mean([len(set(a) & set(b)) / 10 for a, b in zip(exact, found)])
    print(f"recall@10 of HNSW ef {ef}: {recall:.4f}")
