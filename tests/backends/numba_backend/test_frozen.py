"""Frozen layers in the compiled epoch: every partition, whole epochs and single steps, custom parts, exchanges."""

from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends.numba_backend import cost_model
from dnnkit.backends.numba_backend.machine import machine
from dnnkit.backends.numba_backend.partition import SINGLE, Partition
from dnnkit.backends.numba_backend.wiring import Wiring
from tests.backends.numba_backend.partitions import (
    DIVIDED,
    LOCAL,
    OPTIMIZERS,
    check_close,
    check_same,
    classes,
    classifier,
    dividing,
    numbers,
)
from tests.backends.numba_backend.test_own_parts import FITS, LAYERS
from tests.backends.numba_backend.test_own_parts import network as with_own
from tests.backends.programs import classifier as program
from tests.backends.programs import program_of

FROZEN = {
    "first of a pair": ("dense",),
    "second of a pair": ("dense_1",),
    "first pair": ("dense", "dense_1"),
    "of both pairs": ("dense", "dense_2"),
    "last": ("dense_3",),
    "all but one": ("dense", "dense_1", "dense_3"),
}


def network(frozen: tuple[str, ...], backend: str = "numba", **more: Any) -> dk.Sequential:
    net = classifier(backend, **more)
    net.freeze(*frozen)
    net.build(11)
    return net


@pytest.mark.parametrize("clip", [None, 0.1])
@pytest.mark.parametrize("frozen", FROZEN)
@pytest.mark.parametrize("partition", ["units/1", *DIVIDED])
def test_every_partition_keeps_frozen_layers_and_trains_others(partition: str, frozen: str, clip: Any) -> None:
    x, labels, weights = classes()
    nets = []
    for backend in ("numba", "numpy"):
        net = network(FROZEN[frozen], backend)
        net.compile(OPTIMIZERS["adamw"](clip), net.loss, ["accuracy"])  # type: ignore[arg-type] # compiled as it is
        before = dict(net.parameters)
        with dividing(partition):
            net.fit(x, labels, sample_weight=weights, batch_size=32, epochs=2, verbose=0)
        nets.append(net)
        for name, value in net.parameters.items():
            assert (value.tobytes() == before[name].tobytes()) == (name.split("/")[0] in FROZEN[frozen]), name
    check_close(*nets)
    assert nets[0].history.plan.details["partition"] == partition


@pytest.mark.parametrize("frozen", ["first of a pair", "second of a pair"])
@pytest.mark.parametrize("partition", LOCAL)
def test_single_steps_give_the_bits_of_an_epoch(partition: str, frozen: str) -> None:
    x, labels, _ = classes(96)
    x = x.astype(np.float32)
    whole, looked_at, stepped = (network(FROZEN[frozen], dtype="float32") for _ in range(3))
    with dividing(partition):
        whole.fit(x, labels, batch_size=32, shuffle=False, verbose=0)
        looked_at.fit(x, labels, batch_size=32, shuffle=False, verbose=0, callbacks=[LooksAtBatches()])
        for start in range(0, 96, 32):
            stepped.train_step(x[start : start + 32], labels[start : start + 32])
        check_same(looked_at, whole)
        for name, value in numbers(stepped).items():
            assert value.tobytes() == numbers(whole)[name].tobytes(), name
        gradients = stepped.get_gradients(x[:32], labels[:32])[1]
        whole.train_step(x[:32], labels[:32])
        stepped.apply_gradients(gradients)
    for name, value in numbers(stepped).items():
        np.testing.assert_allclose(value, numbers(whole)[name], rtol=1e-4, atol=1e-6, err_msg=name)


class LooksAtBatches(dk.Callback):
    def on_batch_end(self, batch, logs):
        pass


@pytest.mark.parametrize("partition", LOCAL)
@pytest.mark.parametrize("name", LAYERS)
def test_own_layers_between_frozen_ones(name: str, partition: str) -> None:
    x, labels, _ = classes()
    nets = []
    for backend in ("numba", "numpy"):
        net = with_own(LAYERS[name], backend)
        net.freeze("dense", *(["scale"] if any(type(layer).__name__ == "Scale" for layer in LAYERS[name]) else []))
        if name == "alone":
            net.unfreeze("scale")
        net.build(11)
        with dividing(partition):
            net.fit(x, labels, **FITS)
        nets.append(net)
    check_close(*nets)


def test_below_all_trained_stages_no_slope_is_kept_unless_requested() -> None:
    x, labels, _ = classes(64)
    layers = [dk.Dense(9, "gelu", trainable=False), dk.Dense(8, "silu"), dk.Dense(7, "gelu", trainable=False)]
    net, other = (
        dk.Sequential([*layers, dk.Dense(5, "softmax")], backend=backend, dtype="float64", seed=1)
        for backend in ("numba", "numpy")
    )
    for each in (net, other):
        each.compile("adam", "sparse_categorical_crossentropy")
    with dividing("units/1"):
        for number in range(2):
            for each in (net, other):
                each.fit(x, labels, batch_size=64, verbose=0)
            team = net.executable.epoch.team
            stages, kernels = net.executable.program.stages, team._kernels
            left = [team._tables[0][place].forward for place in range(3)]
            whole = [kernels.forward(stage, trains=True).address for stage in stages[:3]]
            plain = kernels.forward(stages[0], trains=False).address
            assert left == [plain if number == 0 else whole[0], *whole[1:]]
            found, expected = (each.get_gradients(x, labels, with_input=True)[1] for each in (net, other))
            for name, gradient in expected.items():
                np.testing.assert_allclose(found[name], gradient, rtol=1e-9, atol=1e-12, err_msg=name)
            check_close(net, other)


def test_frozen_layers_cost_neither_a_product_nor_an_update() -> None:
    here = machine()

    def seconds(*trainable: bool, partition: Partition = SINGLE) -> float:
        widths, layers = (128, 128, 10), []
        for units, trains in zip(widths, trainable, strict=True):
            layers.append(dk.Dense(units, activation="relu", trainable=trains))
        lowered = program_of(layers, 784)
        return cost_model.seconds(lowered, Wiring(lowered.stages), 784, 32, partition, here)

    for partition in (SINGLE, Partition("units", 2), Partition("rows", 2)):
        both, below, upper = (seconds(*each, partition=partition) for each in ((1, 1, 1), (0, 1, 1), (1, 0, 1)))
        assert below < upper < both
        assert below < 0.6 * both
    first = program_of([dk.Dense(128, activation="relu", trainable=False), dk.Dense(10)], 784)
    assert cost_model.seconds_per_step(first, 32) < 0.6 * cost_model.seconds_per_step(program(784, 128, 10), 32)
