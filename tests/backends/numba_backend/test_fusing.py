"""Columns of class indices before a dense layer: their rows are looked up, and results agree with the NumPy backend."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends.numba_backend.fusing import fused
from dnnkit.backends.stages import Activate, Dense, Op, Parameter

ROWS, CLASSES = 41, 24


def one_hot(x: Any) -> Any:
    return dk.Dense(3, "tanh")(dk.OneHot((CLASSES, CLASSES + 1))(x))


def counted(x: Any) -> Any:
    return dk.Dense(40, use_bias=False)(dk.CategoryEncoding(CLASSES, "count")(x))


def any_of(x: Any) -> Any:
    return dk.Dense(33, "softmax")(dk.CategoryEncoding(CLASSES, "multi_hot")(x))


def beside_numbers(x: Any) -> Any:
    hidden, classes = dk.Dense(5, "tanh")(x), dk.OneHot(CLASSES)(x)
    whole = dk.Concatenate()([x, hidden, classes, hidden])
    return dk.Add()([dk.Dense(3, "gelu")(whole), dk.Dense(3)(dk.Concatenate()([hidden, whole]))])


def shared(x: Any) -> Any:
    dense, encode = dk.Dense(4, "tanh"), dk.OneHot(CLASSES)
    return dk.Add()([dense(encode(x)), dense(dk.CategoryEncoding(2 * CLASSES, "multi_hot")(x))])


def frozen(x: Any) -> Any:
    return dk.Dense(6, "tanh", trainable=False)(dk.OneHot(CLASSES)(x))


NETWORKS: tuple[Callable[[Any], Any], ...] = one_hot, counted, any_of, beside_numbers, shared, frozen


def network(write: Callable[[Any], Any], backend: str) -> dk.Model:
    x = dk.Input((2,))
    net = dk.Model(x, dk.Dense(2, name="end")(write(x)), backend=backend, seed=3, dtype="float64", num_threads=2)
    net.compile(dk.Adam(0.01), "mean_squared_error")
    return net


@pytest.mark.parametrize("partition", ["units/1", "rows/2", "units/2"])
@pytest.mark.parametrize("write", NETWORKS)
def test_rows_are_looked_up_and_nothing_else_changes(
    write: Callable[[Any], Any], partition: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DNNKIT_PARTITION", partition)
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, CLASSES, (ROWS, 2)).astype("float64"), rng.normal(size=(ROWS, 2))
    x[::3, 1] = x[::3, 0]  # the same class twice
    net, plain = (network(write, backend) for backend in ("numba", "numpy"))
    for each in (net, plain):
        each.fit(x, y, batch_size=16, epochs=2, verbose=0)
    assert "dense_of_classes" in [getattr(stage, "kind", "") for stage in net.executable.wiring.stages]
    assert list(net.parameters) == list(plain.parameters)
    for name, value in plain.parameters.items():
        np.testing.assert_allclose(net.parameters[name], value, rtol=0, atol=1e-11)
    np.testing.assert_allclose(net.predict(x), plain.predict(x), rtol=0, atol=1e-11)
    (loss, gradients), (wanted_loss, wanted) = (each.get_gradients(x, y, with_input=True) for each in (net, plain))
    assert loss == pytest.approx(wanted_loss, abs=1e-12)
    for name, value in wanted.items():
        np.testing.assert_allclose(gradients[name], value, rtol=0, atol=1e-11)


def test_few_classes_are_multiplied_and_shared_values_stay() -> None:
    kernels = [Parameter(f"{name}/kernel", shape) for name, shape in (("a", (20, 40)), ("b", (20, 8)), ("c", (20, 2)))]
    encode = Op("one_hot", 20, settings=(("mode", "concatenate"), ("sizes", (10, 10))))
    wide, narrow, last = (Dense(kernel, None, "relu") for kernel in kernels)
    stages, sources = fused((encode, wide), ((0,), (1,)), 2)
    assert [getattr(stage, "kind", type(stage)) for stage in stages] == ["dense_of_classes", Activate]
    assert sources == ((0,), (1,))
    given = (encode, narrow), ((0,), (1,))
    assert fused(*given, 2) == given
    add = Op("add", 20)
    stages, sources = fused((encode, wide, last, add), ((0,), (1,), (1,), (1, 1)), 2)
    assert [getattr(stage, "kind", "") for stage in stages] == ["one_hot", "add"]  # a value without readers is left out
    assert sources == ((0,), (1, 1))
