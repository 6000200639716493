"""Steps with an external loss: backward, step and follow."""

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.errors import ConfigurationError, DataError, DnnkitError, NotReady, ShapeError

rng = np.random.default_rng(11)
ROWS, FEATURES, OUTPUTS = 9, 5, 3
X = rng.normal(size=(ROWS, FEATURES))
G = rng.normal(size=(ROWS, OUTPUTS))
LABELS = rng.integers(0, OUTPUTS, ROWS)
ONE_HOT = np.eye(OUTPUTS)[LABELS]


@dataclass(frozen=True)
class Squared(dk.Layer):
    """y = s x², a custom layer."""

    def parameters(self, input_shape: Any) -> Any:
        return {"scale": (tuple(input_shape), "ones")}

    def forward(self, xp: Any, x: Any, scale: Any) -> Any:
        return scale * x * x, x

    def backward(self, xp: Any, dy: Any, x: Any, scale: Any) -> Any:
        return 2 * scale * x * dy, xp.sum(x * x * dy, axis=0)


ENDS: dict[str, Callable[[], list[dk.Layer]]] = {
    "softmax": lambda: [dk.Dense(OUTPUTS, activation="softmax")],
    "sigmoid": lambda: [dk.Dense(OUTPUTS, activation="sigmoid")],
    "linear": lambda: [dk.Dense(OUTPUTS)],
    "an activation of its own": lambda: [dk.Dense(OUTPUTS), dk.Activation("softmax")],
    "dropout and a layer of one's own": lambda: [dk.Dropout(0.5), dk.Dense(OUTPUTS), Squared()],
}


def network(end: str, backend: Backend | str, *, dtype: Any = "float64", optimizer: Any = None) -> dk.Sequential:
    layers = [dk.Rescaling(0.5), dk.Dense(12, activation="tanh"), dk.Dropout(0.3), *ENDS[end]()]
    net = dk.Sequential(layers, seed=3, backend=backend, dtype=dtype)
    net.compile(optimizer or dk.Adam(0.01))
    net.build(FEATURES)
    return net


def test_penalties_are_no_part_and_constraints_hold(backend: Backend) -> None:
    held = {"kernel_regularizer": "l2", "kernel_constraint": dk.constraints.MaxNorm(0.5)}
    nets = [dk.Sequential([dk.Dense(OUTPUTS, **each)], seed=1, backend=backend, dtype="float64") for each in (held, {})]
    found = []
    for net in nets:
        net.compile(dk.SGD(0.1), "mean_squared_error")
        net.build(FEATURES)
        found.append(net.backward(X, G))
        net.step(X, G)
    for name, value in found[0].items():
        np.testing.assert_allclose(value, found[1][name], rtol=1e-9, atol=1e-12)
    kernel = nets[1].parameters["dense/kernel"]
    norms = np.linalg.norm(kernel, axis=0)
    expected = kernel * np.minimum(1, 0.5 / norms)
    np.testing.assert_allclose(nets[0].parameters["dense/kernel"], expected, rtol=1e-6)


def deeper() -> dk.Sequential:
    net = network("linear", "numpy")
    net.add(dk.Dense(2))
    return net


def numbers(net: dk.Sequential) -> dict[str, np.ndarray]:
    """Return parameters and optimizer state."""
    snapshot = net.executable.snapshot()
    return {**snapshot.parameters, **snapshot.slots}


def check_close(net: dk.Sequential, other: dk.Sequential, rtol: float = 1e-9) -> None:
    for name, value in numbers(net).items():
        np.testing.assert_allclose(value, numbers(other)[name], rtol=rtol, atol=1e-3 * rtol, err_msg=name)


@pytest.mark.parametrize("end", ENDS)
def test_gradients_are_those_of_predictions_by_differences(end: str, backend: Backend) -> None:
    net = network(end, backend)
    found = net.backward(X, G, with_input=True)
    assert list(found) == [*net.parameters, "input"]
    fast = net.backward(X, G)
    for name in net.parameters:
        np.testing.assert_allclose(fast[name], found[name], rtol=1e-9, atol=1e-12, err_msg=name)
        value = net.parameters[name]
        for place in (0, value.size // 2, value.size - 1):

            def loss(shift: float, name: str = name, value: Any = value, place: int = place) -> float:
                moved = value.copy()
                moved.reshape(-1)[place] += shift
                net.parameters[name] = moved
                return float((net.predict(X) * G).sum())

            expected = (loss(1e-5) - loss(-1e-5)) / 2e-5
            assert found[name].reshape(-1)[place] == pytest.approx(expected, rel=1e-6, abs=1e-8), name
        net.parameters[name] = value
    moved = X.copy()
    moved[4, 2] += 1e-5
    expected = ((net.predict(moved) - net.predict(X)) * G).sum() / 1e-5
    assert found["input"][4, 2] == pytest.approx(expected, rel=1e-3, abs=1e-6)
    assert found["input"].shape == X.shape


@pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", "categorical_crossentropy"])
def test_logits_gradients_are_those_of_the_fused_loss(loss: str, backend: Backend) -> None:
    net, y = network("softmax", backend), LABELS if loss.startswith("sparse") else ONE_HOT
    net.compile(dk.Adam(0.01), loss)
    trained, p = net.copy(), net.predict(X)
    net.step(X, logits_gradient=(p - ONE_HOT) / ROWS)
    undropped = dk.Sequential([dk.Rescaling(0.5), dk.Dense(12, activation="tanh"), *ENDS["softmax"]()], seed=3,
                              backend=backend, dtype="float64")  # fmt: skip
    undropped.compile(dk.Adam(0.01), loss)
    undropped.build(FEATURES)
    undropped.parameters = trained.parameters
    _, expected = undropped.get_gradients(X, y)
    for name, value in trained.backward(X, logits_gradient=(p - ONE_HOT) / ROWS).items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-8, atol=1e-11, err_msg=name)
    for name, value in trained.backward(X, -ONE_HOT / p / ROWS).items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-7, atol=1e-10, err_msg=name)
    undropped.train_step(X, y)
    check_close(net, undropped, 1e-7)


def test_dropout_is_on_with_training_and_has_the_mask_of_a_step(backend: Backend) -> None:
    net = network("linear", backend)
    net.compile(dk.SGD(0.1), "sum_squared_error")
    target, before = rng.normal(size=(ROWS, OUTPUTS)), net.copy()
    _, expected = net.get_gradients(X, target)
    undropped = net.backward(X, net.predict(X) - target)
    assert not np.allclose(undropped["dense_1/kernel"], expected["dense_1/kernel"])
    dropped = net.trace(X, target)["dense_1/output"]
    found = net.backward(X, dropped - target, training=True)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-8, atol=1e-11, err_msg=name)
    before.step(X, dropped - target, training=True)
    net.train_step(X, target)
    check_close(net, before)


OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "adam": lambda: dk.Adam(0.01),
    "momentum, clipped": lambda: dk.SGD(0.1, momentum=0.9, weight_decay=0.01, global_clipnorm=0.05),
    "a schedule": lambda: dk.RMSprop(dk.schedules.ExponentialDecay(0.01, 2, 0.5)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_step_applies_the_gradients_of_backward(optimizer: str, dtype: str, backend: Backend) -> None:
    """Also with other numbers of rows, between steps of other kinds, and with data in other forms."""
    stepped, applied = (network("softmax", backend, dtype=dtype, optimizer=OPTIMIZERS[optimizer]()) for _ in range(2))
    for number, rows in enumerate((9, 1, 4, 9, 7, 4)):
        x, g = X[:rows].astype(dtype), G[:rows].astype(dtype)
        given: dict[str, Any] = {"logits_gradient" if number % 2 else "output_gradient": g.tolist() if rows == 7 else g}
        stepped.step(x, **given)
        applied.apply_gradients(applied.backward(x, **given))
        if number == 3:
            for net in (stepped, applied):
                net.parameters["dense/bias"] = np.full(12, 0.25)
    check_close(stepped, applied, 1e-9 if dtype == "float64" else 1e-3)
    assert stepped.executable.state.step == applied.executable.state.step == 6


def test_steps_continue_across_saves_copies_and_backends(backend: Backend, tmp_path: Any) -> None:
    net = network("softmax", backend)
    net.step(X, G)
    net.save(tmp_path / "net")
    others = [net.copy(), dk.load(tmp_path / "net", backend=backend), net.copy().to("numpy")]
    for other in (net, *others):
        other.step(X, G)
    check_close(net, others[0], 1e-12)
    check_close(net, others[1], 1e-12)
    check_close(net, others[2])


def test_bits_are_the_same_from_run_to_run(backend: Backend) -> None:
    runs = []
    for _ in range(2):
        net, target = (network("softmax", backend, dtype="float32") for _ in range(2))
        for rows in (9, 3, 9):
            net.step(X[:rows], G[:rows], training=True)
            target.follow(net, 0.1)
        runs.append([*numbers(net).values(), *numbers(target).values()])
    for one, other in zip(*runs, strict=True):
        np.testing.assert_array_equal(one, other)


def test_layers_that_are_frozen_stay(backend: Backend) -> None:
    net = network("softmax", backend)
    net.freeze("dense")
    before = dict(net.parameters)
    assert list(net.backward(X, G)) == ["dense_1/kernel", "dense_1/bias"]
    net.step(X, G)
    np.testing.assert_array_equal(net.parameters["dense/kernel"], before["dense/kernel"])
    assert (net.parameters["dense_1/kernel"] != before["dense_1/kernel"]).any()
    net.unfreeze("*")
    net.step(X, G)
    assert (net.parameters["dense/kernel"] != before["dense/kernel"]).any()
    net.freeze("*")
    assert list(net.backward(X, G, with_input=True)) == ["input"]
    with pytest.raises(ConfigurationError, match="all layers are frozen"):
        net.step(X, G)


def test_several_threads_may_call_at_once(backend: Backend) -> None:
    """Sums do not depend on which thread was first; each caller has separate gradients."""
    net = network("linear", backend, optimizer=dk.SGD(0.0))
    alone = {rows: net.backward(X[:rows], G[:rows]) for rows in range(1, 5)}
    wrong: list[Any] = []

    def work(rows: int) -> None:
        for _ in range(10):
            net.step(X[:rows], G[:rows])
            found = net.backward(X[:rows], G[:rows])
            wrong.extend(n for n in found if not np.allclose(found[n], alone[rows][n], rtol=1e-9, atol=1e-12))

    threads = [threading.Thread(target=work, args=(rows,)) for rows in alone]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert net.executable.state.step == 40


BAD: list[tuple[Callable[[dk.Sequential], Any], type[DnnkitError], str]] = [
    (lambda net: net.step(X), ConfigurationError, "give either output_gradient.*: neither is given"),
    (lambda net: net.backward(X, G, logits_gradient=G), ConfigurationError, "both are given"),
    (lambda net: net.step(X, G[:, :2]), ShapeError, r"output_gradient has shape \(9, 2\): expected \(9, 3\)"),
    (lambda net: net.step(X, G[1:]), ShapeError, "x has 9 samples but output_gradient has 8"),
    (lambda net: net.step(X, logits_gradient=LABELS), ShapeError, r"logits_gradient has shape \(9,\)"),
    (lambda net: net.step(X, np.where(G > 0, np.nan, G)), DataError, "output_gradient has NaN or infinite"),
    (lambda net: net.backward(np.where(X > 1, np.inf, X), G), DataError, "x has NaN or infinite"),
    (lambda net: net.backward(X, G.astype(complex)), DataError, "output_gradient has dtype complex128"),
    (lambda net: net.backward(X[:, 1:], G), ShapeError, "x has shape|samples"),
    (lambda net: net.backward(X, G, training="yes"), ConfigurationError, "training"),
    (lambda net: net.fit(X, G, verbose=0), NotReady, "compiled without a loss.*step"),
    (lambda net: net.train_step(X, G), NotReady, "compiled without a loss"),
    (lambda net: net.get_gradients(X, G), NotReady, "compiled without a loss"),
    (lambda net: net.evaluate(X, G), NotReady, "compiled without a loss"),
    (lambda net: net.trace(X, G), NotReady, "compiled without a loss"),
    (lambda net: net.inspect(), NotReady, "inspect needs"),
    (lambda net: net.follow(net, 1.5), ConfigurationError, "tau.*0 to 1"),
    (lambda net: net.follow({}, 0.5), ConfigurationError, "follow got"),
    (
        lambda net: net.follow(deeper(), 0.5),
        ConfigurationError,
        r"follow: 2 parameters .* the first is 'dense_2/kernel', which is missing here and \(3, 2\) there",
    ),
]


@pytest.mark.parametrize("place", range(len(BAD)))
def test_invalid_arguments_are_one_error_and_change_nothing(place: int, backend: Backend) -> None:
    call, error, message = BAD[place]
    net = network("softmax", backend)
    before = numbers(net)
    with pytest.raises(error, match=message):
        call(net)
    for name, value in before.items():
        np.testing.assert_array_equal(value, numbers(net)[name])
    assert net.executable.state.step == 0


def test_steps_without_compile_or_logits_are_errors(backend: Backend) -> None:
    with pytest.raises(NotReady, match="not compiled"):
        dk.Sequential([dk.Dense(2)], backend=backend).step(X, G[:, :2])
    with pytest.raises(ConfigurationError, match="no logits: give output_gradient"):
        network("dropout and a layer of one's own", backend).step(X, logits_gradient=G)


def test_a_network_builds_itself_on_the_first_data(backend: Backend) -> None:
    net = dk.Sequential([dk.Dense(OUTPUTS)], seed=1, backend=backend)
    assert set(net.backward(X, G)) == {"dense/kernel", "dense/bias"}
    target = dk.Sequential([dk.Dense(OUTPUTS)], seed=2, backend=backend)
    target.follow(net, 1.0)
    np.testing.assert_array_equal(target.predict(X), net.predict(X))


@settings(max_examples=15, deadline=None)
@given(st.floats(0, 1), st.sampled_from(["numpy", "numba"]), st.sampled_from(["float32", "float64"]))
def test_following_is_a_mean_across_backends_and_dtypes(tau: float, other: str, dtype: str) -> None:
    for name in ("numpy", "numba"):
        with suppress(dk.errors.BackendUnavailable):
            net, target = network("softmax", other, dtype=dtype), network("softmax", name)
            net.step(X, G)
            target.freeze("dense")  # whose layout then differs
            before, step = dict(target.parameters), target.executable.state.step
            target.follow(net, tau)
            for each, value in target.parameters.items():
                expected = (1 - tau) * before[each] + tau * net.parameters[each].astype("float64")
                np.testing.assert_allclose(value, expected, rtol=1e-12, atol=1e-15, err_msg=each)
            assert target.executable.state.step == step


def heads(backend: Backend | str) -> dk.Model:
    """A policy and a value on one trunk, and an input that only the value sees."""
    left, right = dk.Input((FEATURES,), name="left"), dk.Input((2,), name="right")
    trunk = dk.Dropout(0.5)(dk.Dense(6, activation="tanh", name="trunk")(left))
    policy = dk.Dense(OUTPUTS, activation="softmax", name="policy")(trunk)
    value = dk.Dense(1, activation="sigmoid", name="value")(dk.Concatenate()([trunk, right]))
    net = dk.Model([left, right], {"policy": policy, "value": value}, seed=1, dtype="float64", backend=backend)
    net.compile(dk.Adam(0.01))
    return net


def test_each_of_several_outputs_may_have_its_own_kind_of_gradient(backend: Backend) -> None:
    net, x, of_value = heads(backend), {"left": X, "right": G[:, :2]}, G[:, 2:]
    p = net.predict(x)["policy"]
    given: dict[str, Any] = {"output_gradient": {"value": of_value}, "logits_gradient": {"policy": p - ONE_HOT}}
    found = net.backward(x, **given, with_input=True)
    same = net.backward(x, [-ONE_HOT / p, of_value])
    assert set(found) == {*net.parameters, "left", "right"}
    for name, value in same.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-7, atol=1e-10, err_msg=name)

    def loss() -> float:
        y = net.predict(x)
        return float((y["value"] * of_value).sum() - np.log(y["policy"][np.arange(ROWS), LABELS]).sum())

    for name in net.parameters:
        value = net.parameters[name]
        moved = value.copy()
        moved.reshape(-1)[1 % value.size] += 1e-6
        before = loss()
        net.parameters[name] = moved
        difference = (loss() - before) / 1e-6
        net.parameters[name] = value
        assert found[name].reshape(-1)[1 % value.size] == pytest.approx(difference, rel=1e-3, abs=1e-6), name
    alone = net.backward(x, {"value": of_value})
    assert not alone["policy/kernel"].any()
    stepped, applied = net.copy(), net.copy()
    stepped.step(x, **given)
    applied.apply_gradients({name: found[name] for name in net.parameters})
    check_close(stepped, applied)
    for arguments, error, message in (
        ({}, ConfigurationError, "no gradient is given for any of the outputs policy, value"),
        ({"output_gradient": G}, ConfigurationError, "2 outputs, policy, value: expected a dictionary"),
        ({"output_gradient": {"valeu": G}}, dk.errors.UnknownName, "valeu"),
        ({**given, "output_gradient": {"policy": G}}, ConfigurationError, "both .* for the output 'policy'"),
        ({"output_gradient": {"value": G}}, ShapeError, r"output_gradient\['value'\] has shape \(9, 3\)"),
    ):
        with pytest.raises(error, match=message):
            net.step(x, **arguments)


def test_networks_of_the_same_layers_follow_and_step_together(backend: Backend) -> None:
    net, other = (dk.Sequential([dk.Input((FEATURES,)), dk.Dense(4, name="code"), dk.Dense(2)], seed=s, backend=backend,
                                dtype="float64") for s in (1, 2))  # fmt: skip
    encoder = dk.Model(net.input, net.get_layer("code").output, dtype="float64", backend=backend)
    net.compile(dk.SGD(0.1))
    net.step(X, G[:, :2])
    np.testing.assert_array_equal(encoder.parameters["code/kernel"], net.parameters["code/kernel"])
    net.follow(other, 1.0)
    np.testing.assert_array_equal(encoder.parameters["code/kernel"], other.parameters["code/kernel"])
