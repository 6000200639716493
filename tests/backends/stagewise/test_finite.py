"""Non-finite numbers are detected when data are loaded, by every backend, wherever they are."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.backends.stagewise import finite
from dnnkit.errors import DataError
from tests import processes


def network(backend: Backend, dtype: Any = "float32", **more: Any) -> dk.Sequential:
    net = dk.Sequential([dk.Dense(5), dk.Dense(2, activation="softmax")], backend=backend, seed=0, dtype=dtype, **more)
    net.compile("sgd", "sparse_categorical_crossentropy")
    return net


def samples(share: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw x (40, 70), of which that share is not zero, and labels."""
    rng = np.random.default_rng(0)
    return (rng.random((40, 70)) < share).astype(np.float32), rng.integers(0, 2, 40)


@pytest.mark.parametrize("num_threads", [1, 2, 3])
@pytest.mark.parametrize("share", [0.1, 1.0])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_first_bad_row_is_named_for_sparse_and_dense_data(
    backend: Backend, share: float, value: float, num_threads: int, monkeypatch
) -> None:
    if backend.name == "numba":
        monkeypatch.setattr("dnnkit.backends.numba_backend.data.WORTH_THREADS", 0)
        monkeypatch.setattr("dnnkit.backends.numba_backend.data.usable", lambda asked: asked)
    x, y = samples(share)
    net = network(backend, num_threads=num_threads)
    net.fit(x, y, verbose=0)
    before = {name: np.array(value) for name, value in net.parameters.items()}
    x[[17, 38], [69, 0]] = value
    for ask in (net.fit, net.evaluate, net.train_step, net.get_gradients, lambda x, y: net.predict(x)):
        with pytest.raises(DataError, match=r"x has NaN or infinite numbers, first in row 17 \(as float32\)"):
            ask(x, y)
    # counted over all rows, not over those that remain after the split
    with pytest.raises(DataError, match="first in row 38"):
        net.fit(np.nan_to_num(x[:38], posinf=0, neginf=0).tolist() + x[38:].tolist(), y, validation_split=0.2)
    with pytest.raises(DataError, match="first in row 2"):
        net.fit(x[:10], y[:10], validation_data=(x[15:], y[15:]))
    for name, values in net.parameters.items():
        np.testing.assert_array_equal(values, before[name])


@pytest.mark.filterwarnings("ignore::dnnkit.errors.TrainingWarning")
@pytest.mark.parametrize("share", [0.1, 1.0])
def test_numbers_too_large_for_the_dtype_are_not_finite(backend: Backend, share: float) -> None:
    x, y = samples(share)
    x = x.astype(np.float64)
    x[5, 3] = 1e39
    with pytest.raises(DataError, match=r"first in row 5 \(as float32\)"):
        network(backend).fit(x, y, verbose=0)
    network(backend, "float64").fit(x, y, verbose=0)


def test_so_are_targets_and_weights(backend: Backend) -> None:
    x, labels = samples(1.0)
    weights, y = np.ones(40), np.ones((40, 2))
    weights[7] = y[9, 1] = 1e39
    with pytest.raises(DataError, match=r"sample_weight has NaN or infinite numbers, first in row 7 \(as float32\)"):
        network(backend).fit(x, labels, sample_weight=weights, verbose=0)
    net = network(backend)
    net.compile("sgd", "mean_squared_error")
    with pytest.raises(DataError, match=r"y has NaN or infinite numbers, first in row 9 \(as float32\)"):
        net.fit(x, y, verbose=0)


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(1, 5), st.integers(1, 40), st.data())
def test_chunks_are_looked_through_one_after_the_other(rows: int, columns: int, chunk: int, drawn: Any) -> None:
    x = np.full((rows, columns), 1e200)  # finite, but its square is not
    spoilt = drawn.draw(st.sets(st.integers(0, rows - 1)))
    for row in spoilt:
        x[row, row % columns] = np.nan
    kept, finite.CHUNK = finite.CHUNK, chunk
    try:
        if not spoilt:
            finite.require_finite("x", x, "float64")
            return
        with pytest.raises(DataError, match=rf"first in row {min(spoilt)} \(as float64\)"):
            finite.require_finite("x", x, "float64")
    finally:
        finite.CHUNK = kept


def test_whole_numbers_are_finite() -> None:
    finite.require_finite("x", np.array([[1, 2]], np.uint8), "float32")


LOADING = """
import os, sys, time
import numpy as np
import dnnkit as dk

def computed():
    others = [task for task in os.listdir("/proc/self/task") if int(task) != os.getpid()]
    return sum(int(open(f"/proc/self/task/{task}/schedstat").read().split()[0]) for task in others)

def at_rest():
    before, now = -1, computed()
    while now != before:
        time.sleep(0.3)
        before, now = now, computed()
    return now

net = dk.Sequential([dk.Dense(1)], backend=sys.argv[1], dtype="float64", num_threads=int(sys.argv[2]))
net.compile("sgd", "mean_squared_error")
net.build(3)
x = np.ones((200_000, 3))
net.executable.load(x[:9], x[:9, :1], None)
before = at_rest()  # whatever the imports woke is asleep
net.executable.load(x, x[:, :1], None)
time.sleep(0.05)
print(computed() - before)
"""


def computed_by_others(backend: str, num_threads: int) -> int:
    """Return the nanoseconds that other threads compute while, and after, data are looked at."""
    done = processes.run([sys.executable, "-c", LOADING, backend, str(num_threads)], check=True)
    return int(done.stdout)


SAYS = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="only Linux says what each thread computes")


@SAYS
def test_no_thread_spins_after_data_were_looked_at(backend: Backend) -> None:
    """BLAS threads that spin after a large product would take processors from the training that follows."""
    if backend.name not in ("numpy", "numba"):
        pytest.skip("another library's threads are its own")
    assert computed_by_others(backend.name, 1) == 0


@SAYS
def test_standby_threads_that_looked_at_data_go_to_sleep(backend: Backend) -> None:
    """They wait 0.5 ms for the training that follows; BLAS threads would spin for 100 ms."""
    if backend.name != "numba":
        pytest.skip("only the Numba backend has standby threads")
    assert computed_by_others("numba", 2) < 20_000_000
