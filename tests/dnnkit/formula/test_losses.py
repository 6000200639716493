"""Losses from formulas in use: by name, in `ops`, in saves, and errors."""

import copy
import json
import pickle
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.errors import CheckpointError, ConfigurationError, FormulaWarning, UnknownName
from dnnkit.formula import FormulaLoss, checking, loss_derivation
from dnnkit.losses import LOSSES
from tests import processes

HUBER = "where(abs(y - t) < delta, (y - t)**2 / 2, delta*(abs(y - t) - delta/2))"


@pytest.fixture(autouse=True)
def _no_names(monkeypatch):
    """No test sees the names that another has defined."""
    monkeypatch.setattr(LOSSES, "named_by_formula", {})


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 5))
    return x, np.sin(x[:, :2]) + rng.standard_t(2, size=(64, 2))


def trained(loss, backend=None, weighted=True, dtype="float64") -> tuple[dk.Sequential, dk.History]:
    net = dk.Sequential([dk.Dense(7, activation="tanh"), dk.Dense(2)], seed=3, backend=backend, dtype=dtype)
    net.compile("adam", loss)
    weights = np.linspace(0, 2, 64) if weighted else None
    return net, net.fit(*data(), sample_weight=weights, batch_size=16, epochs=3, verbose=0)


def test_a_network_with_a_formula_trains_like_the_built_in_one(backend):
    pairs = [
        (dk.loss("squares", "(y - t)**2"), "mean_squared_error"),
        (dk.loss("my_huber", HUBER, delta=0.7), dk.losses.Huber(0.7)),
        (dk.loss("halves", "(y - t)^2 / 2", over_outputs="sum", output_weights=[1, 3]),
         dk.losses.MeanSquaredError(output_weights=[1, 3])),
    ]  # fmt: skip
    for formula, built_in in pairs:
        (net, history), (wanted, built) = trained(formula), trained(built_in)
        factor = 2.0 if formula.name == "halves" else 1.0  # (l₁ + 3 l₂) / 2 against / 4: Adam ignores a factor
        np.testing.assert_allclose(history["loss"], np.array(built["loss"]) * factor, rtol=1e-6)
        assert np.abs(net.predict(data()[0]) - wanted.predict(data()[0])).max() < 1e-5 * factor
        assert history.plan.reason == built.plan.reason
        assert "called" not in str(history.plan.details)
        assert dk.check_gradients(net, *data()).passed


def test_it_runs_in_the_compiled_epoch():
    plan = trained(dk.loss("fourth", "(y - t)**4 / 4"), "numba")[1].plan
    assert plan.reason is None
    assert set(plan.details) == {"partition"}


def test_the_name_works_from_then_on_and_networks_keep_their_loss(backend):
    first = dk.loss("huber", HUBER, delta=1.0)
    net = trained("huber")[0]
    assert net.loss == first
    assert dk.loss("huber", HUBER, delta=2.0) != first
    assert net.loss == first
    y, t = np.array([[0.0, 5.0]]), np.array([[0.5, 1.0]])
    assert float(dk.ops.huber(t, y)) == pytest.approx((0.125 + 6) / 2)
    np.testing.assert_allclose(backend.to_numpy(dk.ops.huber_backward(t, y)), [[-0.25, 1]])
    np.testing.assert_allclose(backend.to_numpy(dk.ops.huber_backward(t, y, output_weights=[1, 0])), [[-0.5, 0]])
    assert "huber_backward" in dir(dk.ops)


def test_a_formula_may_be_registered_and_announced(monkeypatch):
    monkeypatch.setattr(LOSSES, "_things", dict(LOSSES._things))
    dk.register("loss", "fourth_power", "(y - t)**4")
    assert float(dk.ops.fourth_power([1.0], [3.0])) == 16
    assert trained("fourth_power", "numpy")[0].loss == FormulaLoss("fourth_power", "(y - t)**4")
    with pytest.raises(ConfigurationError, match="a subclass of Loss, or a formula in y and t"):
        dk.register("loss", "fifth", 5)
    with pytest.raises(ConfigurationError, match="'fourth_power' is taken by another loss"):
        dk.register("loss", "fourth_power", "(y - t)**6")


def test_one_that_is_called_loss_is_found(backend):
    dk.loss("my_loss", "abs(y - t)")
    assert float(dk.ops.my_loss([1.0, 2.0], [3.0, 2.0])) == 1


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_saved_by_formula_and_loaded_where_it_is_not_defined(tmp_path: Path, backend: str):
    net, _ = trained(dk.loss("bent", "sqrt(1 + ((y - t) / c)**2) - 1", c=0.5, output_weights=[1, 2]), backend)
    for again in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert again.loss == net.loss
    net.save(tmp_path / "run")
    np.savez(tmp_path / "data.npz", x=data()[0], y=data()[1])
    program = (
        "import sys, numpy as np, dnnkit as dk; net = dk.load('run', backend=sys.argv[1]); "
        "data = np.load('data.npz'); net.fit(data['x'], data['y'], epochs=2, verbose=0); "
        "np.save('y.npy', net.predict(data['x'])); print(net.loss)"
    )
    done = processes.run([sys.executable, "-c", program, backend], cwd=tmp_path, check=True)
    assert done.stdout.strip() == "bent"
    net.fit(*data(), epochs=2, verbose=0)
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), net.predict(data()[0]))


def test_a_save_whose_formula_was_tampered_with_is_an_error(tmp_path: Path):
    from dnnkit.saves import folder

    trained(dk.loss("squares", "(y - t)**2"), "numpy")[0].save(tmp_path)
    files = folder.read_files(tmp_path)
    described = json.loads(files["architecture.json"])
    for formula in ("__import__('os').system('touch hacked')", 3, "y"):
        described["loss"]["formula"] = formula
        folder.write_files(tmp_path, {**files, "architecture.json": json.dumps(described).encode()})
        with pytest.raises(ConfigurationError, match="formula"):
            dk.load(tmp_path)
    described["loss"] = {"type": "FormulaLoss", "name": "squares", "text": "y"}
    folder.write_files(tmp_path, {**files, "architecture.json": json.dumps(described).encode()})
    with pytest.raises(CheckpointError, match="FormulaLoss does not fit"):
        dk.load(tmp_path)


def test_non_finite_values_are_reported_with_the_targets():
    with pytest.warns(FormulaWarning) as caught:
        dk.loss("counts", "y - t * log(y)")
    (message,) = {str(warning.message) for warning in caught}
    assert message.startswith("loss 'counts': the loss is not finite for y ≤ 0 (NaN), for t = 0; its derivative is")
    assert "the loss is not finite for y ≤ 0 (NaN, inf), for t = 1, 0.3, 7" in message
    assert "its derivative is not finite for y = 0 (-inf), for t = 1, 0.3, 7" in message
    with pytest.warns(FormulaWarning, match=r"in float32 for y ≥ 88.*for t = 0"):
        dk.loss("exponents", "exp(y) - t * y")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for formula in (
            "log(cosh(y - t))",
            "softplus(y) - t * y",
            "max(1 - t * y, 0)",
            "where(y < t, 3, 1) * abs(y - t)",
        ):
            dk.loss("sound", formula)


def test_it_is_computed_without_overflow():
    stable = dk.loss("stable", "log(1 + exp(y)) - t * y")
    y = np.array([[-1e4, 1e4, 0, 30]], np.float32)
    value, slope = dk.ops.stable([[0, 1, 1, 1]], y), dk.ops.stable_backward([[0, 1, 1, 1]], y)
    assert float(value) == pytest.approx(np.log(2) / 4, abs=1e-6)
    np.testing.assert_allclose(np.asarray(slope), [[0, 0, -0.125, 0]], atol=1e-7)
    assert isinstance(stable, FormulaLoss)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("f", "y**2"), "does not depend on t"),
        (("f", "abs(t)"), "does not depend on y"),
        (("f", "y - t - y + t"), "does not depend on y: it is 0"),
        (("f", "x - t"), "unknown name 'x': expected True, e, pi, t, y"),
        (("f", ""), r"a formula is text in y and t, such as '\(y - t\)\*\*2'"),
        (("f", "y < t"), "is a condition, not a number"),
        (("my loss", "y - t"), "a loss cannot be called 'my loss'"),
        (("f_backward", "(y - t)**2"), "a loss cannot be called 'f_backward'"),
        ((3, "(y - t)**2"), "a loss cannot be called 3"),
    ],
)
def test_invalid_losses_are_one_error(arguments, message):
    with pytest.raises(ConfigurationError, match=message) as caught:
        dk.loss(*arguments)
    assert "\n" not in str(caught.value)
    assert "f" not in LOSSES


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"t": 1.0}, "a parameter cannot be called 't'"),
        ({"c": "1"}, "parameter c of formula 'f' is '1': expected a number"),
        ({"c": 1, "over_outputs": "max"}, "expected 'mean' or 'sum'"),
        ({"c": 1, "output_weights": [0, 0]}, "expected one number per output"),
        ({"c": 1, "output_weights": "11"}, "expected one number per output"),
    ],
)
def test_options_that_cannot_be_are_one_error(options, message):
    with pytest.raises(ConfigurationError, match=message):
        dk.loss("f", "c * (y - t)**2", **options)


def test_weights_of_another_number_of_outputs_are_an_error():
    with pytest.raises(ConfigurationError, match=r"numbers for 3 outputs .* but the network's last layer has 2"):
        trained(dk.loss("f", "(y - t)**2", output_weights=[1, 2, 3]))
    with pytest.raises(ConfigurationError, match=r"numbers for 3 outputs .* but y_pred of shape \(2,\) has 2"):
        dk.ops.f([1.0, 2.0], [1.0, 2.0])


def test_a_wrong_derivative_is_rejected():
    wrong = loss_derivation._for_target(lambda y, t, xp: (y**3, 3 * y**2 + 0.1 * (y > 2)), 0.0)
    with pytest.raises(
        ConfigurationError, match=r"the derivative of 'y\^3 \+ t' at t = 0, y = 2\.0.*finite differences"
    ):
        checking.check_derivative("y^3 + t", wrong, "t = 0, y")


def test_an_unknown_name_lists_defined_ones():
    dk.loss("asymmetric", "where(y < t, 2, 1) * (y - t)**2")
    with pytest.raises(UnknownName, match=r"'asymetric': did you mean 'asymmetric'\?"):
        trained("asymetric")


def test_text_of_several_lines_is_a_formula_and_nothing_more(backend):
    formula = dk.loss("lines", "(y\n - t)**2")
    assert float(dk.ops.lines([[1.0]], [[3.0]])) == 4
    assert "\n - t" not in formula.key
