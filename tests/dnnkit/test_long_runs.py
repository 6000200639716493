"""Long runs in one process: nothing grows, and children started in every way train as their parent does."""

import multiprocessing
import os
import resource
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import dnnkit as dk

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="counts by /proc")]

X = np.linspace(-1, 1, 40).reshape(10, 4)
Y = np.arange(10) % 3


def network(units: int, backend: str) -> dk.Sequential:
    net = dk.Sequential(
        [dk.Dense(units, activation="relu"), dk.Dense(3, activation="softmax")], seed=0, backend=backend
    )
    net.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    return net


def trained(backend: str) -> float:
    """Return the loss after two epochs; at the top of the module, for children that import it."""
    return float(network(8, backend).fit(X, Y, epochs=2, verbose=0)["loss"][-1])


def held() -> tuple[int, int, int]:
    """Return MiB, threads and files of this process."""
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    return resident >> 20, threading.active_count(), len(os.listdir("/proc/self/fd"))


def expect_no_growth(before: tuple[int, int, int], megabytes: int) -> None:
    now = held()
    assert now[0] - before[0] <= megabytes, (before, now)
    assert now[1:] <= (before[1] + 1, before[2] + 1), (before, now)


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_ten_thousand_fits_of_one_network(backend: str) -> None:
    net = network(8, backend)
    for _ in range(200):
        net.fit(X, Y, verbose=0)
    before = held()
    for _ in range(10_000):
        net.fit(X, Y, verbose=0)
    expect_no_growth(before, 16)  # mostly the history


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_a_thousand_programs(backend: str) -> None:
    for units in range(1, 101):
        network(units, backend).fit(X, Y, verbose=0)
    before = held()
    for units in range(101, 1101):
        network(units, backend).fit(X, Y, verbose=0)
    expect_no_growth(before, 64)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver", "loky"])
def test_children_train_as_their_parent_does(method: str, backend: str) -> None:
    expected = trained(backend)
    if method == "loky":
        joblib = pytest.importorskip("joblib")
        found = joblib.Parallel(n_jobs=2, backend="loky")(joblib.delayed(trained)(backend) for _ in range(6))
    else:
        with multiprocessing.get_context(method).Pool(2) as pool:
            found = pool.map(trained, [backend] * 6)
            pool.close()
            pool.join()
    assert found == [expected] * 6
