"""Workers: the same bits with any number of threads, on a busy machine, next to other networks."""

import os
import statistics
import threading
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends.numba_backend.crew import PATIENCE, Crew
from dnnkit.backends.processors import processors
from dnnkit.kernels._engine import calls
from tests.backends.numba_backend.partitions import DIVIDED, busy, check_same, classes, classifier, dividing


def run_alike(partition: str, threads: int | None, dtype: str, joined: bool) -> tuple[dk.Sequential, list[float]]:
    x, labels, weights = classes()
    with dividing(partition, joined=joined):
        net = classifier(dtype=dtype, num_threads=threads)
        history = net.fit(x, labels, batch_size=7, epochs=3, sample_weight=weights, verbose=0)
    return net, history["loss"] + history["accuracy"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("partition", [*DIVIDED, "units/4", "rows/4"])
def test_runs_have_the_same_bits_with_any_number_of_threads(partition: str, dtype: str) -> None:
    first, measured = run_alike(partition, None, dtype, joined=False)
    for threads in (1, 2, 3, 8, 8, 8):
        again, measured_again = run_alike(partition, threads, dtype, joined=True)
        check_same(first, again)
        assert measured == measured_again


@pytest.mark.parametrize("partition", DIVIDED)
def test_runs_have_the_same_bits_on_a_busy_machine(partition: str) -> None:
    first, measured = run_alike(partition, None, "float64", joined=False)
    with busy(2 * processors()):
        for threads in (2, 3):
            again, measured_again = run_alike(partition, threads, "float64", joined=True)
            check_same(first, again)
            assert measured == measured_again


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processors cannot be given up here")
@pytest.mark.parametrize("partition", ["units/4", "rows/4"])
def test_runs_have_the_same_bits_with_all_threads_on_one_processor(partition: str) -> None:
    first, measured = run_alike(partition, None, "float64", joined=False)
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        again, measured_again = run_alike(partition, 8, "float64", joined=True)
    finally:
        os.sched_setaffinity(0, before)
    check_same(first, again)
    assert measured == measured_again


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("partition", DIVIDED)
def test_help_with_large_products_leaves_the_bits(partition: str, dtype: str) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2000, 200)).astype(dtype), rng.normal(size=(2000, 3)).astype(dtype)

    def train(threads: int) -> dk.Sequential:
        with dividing(partition, joined=threads > 1):
            layers = [dk.Dense(300, activation="tanh"), dk.Dense(200, activation="gelu"), dk.Dense(3)]
            net = dk.Sequential(layers, backend="numba", dtype=dtype, num_threads=threads, seed=0)
            net.compile("adam", "mean_squared_error")
            net.fit(x, y, batch_size=500, epochs=3, verbose=0)
        return net

    alone = train(1)
    check_same(alone, train(2))
    with busy(1):  # one thread is ahead of the other
        for _ in range(3):
            check_same(alone, train(2))


def test_predictions_and_evaluations_depend_on_threads_by_rounding_only() -> None:
    x, labels, weights = classes(3000)
    net = classifier()
    found = []
    for joined in (False, True):
        with dividing("units/1", joined=joined):
            net.build(11) if not net.is_built else None
            found.append((net.predict(x, batch_size=100), net.evaluate(x, labels, sample_weight=weights)))
            np.testing.assert_array_equal(net.predict(x, batch_size=100), found[-1][0])
            assert net.evaluate(x, labels, sample_weight=weights) == found[-1][1]
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-12)
    assert found[0][1] == pytest.approx(found[1][1], rel=1e-12)


def test_networks_training_in_user_threads_do_not_disturb_each_other() -> None:
    x, labels, _ = classes()

    def train(net: dk.Sequential) -> None:
        net.fit(x, labels, batch_size=5, epochs=3, verbose=0)

    with dividing("units/2"):
        alone, others = classifier(), [classifier() for _ in range(3)]
        train(alone)
        threads = [threading.Thread(target=train, args=(net,)) for net in others]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for net in others:
        check_same(alone, net)


# Under load


@pytest.mark.parametrize("only", [0, 1])
@pytest.mark.parametrize("partition", [*DIVIDED, "units/4", "rows/4"])
def test_nobody_waits_for_threads_that_never_get_a_processor(
    partition: str, only: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, measured = run_alike(partition, None, "float64", joined=False)

    def caller(self: Crew, run: int, dtype: str, helpers: int, work: str = "run_workers") -> Callable[[], None]:
        return partial(calls.caller(work, dtype), only, PATIENCE, run)

    monkeypatch.setattr(Crew, "caller", caller)
    results: list[tuple[dk.Sequential, list[float]]] = []

    def alone() -> None:
        results.append(run_alike(partition, 8, "float64", joined=True))

    run = threading.Thread(target=alone, daemon=True)
    run.start()
    run.join(300)
    assert results, "the thread waits for others"
    check_same(first, results[0][0])
    assert measured == results[0][1]


@pytest.mark.slow
def test_a_busy_machine_costs_time_in_proportion() -> None:
    """Not the speed, which depends on the load; but threads that wait for others are slower by factors of 100."""
    x, labels, _ = classes(4000)
    ways = [("units/1", 1), ("units/2", 2), ("rows/2", 2), ("units/4", 8)]
    nets = {way: classifier(num_threads=way[1]) for way in ways}
    times: dict[tuple[str, int], list[float]] = {way: [] for way in ways}
    for way, net in nets.items():
        with dividing(way[0]):
            net.fit(x[:64], labels[:64], verbose=0)
    with busy(2 * processors()):
        for _ in range(5):
            for way, net in nets.items():
                with dividing(way[0]):
                    start = time.perf_counter()
                    net.fit(x, labels, batch_size=8, verbose=0)
                    times[way].append(time.perf_counter() - start)
    medians = {way: statistics.median(taken) for way, taken in times.items()}
    assert max(medians.values()) < 10 * medians["units/1", 1], medians
