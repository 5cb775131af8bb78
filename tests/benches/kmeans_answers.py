"""Times scikit-learn's KMeans on the data that `mlk8s-kmeans-answers` wrote: kmeans_answers.py FOLDER QUESTIONS LEVELS K ITERATIONS."""
import sys, time, warnings
import numpy as np, scipy.sparse as sp
from sklearn.cluster import KMeans
warnings.filterwarnings("ignore")
folder, q, m, k, iterations = sys.argv[1], *map(int, sys.argv[2:6])
codes = np.fromfile(f"{folder}/codes.u16", dtype=np.uint16).reshape(-1, q)
n = len(codes)
indices = (codes.astype(np.int32) + np.arange(q, dtype=np.int32) * m).ravel()
X = sp.csr_matrix((np.ones(n * q, np.float32), indices, np.arange(0, n * q + 1, q, dtype=np.int32)), shape=(n, q * m))
C = np.asarray(X[:k].todense())
start = time.perf_counter()
model = KMeans(k, init=C, n_init=1, max_iter=iterations, tol=0, algorithm="lloyd").fit(X)
print(f"sklearn {time.perf_counter() - start:.3f} s, inertia {model.inertia_:.0f}, iterations {model.n_iter_}")
