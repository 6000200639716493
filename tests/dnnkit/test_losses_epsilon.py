"""Cross-entropies with an epsilon, -Σ t log(p + ε), on every backend."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dnnkit as dk
from dnnkit import ops
from dnnkit.backends import Backend
from dnnkit.errors import ConfigurationError, ShapeError
from dnnkit.losses import CategoricalCrossentropy, SparseCategoricalCrossentropy
from dnnkit.saves import loading, serialization
from tests.oracles import central_difference

KINDS = {
    "categorical_crossentropy": CategoricalCrossentropy,
    "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
}
P = np.array([[0.2, 0.5, 0.3], [0.6, 0.3, 0.1], [1.0, 0.0, 0.0]])
LABELS = np.array([1, 0, 2])


def targets(name: str, labels: np.ndarray = LABELS) -> np.ndarray:
    return labels if name.startswith("sparse") else np.eye(3)[labels]


def blobs(samples: int = 90) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    labels = np.arange(samples) % 3
    return rng.normal(size=(samples, 2)) + np.array([[0, 3], [3, -2], [-3, -2]])[labels], labels


def network(loss, backend: Backend | str | None = None, dtype="float64") -> dk.Sequential:
    layers = [dk.Dense(8, activation="tanh"), dk.Dense(3, activation="softmax")]
    net = dk.Sequential(layers, seed=2, dtype=dtype, backend=backend)
    net.compile(dk.Adam(0.02), loss, ["accuracy"])
    return net


# -- as a function ---------------------------------------------------------------------------------------------------


def test_the_value_of_the_notes(backend: Backend):
    y = [0.1, 0.05, 0.6, 0.0, 0.05, 0.1, 0.0, 0.1, 0.0, 0.0]
    t = [0, 0, 1, 0, 0, 0, 0, 0, 0, 0]
    assert float(ops.categorical_cross_entropy_loss(t, y, epsilon=1e-7)) == pytest.approx(0.5108254571, abs=5e-11)
    assert float(ops.sparse_categorical_cross_entropy_loss(2, y, epsilon=1e-7)) == pytest.approx(
        0.5108254571, abs=5e-11
    )
    assert float(ops.categorical_crossentropy(t, y)) == pytest.approx(0.5108256238, abs=5e-11)


@pytest.mark.parametrize("epsilon", [1e-7, 1e-3, 0.5])
@pytest.mark.parametrize("name", KINDS)
def test_it_is_minus_the_logarithm_of_p_plus_epsilon(backend: Backend, name, epsilon):
    value = float(getattr(ops, name)(targets(name), P, epsilon=epsilon))
    assert value == pytest.approx(-np.log(P[np.arange(3), LABELS] + epsilon).mean(), rel=1e-12)


@pytest.mark.parametrize("epsilon", [1e-7, 1e-3, 0.5])
@pytest.mark.parametrize("name", KINDS)
def test_gradients_are_those_of_the_value(backend: Backend, name, epsilon):
    p = P[:2]
    gradient = backend.to_numpy(getattr(ops, f"{name}_backward")(targets(name)[:2], p, epsilon=epsilon))
    numeric = central_difference(lambda x: float(getattr(ops, name)(targets(name)[:2], x, epsilon=epsilon)), p)
    np.testing.assert_allclose(gradient, numeric, rtol=1e-7, atol=1e-9)


@settings(max_examples=50)
@given(
    rows=st.lists(st.lists(st.floats(0, 1, width=32), min_size=4, max_size=4), min_size=1, max_size=5),
    epsilon=st.floats(1e-7, 0.99),
    data=st.data(),
)
def test_any_probabilities_give_a_finite_loss_and_slope(rows, epsilon, data):
    """Zeros too; and soft targets count as their shares."""
    p = np.array(rows)
    labels = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(p), max_size=len(p))))
    t = 0.9 * np.eye(4)[labels] + 0.025
    value = float(ops.categorical_crossentropy(t, p, epsilon=epsilon))
    assert value == pytest.approx(-(t * np.log(p + epsilon)).sum(axis=1).mean(), rel=1e-9, abs=1e-12)
    slope = np.asarray(ops.categorical_crossentropy_backward(t, p, epsilon=epsilon))
    np.testing.assert_allclose(slope, -t / (p + epsilon) / len(p), rtol=1e-9)


def test_a_probability_of_zero_costs_no_more_than_epsilon_allows(backend: Backend):
    assert float(ops.sparse_categorical_crossentropy(1, [1.0, 0.0], epsilon=1e-7)) == pytest.approx(16.118095651)
    slope = backend.to_numpy(ops.sparse_categorical_crossentropy_backward(1, [1.0, 0.0], epsilon=1e-7))
    np.testing.assert_allclose(slope, [0.0, -1e7], rtol=1e-9)


def test_single_precision_stays_single(backend: Backend):
    slope = ops.categorical_crossentropy_backward(np.float32(np.eye(3)), np.float32(P), epsilon=1e-7)
    assert slope.dtype == backend.dtype("float32")
    value = float(ops.categorical_crossentropy(np.float32(np.eye(3)), np.float32(P), epsilon=1e-7))
    assert value == pytest.approx(-np.log(np.diag(P) + 1e-7).mean(), rel=1e-6)


# -- in training -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
def test_training_with_it_is_close_to_training_without(backend: Backend, name):
    x, labels = blobs()
    y = targets(name, labels)
    exact, close = network(name, backend), network(KINDS[name](epsilon=1e-7), backend)
    one, two = (net.fit(x, y, epochs=4, validation_data=(x, y), verbose=0) for net in (exact, close))
    assert one["accuracy"][-1] > 0.9
    for measured in one.history:
        assert two[measured] == pytest.approx(one[measured], rel=1e-4), measured
        if "loss" in measured:
            assert two[measured] != one[measured], measured
    for parameter, value in exact.parameters.items():
        np.testing.assert_allclose(close.parameters[parameter], value, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("epsilon", [1e-7, 0.1])
def test_every_backend_follows_the_same_trajectory(backend: Backend, name, epsilon):
    x, labels = blobs()
    weights = np.random.default_rng(0).uniform(0, 2, len(x))
    losses = []
    for where in (backend, "numpy"):
        net = network(KINDS[name](epsilon=epsilon), where)
        losses.append(net.fit(x, targets(name, labels), epochs=3, sample_weight=weights, verbose=0)["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-9)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("epsilon", [1e-7, 0.1])
def test_gradients_of_a_network_are_those_of_its_loss(backend: Backend, name, epsilon):
    x, labels = blobs(12)
    net = network(KINDS[name](epsilon=epsilon), backend)
    net.build(2)
    result = dk.check_gradients(net, x, targets(name, labels), samples=20)
    assert result.passed
    assert result.largest < 1e-6


def test_the_loss_of_a_network_is_that_of_its_predictions(backend: Backend):
    x, labels = blobs()
    net = network(SparseCategoricalCrossentropy(epsilon=0.01), backend)
    net.build(2)
    p = net.predict(x)
    np.testing.assert_allclose(p.sum(axis=1), 1)  # the softmax runs, although it is not fused
    expected = -np.log(p[np.arange(len(x)), labels] + 0.01).mean()
    assert net.evaluate(x, labels)["loss"] == pytest.approx(expected, rel=1e-12)
    assert net.evaluate(x, labels)["accuracy"] == np.mean(p.argmax(axis=1) == labels)


def test_it_is_computed_in_python_and_the_plan_says_so(backend: Backend):
    x, labels = blobs(9)
    kind = SparseCategoricalCrossentropy
    plain, close = (network(loss, backend) for loss in (kind(), kind(epsilon=1e-7)))
    for net in (plain, close):
        net.fit(x, labels, verbose=0)
    assert plain.executable.program.head == "softmax"
    assert close.executable.program.head == "linear"
    assert close.executable.program.custom_parts == ("loss SparseCategoricalCrossentropy",)
    if backend.name == "numba":
        assert close.history.plan.details["called in Python"] == "loss SparseCategoricalCrossentropy"
        assert "called in Python" not in plain.history.plan.details
        assert close.history.plan.reason is plain.history.plan.reason is None


@pytest.mark.parametrize("name", KINDS)
def test_an_epsilon_of_zero_is_none(backend: Backend, name):
    x, labels = blobs(30)
    assert KINDS[name](epsilon=0.0) == KINDS[name]()
    one, two = network(KINDS[name](epsilon=0), backend), network(name, backend)
    histories = [net.fit(x, targets(name, labels), verbose=0).history for net in (one, two)]
    assert histories[0] == histories[1]
    assert one.executable.program.loss.kernel == "softmax_cross_entropy"


def test_labels_and_rows_are_still_checked():
    x, labels = blobs(9)
    with pytest.raises(ShapeError, match="expected class numbers"):
        network(SparseCategoricalCrossentropy(epsilon=1e-7)).fit(x, np.eye(3)[labels], verbose=0)
    with pytest.raises(ShapeError, match=r"expected \(9, 3\)"):
        network(CategoricalCrossentropy(epsilon=1e-7)).fit(x, labels, verbose=0)


# -- saved and rejected ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
def test_a_save_keeps_it(backend: Backend, name, tmp_path):
    x, labels = blobs(30)
    y = targets(name, labels)
    net = network(KINDS[name](epsilon=1e-3), backend)
    net.fit(x, y, epochs=2, verbose=0)
    net.save(tmp_path)
    loaded = dk.load(tmp_path, backend=backend.name)
    assert loaded.loss == KINDS[name](epsilon=1e-3)
    for each in (net, loaded):
        each.fit(x, y, epochs=2, verbose=0)
    assert loaded.history["loss"] == net.history["loss"]
    np.testing.assert_array_equal(loaded.predict(x), net.predict(x))


@pytest.mark.parametrize("kind", KINDS.values())
def test_a_save_from_before_there_was_one_has_none(kind):
    old = {"type": kind.__name__, "from_logits": True}
    assert serialization.rebuild(old, loading.known_classes()) == kind(from_logits=True, epsilon=0.0)


@pytest.mark.parametrize("kind", KINDS.values())
@pytest.mark.parametrize("epsilon", [-1e-9, 1, 1.5, float("inf"), float("nan")])
def test_an_epsilon_that_is_none_is_an_error(kind, epsilon):
    with pytest.raises(
        ConfigurationError, match=r"epsilon=.*: expected a number of at least 0 and below 1, such as 1e-7"
    ):
        kind(epsilon=epsilon)
    with pytest.raises(ConfigurationError, match="epsilon="):
        ops.categorical_crossentropy([0.0, 1.0], [0.5, 0.5], epsilon=epsilon)


@pytest.mark.parametrize("kind", KINDS.values())
def test_epsilon_and_logits_do_not_go_together(kind):
    with pytest.raises(ConfigurationError, match="cannot be combined with from_logits=True"):
        kind(from_logits=True, epsilon=1e-7)
    assert kind(from_logits=True, epsilon=0.0).from_logits


def test_other_losses_have_none():
    for kind in (dk.losses.MeanSquaredError, dk.losses.SumSquaredError, dk.losses.BinaryCrossentropy):
        with pytest.raises(TypeError, match="epsilon"):
            kind(epsilon=1e-7)
