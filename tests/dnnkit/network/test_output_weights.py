"""Weights of samples and of classes, for each of several outputs."""

from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends.base import Backend
from dnnkit.errors import ConfigurationError, DataError, DnnkitError, ShapeError, UnknownName

ROWS = 37
RNG = np.random.default_rng(5)
X = RNG.normal(size=(ROWS, 4))
KINDS, PRICES = RNG.integers(0, 3, ROWS), RNG.normal(size=(ROWS, 2))
Y = {"kind": KINDS, "price": PRICES}
WEIGHTS = {"kind": RNG.uniform(0.5, 3.0, ROWS), "price": RNG.integers(0, 3, ROWS).astype("float64")}


def network(backend: Any = "numpy", price: Any = "mse", optimizer: Any = None) -> dk.Model:
    x = dk.Input((4,))
    h = dk.Dense(6, "tanh")(x)
    outputs = {"free": dk.Dense(1)(h), "kind": dk.Dense(3, "softmax")(h), "price": dk.Dense(2)(h)}
    net = dk.Model(x, outputs, backend=backend, seed=1, dtype="float64")
    losses = {"kind": "sparse_categorical_crossentropy", "price": price}
    net.compile(
        optimizer or dk.SGD(0.1), losses, {"kind": ["accuracy", "auc"], "price": ["mae"]}, {"kind": 1.0, "price": 0.25}
    )
    return net


def numbers(net: dk.Model) -> dict[str, np.ndarray]:
    return net.executable.snapshot().parameters | net.executable.snapshot().slots


def expected(net: dk.Model, weights: dict[str, np.ndarray], rows: slice = slice(None)) -> dict[str, float]:
    """Compute the weighted mean of each output by hand."""
    found = net.predict(X[rows])
    kinds, prices, (own, other) = KINDS[rows], PRICES[rows], (weights[name][rows] for name in ("kind", "price"))
    chosen = found["kind"][np.arange(len(kinds)), kinds]
    values = {
        "kind_loss": np.average(-np.log(chosen), weights=own),
        "kind_accuracy": np.average(found["kind"].argmax(axis=1) == kinds, weights=own),
        "price_loss": np.average(((found["price"] - prices) ** 2).mean(axis=1), weights=other),
        "price_mae": np.average(abs(found["price"] - prices).mean(axis=1), weights=other),
    }
    return {"loss": values["kind_loss"] + 0.25 * values["price_loss"], **values}


def test_measures_are_means_of_rows_weighted_per_output(backend: Backend) -> None:
    net = network(backend)
    found = dict(net.evaluate(X, Y, batch_size=7, sample_weight=WEIGHTS))
    auc = found.pop("kind_auc")
    assert found == pytest.approx(expected(net, WEIGHTS), rel=1e-12)
    assert auc != pytest.approx(net.evaluate(X, Y)["kind_auc"], rel=1e-6)
    common = net.evaluate(X, Y, sample_weight=WEIGHTS["kind"])
    both = net.evaluate(X, Y, sample_weight=[None, WEIGHTS["kind"], WEIGHTS["kind"]])
    assert dict(both) == pytest.approx(dict(common), rel=1e-12)
    loss, gradients = net.get_gradients(X, Y, sample_weight=WEIGHTS)
    assert loss == pytest.approx(found["loss"], rel=1e-12)
    assert net.trace(X, Y, sample_weight=WEIGHTS)["loss"] == pytest.approx(loss, rel=1e-12)
    before = net.parameters["dense/kernel"].copy()
    assert net.train_step(X, Y, sample_weight=WEIGHTS) == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(net.parameters["dense/kernel"], before - 0.1 * gradients["dense/kernel"], atol=1e-12)


def test_training_follows_numpy_and_classes_have_weights_too(backend: Backend) -> None:
    options: dict[str, Any] = {"batch_size": 8, "epochs": 2, "verbose": 0}
    table = np.array([1.0, 0.0, 2.5])
    nets = [network(each, optimizer=dk.Adam(0.01)) for each in ("numpy", backend, backend)]
    histories = [net.fit(X, Y, sample_weight={"kind": WEIGHTS["kind"] * table[KINDS]}, **options) for net in nets[:2]]
    histories.append(nets[2].fit(X, Y, sample_weight={"kind": WEIGHTS["kind"]}, class_weight={"kind": {1: 0, 2: 2.5}},
                                 **options))  # fmt: skip
    for net, history in zip(nets[1:], histories[1:], strict=True):
        for name, value in numbers(nets[0]).items():
            np.testing.assert_allclose(numbers(net)[name], value, rtol=1e-9, atol=1e-12)
        for measured in ("loss", "kind_loss", "kind_accuracy", "price_mae"):
            assert history[measured] == pytest.approx(histories[0][measured], rel=1e-9)


def test_held_out_rows_have_their_own_mean(backend: Backend) -> None:
    net = network(backend)
    history = net.fit(X, Y, sample_weight=WEIGHTS, validation_split=0.3, verbose=0)
    wanted = expected(net, WEIGHTS, slice(25, None))
    assert {name: history[f"val_{name}"][-1] for name in wanted} == pytest.approx(wanted, rel=1e-12)


def test_weights_of_sums_are_not_scaled(backend: Backend) -> None:
    x = dk.Input((4,))
    net = dk.Model(x, [dk.Dense(1)(x), dk.Dense(1)(x)], backend=backend, seed=0, dtype="float64")
    net.compile("sgd", "sum_squared_error")
    first, second = WEIGHTS["kind"], WEIGHTS["price"]
    found = net.evaluate(X, [PRICES[:, :1], PRICES[:, 1:]], sample_weight=[first, second])
    a, b = net.predict(X)
    squares = [((each[:, 0] - PRICES[:, k]) ** 2) / 2 for k, each in enumerate((a, b))]
    assert found["loss"] == pytest.approx(first @ squares[0] + second @ squares[1], rel=1e-12)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"class_weight": {0: 2.0}}, ConfigurationError, "several outputs, free, kind, price, with different classes"),
        (
            {"class_weight": {"kind": {7: 2.0}}},
            ConfigurationError,
            r"class_weight\['kind'\] has a weight for a class 7",
        ),
        ({"class_weight": {"free": {0: 2.0}}}, ConfigurationError, "'free', which has no loss"),
        ({"sample_weight": {"kinds": np.ones(ROWS)}}, UnknownName, "sample_weight names an output 'kinds'.*'kind'"),
        ({"sample_weight": [np.ones(ROWS)] * 2}, DataError, "3 outputs, free, kind, price"),
        ({"sample_weight": {"kind": np.ones(3)}}, ShapeError, r"sample_weight\['kind'\]"),
        ({"sample_weight": {"kind": np.zeros(ROWS)}}, DataError, r"sample_weight\['kind'\] is 0 for every sample"),
        ({"sample_weight": {"kind": -np.ones(ROWS)}}, DataError, r"sample_weight\['kind'\] has negative"),
    ],
)
def test_wrong_weights_are_one_error(given: dict[str, Any], error: type[DnnkitError], words: str) -> None:
    with pytest.raises(error, match=words):
        network().fit(X, Y, verbose=0, **given)


def test_the_only_output_may_be_named() -> None:
    net = dk.Sequential([dk.Dense(3, "softmax", name="kind")], backend="numpy", seed=0)
    net.compile("sgd", "sparse_categorical_crossentropy")
    plain = net.evaluate(X, KINDS, sample_weight=WEIGHTS["kind"])
    assert dict(net.evaluate(X, KINDS, sample_weight={"kind": WEIGHTS["kind"]})) == dict(plain)
    net.fit(X, KINDS, class_weight={"kind": {0: 2.0}}, verbose=0)
