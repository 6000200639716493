"""Groups of parameters, running means, clipping of each gradient, and scheduled numbers: against plain loops."""

from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.backends.stagewise import giant_step
from dnnkit.errors import BackendUnavailable, ConfigurationError, NotReady, UnknownName
from dnnkit.kernels.optimizer_step.reference import RULES
from dnnkit.parameter_groups import matches

X = np.random.default_rng(0).normal(size=(24, 3))
Y = np.random.default_rng(1).normal(size=(24, 2))
DECAY = dk.schedules.ExponentialDecay(0.1, 2, 0.5)


def network(optimizer: Any, backend: Backend | str, threads: int | None = None) -> dk.Sequential:
    layers = [dk.Dense(5, activation="tanh"), dk.Dense(4, activation="tanh"), dk.Dense(2)]
    net = dk.Sequential(layers, seed=0, dtype="float64", backend=backend, num_threads=threads)
    net.build(3)
    net.compile(optimizer, "mean_squared_error")
    return net


def by_hand(rule: str, net: dk.Sequential, numbers: Any, steps: int, clip: Any = lambda gradients: gradients):
    """Return parameters after steps of the rule; `numbers(name, step)` are its rate and others, from step 0."""
    slots = {name: [np.zeros_like(value) for _ in RULES[rule].slots] for name, value in net.parameters.items()}
    trained = network("sgd", "numpy")
    for step in range(steps):
        half = slice(0, 12) if step % 2 == 0 else slice(12, 24)
        gradients = clip(trained.get_gradients(X[half], Y[half])[1])
        new = {}
        for name, p in trained.parameters.items():
            given = p, gradients[name], *slots[name]
            new[name], *slots[name] = RULES[rule].function(step + 1, *given, *numbers(name, step))
        trained.parameters = new
    return dict(trained.parameters)


def fit(net: dk.Sequential, steps: int) -> dict[str, np.ndarray]:
    net.fit(X, Y, batch_size=12, epochs=steps // 2, shuffle=False, verbose=0)
    return dict(net.parameters)


def check(net: dk.Sequential, expected: dict[str, np.ndarray]) -> None:
    for name, value in net.parameters.items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-10, atol=1e-12, err_msg=name)


def test_groups_have_rates_decay_and_moments_of_their_own(backend: Backend) -> None:
    groups = {
        "bias": {"weight_decay": 0},
        "dense_1/*": {"learning_rate": dk.schedules.CosineDecay(0.03, 10), "beta_1": 0.5},
        "dense_2": {"learning_rate_factor": 6, "weight_decay": DECAY},
    }
    rate = dk.schedules.ExponentialDecay(0.01, 10, 0.5)

    def numbers(name: str, step: int) -> tuple[float, ...]:
        own, beta, decay = rate(step), 0.9, 0.1
        decay = 0.0 if "bias" in name else decay
        if name.startswith("dense_1/"):
            own, beta = dk.schedules.CosineDecay(0.03, 10)(step), 0.5
        if name.startswith("dense_2/"):
            own, decay = 6 * own, DECAY(step)
        return own, beta, 0.999, 1e-8, decay

    net = network(dk.AdamW(rate, weight_decay=0.1, groups=groups), backend)
    fit(net, 6)
    check(net, by_hand("adamw", net, numbers, 6))
    single = network(dk.AdamW(rate, weight_decay=0.1, groups=groups), backend)  # the same, step by step
    for step in range(6):
        half = slice(0, 12) if step % 2 == 0 else slice(12, 24)
        if step % 3 == 2:
            single.apply_gradients(single.get_gradients(X[half], Y[half])[1])
        else:
            single.train_step(X[half], Y[half])
    check(single, dict(net.parameters))


@pytest.mark.parametrize("partition", ["units/2", "rows/2", "rows/3"])
def test_any_partition_gives_the_same(partition: str, monkeypatch: pytest.MonkeyPatch) -> None:
    optimizers = [
        lambda: dk.AdamW(0.01, weight_decay=0.1, no_decay="bias", use_ema=True, ema_momentum=0.8),
        lambda: dk.SGD(0.1, clipnorm=0.05, groups={"dense": {"learning_rate": 0.2}}),
        lambda: dk.SGD(0.1, clipvalue=0.01),
    ]
    for make in optimizers:
        expected = network(make(), "numpy")
        fit(expected, 6)
        monkeypatch.setenv("DNNKIT_PARTITION", partition)
        net = network(make(), "numba", threads=3)
        fit(net, 6)
        monkeypatch.delenv("DNNKIT_PARTITION")
        assert net.history.plan.details["partition"] == partition
        check(net, dict(expected.parameters))
        np.testing.assert_allclose(net.predict(X), expected.predict(X), rtol=1e-9)


def test_numbers_are_scheduled_as_rates_are(backend: Backend) -> None:
    net = network(dk.SGD(0.1, momentum=dk.schedules.CosineDecay(0.9, 8), weight_decay=DECAY), backend)
    fit(net, 6)
    momentum = dk.schedules.CosineDecay(0.9, 8)
    check(net, by_hand("momentum", net, lambda name, step: (0.1, momentum(step), DECAY(step)), 6))


def test_each_gradient_or_element_is_bounded(backend: Backend) -> None:
    def each(gradients):
        return {name: g * min(1, 0.05 / np.linalg.norm(g)) for name, g in gradients.items()}

    def elements(gradients):
        return {name: np.clip(g, -0.02, 0.02) for name, g in gradients.items()}

    for optimizer, clip in ((dk.SGD(0.5, clipnorm=0.05), each), (dk.SGD(0.5, clipvalue=0.02), elements)):
        net = network(optimizer, backend)
        fit(net, 4)
        expected = by_hand("sgd", net, lambda name, step: (0.5, 0.0), 4, clip)
        check(net, expected)
        given = network(optimizer, backend)
        for half in (slice(0, 12), slice(12, 24)) * 2:
            gradients = given.get_gradients(X[half], Y[half])[1]
            before = {name: np.array(value) for name, value in gradients.items()}
            given.apply_gradients(gradients)
            np.testing.assert_equal(gradients, before)
        check(given, expected)


def averages_by_hand(net: dk.Sequential, make: Any, steps: int, momentum: float) -> dict[str, np.ndarray]:
    plain, mean = network(make(), "numpy"), {}
    for step in range(steps):
        half = slice(0, 12) if step % 2 == 0 else slice(12, 24)
        plain.train_step(X[half], Y[half])
        for name, value in plain.parameters.items():
            mean[name] = value if step == 0 else momentum * mean[name] + (1 - momentum) * value
    return mean


def test_predictions_are_those_of_the_running_mean(backend: Backend, tmp_path: Any) -> None:
    make = lambda **more: dk.Adam(0.05, **more)  # noqa: E731
    net = network(make(use_ema=True, ema_momentum=0.9), backend)
    before = net.predict(X)
    np.testing.assert_equal(net.averages["dense/bias"], net.parameters["dense/bias"])
    history = net.fit(X, Y, batch_size=12, epochs=3, shuffle=False, verbose=0, validation_data=(X, Y))
    mean = averages_by_hand(net, make, 6, 0.9)
    for name, value in net.averages.items():
        np.testing.assert_allclose(value, mean[name], rtol=1e-10, atol=1e-12)
    check(net, dict(fit_plain(make, 6).parameters))
    frozen = network("sgd", backend)
    frozen.set_parameters(mean)
    expected = frozen.predict(X)
    assert not np.allclose(expected, before)
    for rows in (X, X[:3], X[:1]):
        np.testing.assert_allclose(net.predict(rows), expected[: len(rows)], rtol=1e-10)
    loss = frozen.evaluate(X, Y)["loss"]
    assert net.evaluate(X, Y)["loss"] == pytest.approx(loss, rel=1e-10)
    assert history["val_loss"][-1] == pytest.approx(loss, rel=1e-10)

    net.save(tmp_path / "net")
    net.save_weights(tmp_path / "weights.safetensors")
    frozen.load_weights(tmp_path / "weights.safetensors")
    np.testing.assert_allclose(frozen.predict(X), expected, rtol=1e-10)
    again = dk.load(tmp_path / "net", backend=backend)
    for each in (net, again, net.copy()):
        np.testing.assert_equal(each.predict(X), net.predict(X))
    for each in (net, again):
        each.fit(X, Y, batch_size=12, epochs=1, shuffle=False, verbose=0)
    np.testing.assert_equal(dict(again.averages), dict(net.averages))
    np.testing.assert_equal(dict(again.parameters), dict(net.parameters))

    net.optimizer.predict_with = "current"
    frozen.set_parameters(net.parameters)
    np.testing.assert_allclose(net.predict(X), frozen.predict(X), rtol=1e-10)
    net.optimizer.predict_with = "average"
    net.set_parameters(net.averages)  # all at once: the mean begins again with them
    np.testing.assert_equal(dict(net.averages), dict(net.parameters))
    net.parameters["dense/bias"] = np.ones(5)  # one: its mean continues
    assert (net.averages["dense/bias"] < 1).all()


def fit_plain(make: Any, steps: int) -> dk.Sequential:
    net = network(make(), "numpy")
    fit(net, steps)
    return net


def test_a_mean_requested_later_begins_with_the_parameters(backend: Backend) -> None:
    net = network(dk.SGD(0.1), backend)
    fit(net, 2)
    with pytest.raises(NotReady, match="use_ema=True"):
        net.averages  # noqa: B018
    before = dict(net.parameters)
    net.optimizer.use_ema = True
    net.train_step(X, Y)
    for name, value in net.parameters.items():
        np.testing.assert_allclose(net.averages[name], 0.99 * before[name] + 0.01 * value, rtol=1e-12)


def test_the_best_epoch_is_restored_as_measured(backend: Backend) -> None:
    net = network(dk.SGD(0.3, use_ema=True, ema_momentum=0.5), backend)
    stopping = dk.callbacks.EarlyStopping(monitor="val_loss", patience=1, restore_best_weights=True)
    history = net.fit(X, Y, epochs=6, verbose=0, validation_data=(X[:4], Y[:4] + 3), callbacks=[stopping])
    assert net.evaluate(X[:4], Y[:4] + 3)["loss"] == pytest.approx(min(history["val_loss"]), rel=1e-9)


def test_frozen_layers_stay_and_are_in_the_mean_unchanged(backend: Backend) -> None:
    net = network(dk.AdamW(0.05, weight_decay=0.3, no_decay="bias", clipnorm=0.1, use_ema=True), backend)
    net.freeze("dense_1")
    before = dict(net.parameters)
    fit(net, 4)
    for part in ("kernel", "bias"):
        np.testing.assert_equal(net.parameters[f"dense_1/{part}"], before[f"dense_1/{part}"])
        np.testing.assert_equal(net.averages[f"dense_1/{part}"], before[f"dense_1/{part}"])
    assert not np.allclose(net.parameters["dense/bias"], before["dense/bias"])


def test_groups_may_be_changed_between_steps(backend: Backend) -> None:
    net, other = network(dk.SGD(0.1), backend), network(dk.SGD(0.1), backend)
    for each in (net, other):
        each.train_step(X, Y)
    net.optimizer.groups = {"dense/*": {"learning_rate": 0.0}}
    before = dict(net.parameters)
    net.train_step(X, Y)
    other.train_step(X, Y)
    for name, value in net.parameters.items():
        np.testing.assert_equal(value, before[name] if name.startswith("dense/") else other.parameters[name])
    net.optimizer.groups = None
    assert net.optimizer == other.optimizer


def test_keras_words_exclude_parameters_from_decay() -> None:
    optimizer = dk.AdamW(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    assert optimizer == dk.AdamW(0.1, weight_decay=0.5, no_decay="bias")
    with pytest.raises(ConfigurationError, match="var_names=\\['bias'\\]"):
        optimizer.exclude_from_weight_decay(var_list=[1])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: dk.Adam(groups={"bias": {"weight_decay": 0}}), "Adam has no 'weight_decay'.*AdamW"),
        (lambda: dk.Adam(no_decay="bias"), "Adam has no 'weight_decay'.*AdamW"),
        (lambda: dk.Adam(groups={"bias": {"rate": 0}}), "has no 'rate'.*learning_rate"),
        (lambda: dk.Adam(groups={"bias": {"amsgrad": 1}}), "has no 'amsgrad'"),
        (lambda: dk.Adam(groups={"bias": {"learning_rate": -1}}), "'learning_rate': -1"),
        (lambda: dk.Adam(groups={"bias": {"beta_1": 1.5}}), "'beta_1': 1.5.*below 1"),
        (lambda: dk.Adam(groups={"a": {"learning_rate": 1, "learning_rate_factor": 1}}), "either learning_rate"),
        (lambda: dk.Adam(groups="bias"), "settings by name pattern"),
        (lambda: dk.Adam(groups={"bias": 0}), "settings by name pattern"),
        (lambda: dk.Adam(clipnorm=1.0, clipvalue=1.0), "expected at most one of global_clipnorm, clipnorm, clipvalue"),
        (lambda: dk.Adam(ema_momentum=1), "ema_momentum=1.*below 1"),
        (lambda: dk.Adam(predict_with="mean"), '"average" or "current"'),
    ],
)
def test_invalid_settings_are_rejected(make: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()


def test_a_pattern_that_matches_nothing_is_an_error() -> None:
    for optimizer in (dk.SGD(no_decay="biass"), dk.SGD(groups={"biass": {"momentum": 0.5}})):
        with pytest.raises(UnknownName, match=r"'biass' matches no parameter.*'bias'"):
            network(optimizer, "numpy")
    with pytest.raises(ConfigurationError, match=r"step 3"):
        fit(network(dk.SGD(0.1, momentum=dk.schedules.PiecewiseConstantDecay((2,), (0.5, 2.0))), "numpy"), 6)


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [("bias", True), ("*/bias", True), ("dense_1", True), ("dense_1/*", True), ("den*", True), ("kernel", False)],
)
def test_a_pattern_means_a_name_or_a_part_of_it(pattern: str, matched: bool) -> None:
    assert matches(pattern, "dense_1/bias") == matched


def test_a_backend_that_knows_no_groups_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for make in (lambda: dk.SGD(clipvalue=1.0), lambda: dk.SGD(no_decay="bias"), lambda: dk.SGD(use_ema=True)):
        net = network(make(), "numpy")
        monkeypatch.setattr(type(net.executable), "api_version", 1)
        for train in (
            lambda: net.train_step(X, Y),  # noqa: B023
            lambda: fit(net, 2),  # noqa: B023
            lambda: net.apply_gradients(net.get_gradients(X, Y)[1]),  # noqa: B023
        ):
            with pytest.raises(BackendUnavailable, match="Leave out groups"):
                train()
        monkeypatch.undo()


def test_normalised_layers_take_part(backend: Backend) -> None:
    """Their scales in groups of their own, their statistics in no running mean of the optimizer."""

    def trained(on: Backend | str) -> dk.Sequential:
        normalised = [dk.layers.BatchNormalization(), dk.Dense(5, activation="relu"), dk.layers.LayerNormalization()]
        net = dk.Sequential(
            [dk.Dense(6, activation="tanh"), *normalised, dk.Dense(2)], seed=0, dtype="float64", backend=on
        )
        groups = {"batch_normalization": {"learning_rate_factor": 3}}
        optimizer = dk.AdamW(0.02, no_decay=("bias", "gamma"), groups=groups, use_ema=True, clipnorm=0.1)
        net.compile(optimizer, "mean_squared_error")
        fit(net, 6)
        return net

    net, expected = trained(backend), trained("numpy")
    check(net, dict(expected.parameters))
    np.testing.assert_allclose(net.predict(X), expected.predict(X), rtol=1e-9)
    name = "batch_normalization/moving_mean"
    np.testing.assert_equal(net.averages[name], net.parameters[name])


def test_the_mean_is_of_constrained_parameters(backend: Backend) -> None:
    layers = [dk.Dense(4, kernel_constraint=dk.constraints.MaxNorm(0.1)), dk.Dense(2)]
    net = dk.Sequential(layers, seed=0, dtype="float64", backend=backend)
    net.compile(dk.SGD(0.5, use_ema=True), "mean_squared_error")
    net.train_step(X, Y)
    np.testing.assert_allclose(net.averages["dense/kernel"], net.parameters["dense/kernel"], rtol=1e-12)


def everything() -> dk.optimizers.Optimizer:
    groups = {"dense_1": {"learning_rate": dk.schedules.CosineDecay(0.03, 9)}}
    return dk.AdamW(0.01, weight_decay=DECAY, no_decay="bias", groups=groups, use_ema=True, ema_momentum=0.8)


def test_steps_of_seconds_are_steps_as_well(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """They run one by one, each with its own numbers of the stretch."""
    expected = network(everything(), backend)
    fit(expected, 6)
    monkeypatch.setattr(giant_step, "GIANT", 1)
    net = network(everything(), backend)
    fit(net, 6)
    for name, value in net.averages.items():
        np.testing.assert_allclose(value, expected.averages[name], rtol=1e-10, atol=1e-13)


def test_training_resumes_exactly_within_an_epoch(backend: Backend, tmp_path: Any) -> None:
    expected = network(everything(), backend)
    expected.fit(X, Y, batch_size=5, steps=12, verbose=0)
    net = network(everything(), backend)
    net.fit(X, Y, batch_size=5, steps=7, verbose=0)
    net.save(tmp_path / "net")
    again = dk.load(tmp_path / "net", backend=backend)
    assert again.optimizer == net.optimizer
    again.fit(X, Y, batch_size=5, steps=5, verbose=0)
    np.testing.assert_equal(dict(again.parameters), dict(expected.parameters))
    np.testing.assert_equal(dict(again.averages), dict(expected.averages))
    np.testing.assert_equal(again.predict(X), expected.predict(X))
