"""What the NumPy backend adds: buffers that are allocated once, and control of BLAS threads."""

import tracemalloc

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends.blas_threads import blas_threads
from dnnkit.backends.numpy_backend import BLOCK
from dnnkit.backends.processors import processors
from tests.backends.networks import CASES, may_be_flat

BOUND = 16 * 8 * BLOCK
"""Bytes of a dozen float64 blocks: the temporaries of the most demanding formula, whatever the network."""


@may_be_flat
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("samples", "units"), [(2000, 300), (20000, 50)])
def test_a_step_allocates_no_more_than_blocks(name: str, samples: int, units: int) -> None:
    case = CASES[name]
    rng = np.random.default_rng(0)
    x, labels = rng.integers(0, 17, (samples, 40), dtype=np.uint8), rng.integers(0, 10, samples)
    net = dk.Sequential([dk.Rescaling(1 / 16), dk.Dense(units, activation="gelu"), *case.hidden, case.last], seed=0)
    net.compile(optimizer=case.optimizer, loss=case.loss, metrics=["accuracy"])
    net.build(40)
    executable = net.executable
    executable.begin_epoch(executable.load(x, case.targets(labels), np.ones(samples)), np.arange(samples), samples // 4)
    executable.run_steps(0, 2, net.optimizer.hyperparameters(0, 2))
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    executable.run_steps(2, 4, net.optimizer.hyperparameters(2, 2))
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert peak < BOUND
    # The largest buffer is larger than that: an allocation that grew with the batch would have been detected.
    assert samples // 4 * units * 4 > peak / 8


def threads() -> list[int]:
    return [library.get_num_threads() for library in blas_threads()._find()]


@pytest.mark.parametrize(
    ("num_threads", "rows", "expected"), [(1, 100000, 1), (2, 1, 2), (None, 8, 1), (64, 1, None), (10**30, 1, None)]
)
def test_blas_has_the_requested_threads_only_while_it_runs(
    num_threads: int | None, rows: int, expected: int | None
) -> None:
    expected = processors() if expected is None else min(expected, processors())
    net = dk.Sequential([dk.Dense(512)], seed=0, backend="numpy", num_threads=num_threads)
    net.build(784)
    before = threads()
    with net.backend.thread_limit(net.executable.program, rows):
        assert threads() == [min(expected, own) for own in before]
    assert threads() == before


def test_large_products_get_the_threads_that_blas_has() -> None:
    net = dk.Sequential([dk.Dense(512)], seed=0, backend="numpy")
    net.build(784)
    before = threads()
    with net.backend.thread_limit(net.executable.program, 1000):
        assert threads() == before


def test_float64_is_not_computed_in_float32() -> None:
    x = np.random.default_rng(0).normal(size=(50, 6))
    predictions = []
    for dtype in ("float64", "float32"):
        net = dk.Sequential([dk.Dense(30, activation="mish"), dk.Dense(2)], seed=0, dtype=dtype)
        predictions.append(net.predict(x))
    difference = np.abs(predictions[0] - predictions[1]).max()
    assert predictions[0].dtype == np.float64
    assert 1e-9 < difference < 1e-4
