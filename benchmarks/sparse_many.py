"""Networks trained together on a sparse matrix: `python -m benchmarks.sparse_many [--stored 0.01] [--backend numba]`.

16 networks 5000-64-10 (ReLU, Adam, batch 32) are trained by `fit_many` on 10,000 rows, given as a CSR matrix and as an
array; and one of them by `fit` with one thread. Each case has its own process; cases take turns. Printed are the
minimum of seconds per network and epoch, and the peak growth of anonymous memory, with the data and in training.
"""

import argparse
import json
import subprocess
import sys
import time
from typing import Any

import numpy as np

ROWS, FEATURES, HIDDEN, NETWORKS, EPOCHS = 10_000, 5000, 64, 16, 3
CASES = "fit_many, CSR", "fit_many, array", "fit, CSR, one thread", "fit, array, one thread"


def measure(case: str, stored: float, backend: str) -> dict[str, float]:
    """Return the seconds per network and epoch, and the growth of anonymous memory in MB."""
    from scipy import sparse

    import dnnkit as dk
    from benchmarks.streams import anonymous, watched

    before, rng = anonymous(), np.random.default_rng(0)
    count = round(ROWS * FEATURES * stored)
    columns = np.sort(rng.random((ROWS, FEATURES)).argpartition(count // ROWS, axis=1)[:, : count // ROWS], axis=1)
    numbers = rng.normal(size=columns.size).astype(np.float32)
    x: Any = sparse.csr_array(
        (numbers, columns.ravel(), np.arange(0, columns.size + 1, count // ROWS)), (ROWS, FEATURES)
    )
    del columns, numbers
    x = x.toarray() if "array" in case else x
    y, with_data = rng.integers(0, 10, ROWS), anonymous() - before

    def network(seed: int) -> dk.Sequential:
        layers = [dk.Dense(HIDDEN, activation="relu"), dk.Dense(10, activation="softmax")]
        net = dk.Sequential(layers, seed=seed, backend=backend, num_threads=1)
        net.compile("adam", "sparse_categorical_crossentropy")
        net.build(FEATURES)
        return net

    is_many = case.startswith("fit_many")
    nets, seconds, peaks = [network(seed) for seed in range(NETWORKS if is_many else 1)], [], []
    for epochs in (1, EPOCHS, EPOCHS):  # the first loads code and data

        def train(epochs: int = epochs) -> None:
            start = time.perf_counter()
            if is_many:
                dk.fit_many(nets, x, y, epochs=epochs, verbose=0)
            else:
                nets[0].fit(x, y, epochs=epochs, verbose=0)
            seconds.append((time.perf_counter() - start) / epochs / len(nets))

        peaks.append(watched(train)[1])
    return {"seconds": min(seconds[1:]), "data": with_data / 1e6, "peak": max(peaks) / 1e6}


def main() -> None:
    """Measure all cases in turn, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stored", type=float, default=0.01, help="Fraction of nonzero numbers.")
    parser.add_argument("--backend", default="numba")
    parser.add_argument("--rounds", type=int, default=2, help="Measurement rounds per case.")
    parser.add_argument("--one", choices=CASES, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(measure(asked.one, asked.stored, asked.backend)))
        return
    found: dict[str, list[dict[str, float]]] = {}
    for _ in range(asked.rounds):
        for case in CASES:
            command = [sys.executable, "-m", "benchmarks.sparse_many", "--one", case]
            command += ["--stored", str(asked.stored), "--backend", asked.backend]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found.setdefault(case, []).append(json.loads(done.stdout.splitlines()[-1]))
    print(f"{'':24} {'ms per network and epoch':>24} {'MB of data':>10} {'MB in training':>14}")
    for case, runs in found.items():
        seconds, data, peak = (min(run[name] for run in runs) for name in ("seconds", "data", "peak"))
        print(f"{case:24} {1e3 * seconds:24.1f} {data:10.0f} {peak:14.0f}")


if __name__ == "__main__":
    main()
