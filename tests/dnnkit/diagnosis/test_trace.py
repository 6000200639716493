"""`net.trace`: every number of a step is there by its name, and is the one that training computes."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit import losses
from dnnkit.backends import Backend
from dnnkit.errors import DataError, NotReady, UnknownName

ROOT = Path(__file__).parents[3]
RNG = np.random.default_rng(3)
X, LABELS, WEIGHTS = RNG.normal(size=(20, 2, 3)), RNG.integers(0, 4, 20), RNG.uniform(0.5, 2, 20)


@dataclass(frozen=True)
class Scale(dk.Layer):
    def parameters(self, input_shape):
        return {"scale": ((1,), dk.initializers.Constant(1.5))}

    def forward(self, xp, x, scale):
        return x * scale, x

    def backward(self, xp, dy, x, scale):
        return dy * scale, xp.reshape(xp.sum(x * dy), (1,))


@dataclass(frozen=True)
class Cubes(losses.Loss):
    def loss_and_gradient(self, predictions, targets, weights, scale, xp):
        d = predictions - targets
        return xp.sum(xp.abs(d) ** 3), 3 * d * xp.abs(d) * scale


SHELF = [dk.Rescaling(0.5, 0.1), dk.Flatten(), dk.Dense(8, activation="relu"), dk.Dropout(0.3), Scale()]
BELL = dk.activation("trace_bell", "exp(-x**2)")
NETWORKS: dict[str, tuple[list[dk.Layer], Any, Any]] = {
    "softmax taken over": ([dk.Dense(4, activation="softmax")], "sparse_categorical_crossentropy", LABELS),
    "as a layer of its own": (
        [dk.Dense(4), dk.Activation("softmax")], "categorical_crossentropy", np.eye(4)[LABELS],
    ),
    "on logits": (
        [dk.Dense(4, use_bias=False)], losses.SparseCategoricalCrossentropy(from_logits=True), LABELS,
    ),
    "sigmoid": ([dk.Dense(1, activation="sigmoid")], "binary_crossentropy", LABELS[:, None] % 2),
    "a sum, a formula": ([dk.Dense(2, activation=BELL)], "sum_squared_error", RNG.random((20, 2))),
    "a row's activation inside": (
        [dk.Dense(5, activation="softmax"), dk.Dense(2)], "mean_squared_error", RNG.random((20, 2)),
    ),
    "a loss from a formula": ([dk.Dense(2)], losses.Huber(delta=0.3), RNG.random((20, 2))),
    "smoothed labels": (
        [dk.Dense(4, activation="softmax")], losses.SparseCategoricalCrossentropy(label_smoothing=0.1), LABELS,
    ),
    "a loss of one's own": ([dk.Dense(2, activation="tanh")], Cubes(), RNG.random((20, 2))),
}  # fmt: skip


def network(case: str, dtype: Any = "float64") -> dk.Sequential:
    last, loss, _ = NETWORKS[case]
    net = dk.Sequential([*SHELF, *last], seed=0, dtype=dtype)
    net.compile("adam", loss)
    return net


@pytest.mark.parametrize("case", NETWORKS)
def test_gradients_and_loss_are_those_of_get_gradients(case: str, backend: Backend) -> None:
    net, y = network(case), NETWORKS[case][2]
    net.fit(X, y, batch_size=7, verbose=0)  # so that dropout is somewhere within its stream
    weights = None if case == "a loss of one's own" else WEIGHTS
    before = net.executable.snapshot()
    trace = net.trace(X, y, sample_weight=weights)
    loss, gradients = net.get_gradients(X, y, with_input=True, sample_weight=weights)
    assert float(trace["loss"]) == pytest.approx(loss, rel=1e-9)
    for name, gradient in gradients.items():
        found = trace[f"{name}/gradient"].reshape(gradient.shape)
        np.testing.assert_allclose(found, gradient, rtol=1e-8, atol=1e-12, err_msg=name)
    for name, value in net.parameters.items():
        np.testing.assert_array_equal(trace[name], value)
    after = net.executable.snapshot()
    np.testing.assert_equal((after.parameters, after.slots), (before.parameters, before.slots))
    assert after.state == before.state


def test_intermediates_follow_their_formulas(backend: Backend) -> None:
    net = dk.Sequential([dk.Dense(8, activation="tanh"), dk.Dense(4, activation="softmax")], seed=0)
    net.compile("sgd", "sparse_categorical_crossentropy")
    x = X.reshape(20, -1)
    trace = net.trace(x, LABELS)
    assert list(trace) == [
        *("input", "dense/kernel", "dense/bias", "dense/z", "dense/output"),
        *("dense_1/kernel", "dense_1/bias", "dense_1/z", "dense_1/output", "predictions", "loss"),
        *("dense_1/z/gradient", "dense_1/kernel/gradient", "dense_1/bias/gradient", "dense/output/gradient"),
        *("dense/z/gradient", "dense/kernel/gradient", "dense/bias/gradient", "input/gradient"),
    ]
    assert {array.dtype for name, array in trace.items() if name != "loss"} == {np.dtype("float32")}
    z = x.astype("float32") @ trace["dense/kernel"] + trace["dense/bias"]
    np.testing.assert_allclose(trace["dense/z"], z, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(trace["dense/output"], np.tanh(z), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(trace["predictions"], net.predict(x), rtol=1e-4, atol=1e-6)
    slope = 1 - np.tanh(z) ** 2
    expected = trace["dense/output/gradient"] * slope
    np.testing.assert_allclose(trace["dense/z/gradient"], expected, rtol=1e-4, atol=1e-7)
    one_hot = np.eye(4)[LABELS]
    np.testing.assert_allclose(20 * trace["dense_1/z/gradient"], trace["predictions"] - one_hot, atol=1e-5)
    formulas = {name: entry.formula for name, entry in trace.entries.items()}
    assert formulas["dense/z"] == "input · kernel + bias"
    assert formulas["dense/output"] == "tanh(dense/z)"
    assert formulas["dense_1/output"] == "softmax(dense_1/z)"
    assert formulas["loss"] == "mean of softmax_cross_entropy(dense_1/z, y)"
    assert formulas["dense_1/kernel/gradient"] == "dense/outputᵀ · dense_1/z/gradient"
    assert formulas["dense/z/gradient"] == "dense/output/gradient · tanh'(dense/z)"


@pytest.mark.parametrize("case", NETWORKS)
def test_the_kernels_that_it_names_exist_and_are_the_backends(case: str, backend: Backend) -> None:
    trace = network(case).trace(X, NETWORKS[case][2])
    named = [entry.kernel for entry in trace.entries.values() if entry.kernel.startswith("kernels/")]
    assert len(named) > 8
    assert all((ROOT / kernel).is_file() for kernel in named), named
    file = {"numba": "cpu.py", "cupy": "gpu.cu"}.get(backend.name, "reference.py")
    assert trace.entries["dense/z"].kernel == f"kernels/dense/{file}"
    computed = [entry for entry in trace.entries.values() if entry.formula and entry.name != "predictions"]
    assert all(entry.kernel for entry in computed)


@pytest.mark.parametrize("case", NETWORKS)
def test_it_is_shown_in_80_columns_and_to_a_notebook(case: str) -> None:
    trace = network(case, "float32").trace(X, NETWORKS[case][2])
    lines = str(trace).splitlines()
    assert max(map(len, lines[1:])) <= 80
    shown = [line.split()[0] for line in lines[4:] if re.match(r"\S", line)]
    assert shown == list(trace)
    assert trace._repr_html_().count("<tr>") == len(trace) + 1


def test_frozen_layers_have_no_gradient_and_others_the_same(backend: Backend) -> None:
    net = dk.Sequential([dk.Dense(5, activation="tanh"), dk.Dense(4, activation="relu"), dk.Dense(3)], seed=0)
    net.compile("adam", "mean_squared_error")
    net.build(6)
    for frozen in ("dense_1", "dense"):
        net.freeze(frozen)
        x, y = X.reshape(20, -1), RNG.random((20, 3))
        trace, (_, gradients) = net.trace(x, y), net.get_gradients(x, y)
        assert {name for name in trace if name.endswith(("kernel/gradient", "bias/gradient"))} == {
            f"{name}/gradient" for name in gradients
        }
        for name, gradient in gradients.items():
            np.testing.assert_allclose(trace[f"{name}/gradient"], gradient, rtol=1e-3, atol=1e-6)
        diagnosis = net.fit(x, y, diagnose=True, verbose=0).diagnosis
        assert [layer.name for layer in diagnosis.layers] == [
            name for name in ("dense", "dense_1", "dense_2") if f"{name}/kernel" in gradients
        ]


def test_a_network_of_an_activation_alone() -> None:
    net = dk.Sequential([dk.Activation("softmax")])
    net.compile("sgd", "categorical_crossentropy")
    x = X.reshape(20, -1)
    trace = net.trace(x, np.eye(6)[LABELS])
    assert list(trace) == ["input", "activation/output", "predictions", "loss", "input/gradient"]
    np.testing.assert_allclose(trace["input"], x, rtol=1e-6)
    np.testing.assert_allclose(trace["activation/output"], net.predict(x), rtol=1e-5)
    np.testing.assert_allclose(20 * trace["input/gradient"], net.predict(x) - np.eye(6)[LABELS], atol=1e-5)


def test_what_cannot_be_traced_says_what_to_do() -> None:
    net = network("sigmoid")
    with pytest.raises(UnknownName, match="did you mean 'dense/output'"):
        net.trace(X, NETWORKS["sigmoid"][2])["dense/outputs"]
    with pytest.raises(DataError, match="NaN"):
        net.trace(X * np.nan, NETWORKS["sigmoid"][2])
    with pytest.raises(NotReady, match="compile"):
        dk.Sequential([dk.Dense(1)]).trace(X.reshape(20, -1), LABELS[:, None])
