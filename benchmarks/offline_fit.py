"""Is our k-means or scikit-learn's MiniBatchKMeans better for whole tables?

    python -m benchmarks.offline_fit

Residual quantization of a table of embeddings, 3 levels: mean squared error left
after the last level and seconds, over 3 seeds each.
"""

import statistics
import time

import numpy as np
from sklearn.cluster import MiniBatchKMeans

from benchmarks.timing import print_json
from hgr_tf.layers import ResidualVectorQuantizer

LEVELS = 3


def make_table(rows, dim, seed=0):
    """Nested clusters with noise, as trained user embeddings have."""
    random = np.random.default_rng(seed)
    table = np.zeros((rows, dim), np.float32)
    for level in range(LEVELS):
        centers = random.normal(scale=0.5**level, size=(20, dim))
        table += centers[random.integers(0, 20, rows)]
    return table + random.normal(scale=0.2, size=table.shape).astype(np.float32)


def own(table, size, seed):
    quantizer = ResidualVectorQuantizer(LEVELS, size, seed=seed).fit(table)
    return table - quantizer.decode(quantizer.encode(table)).numpy()


def scikit_learn(table, size, seed):
    residual = table
    for _ in range(LEVELS):
        fitted = MiniBatchKMeans(size, random_state=seed, n_init=3).fit(residual)
        residual = residual - fitted.cluster_centers_[fitted.predict(residual)]
    return residual


def measure(rows, dim, size):
    table = make_table(rows, dim)
    result = {"rows": rows, "dim": dim, "codebook_size": size}
    for name, fit in (("own", own), ("mini_batch", scikit_learn)):
        errors, seconds = [], []
        for seed in range(3):
            start = time.perf_counter()
            residual = fit(table, size, seed)
            seconds.append(time.perf_counter() - start)
            errors.append(float(np.square(residual).sum(1).mean()))
        result[f"{name}_errors"] = errors
        result[f"{name}_seconds"] = statistics.median(seconds)
    return result


def main():
    cases = [measure(30_000, 16, 8), measure(30_000, 16, 32), measure(300_000, 32, 256)]
    print_json({"cases": cases})


if __name__ == "__main__":
    main()
