"""Penalties are part of loss and gradient, constraints hold after each update, on every backend and partition."""

from pathlib import Path

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.constraints import CONSTRAINTS, Constraint, NonNeg
from dnnkit.regularizers import REGULARIZERS

rng = np.random.default_rng(0)
X, Y, WEIGHTS = rng.normal(size=(23, 4)), rng.normal(size=(23, 2)), rng.uniform(0.5, 2, 23)


def network(
    loss: str = "mean_squared_error", *, bounds=True, pair=False, clip: float | None = 5, **options
) -> dk.Sequential:
    layers = [
        *([dk.Dense(8, "tanh", kernel_regularizer=dk.regularizers.L2(0.04)), dk.Dense(4)] if pair else []),
        dk.Dense(9, "tanh", kernel_regularizer=dk.regularizers.L1L2(0.02, 0.03), bias_regularizer="l1"),
        dk.PReLU(alpha_regularizer=dk.regularizers.L2(0.1), alpha_constraint="non_neg" if bounds else None),
        dk.Dense(2, kernel_constraint=dk.constraints.MaxNorm(0.7) if bounds else None, bias_initializer="ones"),
    ]
    net = dk.Sequential(layers, seed=1, dtype="float64", **options)
    net.compile(dk.SGD(0.05, momentum=0.5, global_clipnorm=clip), loss)
    net.build((4,))
    return net


def penalty(net: dk.Sequential) -> float:
    kernel, bias, alpha, *_ = net.get_weights()
    return 0.02 * abs(kernel).sum() + 0.03 * (kernel**2).sum() + 0.01 * abs(bias).sum() + 0.1 * (alpha**2).sum()


@pytest.mark.parametrize("loss", ["mean_squared_error", "sum_squared_error"])
def test_the_penalty_is_part_of_the_loss_and_of_the_gradient(backend: Backend, loss: str) -> None:
    net = network(loss, bounds=False)
    net.set_weights([rng.normal(size=weight.shape) for weight in net.get_weights()])
    plain = dk.Sequential([dk.Dense(9, "tanh"), dk.PReLU(), dk.Dense(2)], seed=1, dtype="float64")
    plain.compile("sgd", loss)
    plain.build((4,))
    plain.set_weights(net.get_weights())
    for weights in (None, WEIGHTS):
        without = plain.evaluate(X, Y, sample_weight=weights)["loss"]
        assert net.evaluate(X, Y, 7, sample_weight=weights)["loss"] == pytest.approx(without + penalty(net), rel=1e-9)
    assert net.get_gradients(X, Y)[0] == pytest.approx(plain.evaluate(X, Y)["loss"] + penalty(net), rel=1e-9)
    assert dk.check_gradients(net, X, Y, samples=9).passed
    before = penalty(net)
    assert net.train_step(X, Y) == pytest.approx(plain.evaluate(X, Y)["loss"] + before, rel=1e-9)


@pytest.mark.parametrize("bounds", [False, True])
@pytest.mark.parametrize("clip", [None, 0.5])
@pytest.mark.parametrize("partition", ["units/1", "units/2", "rows/2", "rows/3"])
def test_every_partition_has_them_once(
    partition: str, clip: float | None, bounds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("numba")
    monkeypatch.setenv("DNNKIT_PARTITION", partition)
    wanted, net = (network(bounds=bounds, pair=True, clip=clip, backend=backend) for backend in ("numpy", "numba"))
    options = {"epochs": 2, "batch_size": 6, "sample_weight": WEIGHTS, "verbose": 0}
    expected, history = wanted.fit(X, Y, **options), net.fit(X, Y, **options)
    assert history.plan.reason is None
    np.testing.assert_allclose(history["loss"], expected["loss"], rtol=1e-10)
    for own, other in zip(net.get_weights(), wanted.get_weights(), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-9, atol=1e-12)
    (loss, found), (exact, wanted_ones) = net.get_gradients(X, Y), wanted.get_gradients(X, Y)
    assert loss == pytest.approx(exact, rel=1e-10)
    for name, value in wanted_ones.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("together", [1, 2])
@pytest.mark.parametrize("partition", ["units/1", "rows/2"])
def test_running_means_are_of_constrained_parameters(
    partition: str, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("numba")
    monkeypatch.setenv("DNNKIT_PARTITION", partition)
    wanted, net = (network(backend=backend) for backend in ("numpy", "numba"))
    for each in (wanted, net):
        optimizer = dk.AdamW(0.05, no_decay="*bias", use_ema=True, ema_momentum=0.7)
        each.compile(optimizer, "mean_squared_error", gradient_accumulation_steps=together)
        history = each.fit(X, Y, batch_size=6, epochs=2, verbose=0)
        for _ in range(together):
            each.apply_gradients({name: np.full(value.shape, 0.1) for name, value in each.parameters.items()})
    assert history.plan.reason is None
    assert list(net.averages) == list(wanted.averages)
    for name, value in wanted.averages.items():
        np.testing.assert_allclose(net.averages[name], value, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(net.parameters[name], wanted.parameters[name], rtol=1e-9, atol=1e-12)
    assert (net.averages["pre_lu/alpha"] >= 0).all()


def test_training_follows_numpy_and_is_saved(backend: Backend, tmp_path: Path) -> None:
    wanted, nets = network(backend="numpy"), [network() for _ in range(2)]
    options = {"epochs": 3, "batch_size": 6, "sample_weight": WEIGHTS, "verbose": 0}
    expected = wanted.fit(X, Y, **options)
    for net in nets:
        np.testing.assert_allclose(net.fit(X, Y, **options)["loss"], expected["loss"], rtol=1e-10)
        for own, other in zip(net.get_weights(), wanted.get_weights(), strict=True):
            np.testing.assert_allclose(own, other, rtol=1e-9, atol=1e-12)
    for own, other in zip(*(net.get_weights() for net in nets), strict=True):
        np.testing.assert_array_equal(own, other)
    assert np.linalg.norm(net.get_weights()[3], axis=0).max() <= 0.7 + 1e-12
    assert net.get_weights()[2].min() == 0
    net.save(tmp_path / "save")
    again = dk.load(tmp_path / "save", backend=backend.name)
    assert [repr(layer) for layer in again.layers] == [repr(layer) for layer in net.layers]
    for each in (net, again):
        each.fit(X, Y, **options)
    for own, other in zip(again.get_weights(), net.get_weights(), strict=True):
        np.testing.assert_array_equal(own, other)


def test_updates_from_external_gradients_respect_constraints(backend: Backend) -> None:
    net = network()
    net.apply_gradients({name: -100 * np.ones_like(value) for name, value in net.get_gradients(X, Y)[1].items()})
    assert np.linalg.norm(net.get_weights()[3], axis=0).max() <= 0.7 + 1e-12


def test_frozen_parameters_have_neither(backend: Backend) -> None:
    net = network()
    net.set_weights([rng.normal(size=weight.shape) for weight in net.get_weights()])
    whole = net.evaluate(X, Y)["loss"]
    kernel, alpha = net.get_weights()[0], net.get_weights()[2]
    net.freeze("dense", "dense_1")
    assert net.evaluate(X, Y)["loss"] < whole
    net.fit(X, Y, verbose=0)
    np.testing.assert_array_equal(net.get_weights()[0], kernel)
    assert not np.array_equal(net.get_weights()[2], alpha)
    assert np.linalg.norm(net.get_weights()[3], axis=0).max() > 0.7


@pytest.mark.parametrize("name", sorted(CONSTRAINTS))
def test_constraints_are_keras(backend: Backend, name: str) -> None:
    """As Keras 3 computes them, up to its epsilon of 1e-7."""
    constraint: Constraint = CONSTRAINTS.make(name, Constraint)
    net = dk.Sequential([dk.Dense(50, kernel_constraint=constraint)], seed=0, dtype="float64")
    net.compile(dk.SGD(0.0), "mean_squared_error")
    net.build((4,))
    kernel = rng.normal(size=(4, 50)) * rng.uniform(0, 3, 50)
    net.set_weights([kernel, np.zeros(50)])
    net.train_step(X, np.zeros((23, 50)))
    norms = np.sqrt((kernel**2).sum(axis=0))
    if isinstance(constraint, NonNeg):
        wanted = np.maximum(kernel, 0)
    else:
        bound = constraint.bound("")
        wanted = kernel * (bound.rate * np.clip(norms, bound.least, bound.most) + (1 - bound.rate) * norms) / norms
    np.testing.assert_allclose(net.get_weights()[0], wanted, rtol=1e-12)


def test_names_classes_and_objects_are_understood() -> None:
    for name in REGULARIZERS:
        made = dk.Dense(2, kernel_regularizer=name)
        assert dk.Dense(2, kernel_regularizer=REGULARIZERS[name]()) != made
        dk.Sequential([made]).build((3,))
    with pytest.raises(dk.errors.UnknownName, match="unknown regularizer 'l3'"):
        dk.Dense(2, kernel_regularizer="l3")
    with pytest.raises(dk.errors.ConfigurationError, match="expected min_value to be at most max_value"):
        dk.constraints.MinMaxNorm(2, 1)
