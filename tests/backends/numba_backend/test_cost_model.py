"""The model of a step's time, the choice it makes, and what overrules it."""

import math
import os
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dnnkit as dk
from dnnkit.backends.numba_backend import cost_model
from dnnkit.backends.numba_backend.bytecode import ScheduleKey, assemble
from dnnkit.backends.numba_backend.cost_model import choose_partition, record, seconds
from dnnkit.backends.numba_backend.machine import Machine
from dnnkit.backends.numba_backend.partition import SINGLE, Partition, roles, stage_shards
from dnnkit.backends.numba_backend.wiring import Wiring
from dnnkit.backends.processors import processors
from dnnkit.backends.program import Program
from dnnkit.backends.stages import Dense
from dnnkit.errors import ConfigurationError
from dnnkit.losses import LOSSES
from dnnkit.network import lowering
from dnnkit.optimizers import OPTIMIZERS
from tests.backends.numba_backend.machines import INFINITE, NUMBERS, made_up, usual

DIVISIONS = st.builds(Partition, st.sampled_from(["units", "rows"]), st.integers(1, 6))
WIDTHS = st.lists(st.integers(1, 70), min_size=1, max_size=7)


def program(
    *widths: int, features: int = 8, threads: int | None = 4, dtype: Any = "float32", optimizer: str = "sgd"
) -> Program:
    """Return a network of dense layers of these widths, ReLU except for the last."""
    layers = [dk.Dense(units, activation="relu") for units in widths[:-1]]
    return lowering.lower(
        [*layers, dk.Dense(widths[-1])],
        (features,),
        loss=LOSSES["mean_squared_error"](),
        metrics=(),
        optimizer=OPTIMIZERS[optimizer](0.1),
        dtype=dtype,
        seed=0,
        num_threads=threads,
    )


def estimate(network: Program, batch_size: int, partition: Partition, here: Machine) -> float:
    return seconds(network, Wiring(network.stages), math.prod(network.input_shape), batch_size, partition, here)


def choose(
    network: Program,
    batch_size: int,
    here: Machine | None = None,
    recorded: str = "",
    asked: str | None = None,
    all_asked_for: bool = True,
) -> Partition:
    """Return the choice of `choose_partition` on that machine, with DNNKIT_PARTITION = `asked`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DNNKIT_PARTITION", raising=False)
        if asked is not None:
            patch.setenv("DNNKIT_PARTITION", asked)
        if here is not None:
            patch.setattr(cost_model, "machine", lambda: here)
        if all_asked_for:  # as if the machine had this many processors
            patch.setattr(cost_model, "usable", lambda asked: asked or processors())
        return choose_partition(network, Wiring(network.stages), math.prod(network.input_shape), batch_size, recorded)


# The model


@pytest.mark.parametrize(("dtype", "slower"), [("float32", 1), ("float64", 2)])
def test_products_cost_two_flops_per_element_and_no_input_gradient(dtype: str, slower: int) -> None:
    network = program(20, 30, 5, features=10, dtype=dtype)
    products = 2 * 10 * 20 + 3 * 20 * 30 + 3 * 30 * 5
    loss = 16 * (cost_model.LOSS + 5 * cost_model.LOSS_OF_OUTPUT)
    expected = 2 * 16 * products / 1e9 * slower + loss
    assert estimate(network, 16, SINGLE, made_up(flops=1e9)) == pytest.approx(expected)


def test_by_units_each_worker_computes_the_loss_of_all_rows() -> None:
    network, here = program(20, 100, features=10), made_up()
    by_rows, by_units = (estimate(network, 1000, Partition(by, 2), here) for by in ("rows", "units"))
    assert by_units - by_rows == pytest.approx(500 * (cost_model.LOSS + 100 * cost_model.LOSS_OF_OUTPUT), rel=0.01)


@given(WIDTHS, DIVISIONS, st.integers(1, 50))
def test_the_model_counts_the_exchanges_of_the_schedule(widths: list[int], partition: Partition, rows: int) -> None:
    network = program(*widths)
    steps = assemble(network.stages, partition, ScheduleKey("train", 0))
    counted = estimate(network, rows, partition, made_up(exchange=1.0))
    repeated = [name for name, _, _ in steps[steps[-1].stage :]]
    assert counted == pytest.approx(repeated.count("exchange"), abs=1e-4)  # and half a microsecond each


@given(WIDTHS, DIVISIONS, st.integers(1, 50))
def test_the_model_counts_the_products_of_the_schedule(widths: list[int], partition: Partition, rows: int) -> None:
    network = program(*widths)
    products = 0
    for name, _, dx in assemble(network.stages, partition, ScheduleKey("train", 0)):
        products += name in ("dense", "dense_part")
        products += (1 + (dx > 0)) * (name == "dense_backward")
    assert estimate(network, rows, partition, made_up(call=1.0)) == pytest.approx(products, abs=1e-4)


@given(WIDTHS, DIVISIONS, st.integers(1, 50))
def test_no_worker_computes_more_than_the_model_says(widths: list[int], partition: Partition, rows: int) -> None:
    network = program(*widths)
    flops = estimate(network, rows, partition, made_up(flops=1.0))
    for worker in range(partition.workers):
        mine, trained = 0, False
        share = rows
        if partition.by == "rows":
            share = rows * (worker + 1) // partition.workers - rows * worker // partition.workers
        for stage, part in zip(network.stages, stage_shards(network.stages, 8, partition, worker), strict=True):
            if isinstance(stage, Dense):
                mine += (3 if trained else 2) * 2 * share * part.shape[0] * part.shape[1]
                trained = True
        assert flops >= mine


@given(
    WIDTHS,
    DIVISIONS,
    st.integers(1, 50),
    st.sampled_from(NUMBERS),
)
def test_a_better_machine_never_takes_longer(widths: list[int], partition: Partition, rows: int, what: str) -> None:
    network = program(*widths)
    better = usual(**{what: getattr(usual(), what) * (0.5 if what in ("call", "exchange") else 2.0)})
    assert 0 < estimate(network, rows, partition, better) <= estimate(network, rows, partition, usual())


@given(WIDTHS, DIVISIONS)
def test_more_rows_never_take_less_time(widths: list[int], partition: Partition) -> None:
    network = program(*widths)
    times = [estimate(network, rows, partition, usual()) for rows in (1, 2, 5, 17, 64, 300)]
    assert all(fewer <= more for fewer, more in pairwise(times))


def test_optimizers_with_more_slots_move_more_bytes() -> None:
    networks = [program(500, features=300, optimizer=name) for name in ("sgd", "rmsprop", "adam")]
    times = [estimate(network, 1, SINGLE, made_up(bytes=1.0)) for network in networks]
    assert times[0] < times[1] < times[2]


# The choice


def test_where_an_exchange_is_dear_one_worker_does_it_all() -> None:
    for widths, rows in [((1024, 1024, 10), 32), ((16, 10), 4096)]:
        assert choose(program(*widths, features=784), rows, usual(exchange=1.0)) == SINGLE


def test_wide_layers_and_few_rows_are_divided_by_units() -> None:
    chosen = choose(program(4096, 4096, features=4096), 16, usual())
    assert chosen == Partition("units", 4)


def test_many_rows_and_narrow_layers_are_divided_by_rows() -> None:
    assert choose(program(16, 16, 16, 2, features=8), 50_000, usual()) == Partition("rows", 4)


def test_too_little_work_is_left_to_one_worker() -> None:
    assert choose(program(4, 1, features=2), 1, usual()) == SINGLE
    assert choose(program(4, 1, features=2), 32, usual()) == SINGLE


def test_processors_that_share_a_core_are_not_worth_it() -> None:
    network = program(1024, 1024, features=1024, threads=2)
    assert choose(network, 64, usual()).workers == 2
    assert choose(network, 64, usual(cores=1)) == SINGLE


MACHINES = st.builds(
    Machine,
    flops=st.floats(1e8, 1e13),
    cores=st.integers(1, 8),
    bytes=st.floats(1e8, 1e12),
    call=st.floats(1e-9, 1e-4),
    exchange=st.floats(1e-9, 1e-1),
    crossing=st.floats(1e6, 1e14),
)


@given(WIDTHS, st.integers(1, 2000), st.integers(1, 6), MACHINES)
def test_the_choice_is_the_models_fastest_within_the_threads(
    widths: list[int], rows: int, threads: int, here: Machine
) -> None:
    network = program(*widths, threads=threads)
    chosen = choose(network, rows, here)
    alone = estimate(network, rows, SINGLE, here)
    possible = [Partition(by, count) for by in cost_model.BY for count in range(2, threads + 1)]
    others = [each for each in possible if each.by == "rows" or "columns" in roles(network.stages, each)]
    times = [estimate(network, rows, partition, here) for partition in others]
    if chosen == SINGLE:
        too_little = alone < cost_model.WORTH_PARTITIONING
        assert too_little or min(times, default=INFINITE) >= cost_model.WORTH * alone
    else:
        assert chosen in others
        assert estimate(network, rows, chosen, here) == min(times) < cost_model.WORTH * alone
    assert choose(network, rows, here) == chosen


@given(st.lists(st.integers(1, 3), max_size=3), st.integers(1, 2000), MACHINES)
def test_indivisible_units_are_never_computed_by_several_workers(narrow: list[int], rows: int, here: Machine) -> None:
    network = program(*narrow, 300, threads=4)
    chosen = choose(network, rows, here)
    assert chosen.by == "rows" or chosen == SINGLE or "columns" in roles(network.stages, chosen)


def test_one_thread_is_one_worker_whatever_the_work() -> None:
    assert choose(program(4096, 4096, features=4096, threads=1), 4096, usual(exchange=0.0)) == SINGLE


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processors cannot be given up here")
def test_one_processor_is_one_worker_whatever_is_requested() -> None:
    before = os.sched_getaffinity(0)
    wide = {"features": 4096}
    try:
        os.sched_setaffinity(0, {min(before)})
        assert processors() == 1
        for threads in (None, 1, 2, 10**30):
            assert choose(program(4096, 4096, threads=threads, **wide), 64, usual(), all_asked_for=False) == SINGLE
            assert cost_model.threads(program(4096, 4096, threads=threads, **wide), 64, 100) == 1
    finally:
        os.sched_setaffinity(0, before)


# What overrules it


@pytest.mark.parametrize("asked", ["units/2", "rows/3", "units/1", "rows/1", "units/16"])
def test_the_environment_overrules_model_record_and_thread_count(asked: str) -> None:
    for network in (program(4, 1), program(4096, 4096, threads=1)):
        chosen = choose(network, 32, usual(), recorded="rows/4@32", asked=asked)
        assert str(chosen) == asked


def test_the_variable_of_earlier_versions_is_still_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DNNKIT_DIVISION", "rows/3")
    assert choose(program(20, 30, 5), 64) == Partition("rows", 3)


@pytest.mark.parametrize("asked", ["two", "units", "units/0", "rows/x", "columns/2", "units/2@32", "units 2"])
def test_an_invalid_override_is_rejected_before_training(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    net = dk.Sequential([dk.Dense(3)], seed=0, backend="numba")
    net.compile(optimizer="sgd", loss="mean_squared_error")
    x, y = np.ones((8, 2)), np.ones((8, 3))
    net.fit(x, y, verbose=0)
    before, step = net.predict(x), net.executable.state.step
    monkeypatch.setenv("DNNKIT_PARTITION", asked)
    with pytest.raises(ConfigurationError, match=r"DNNKIT_PARTITION is .*: expected units/2, rows/4") as failure:
        net.fit(x, y, verbose=0)
    assert repr(asked) in str(failure.value)
    np.testing.assert_array_equal(net.predict(x), before)
    assert net.executable.state.step == step
    monkeypatch.setenv("DNNKIT_PARTITION", "units/1")
    assert net.fit(x, y, verbose=0).plan.details["partition"] == "units/1"


def test_an_empty_override_is_none() -> None:
    assert choose(program(4, 1), 32, usual(), asked="") == SINGLE


@given(DIVISIONS, st.integers(1, 5000), st.integers(1, 5000))
def test_the_record_counts_for_the_same_batch_size_only(partition: Partition, then: int, now: int) -> None:
    network = program(4, 1)
    recorded = record(partition, then)
    assert choose(network, then, usual(), recorded) == partition
    assert choose(network, now, usual(exchange=1.0), recorded) == (partition if now == then else SINGLE)


def test_the_record_counts_on_a_machine_that_would_choose_otherwise() -> None:
    wide = program(4096, 4096, features=4096)
    assert choose(wide, 64, usual(), record(SINGLE, 64)) == SINGLE
    assert choose(wide, 64, usual(exchange=1.0), record(Partition("units", 4), 64)) == Partition("units", 4)


def test_a_record_of_another_backend_is_ignored() -> None:
    for recorded in ("all on one device@64", "units@64", "rows/0@64", "@64", "units/2"):
        assert choose(program(4, 1), 64, usual(), recorded) == SINGLE
