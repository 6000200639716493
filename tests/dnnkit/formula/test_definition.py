"""Activations from formulas in use: by name, in layers, in `ops`, in saves, and errors."""

import json
import subprocess
import sys
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.activations import key_of
from dnnkit.errors import CheckpointError, ConfigurationError, UnknownName
from dnnkit.formula import Formula, activation_from_text, checking, definition
from dnnkit.kernels import registry
from tests import processes
from tests.dnnkit.formula.formulas import BUILT_IN

MISH = BUILT_IN["mish"]


@pytest.fixture(autouse=True)
def _no_names(monkeypatch):
    """No test sees the names that another has defined."""
    monkeypatch.setattr(definition, "NAMED", {})


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 5))
    return x, np.sin(x[:, :2])


def trained(activation, backend=None, dtype="float64") -> tuple[dk.Sequential, dk.History]:
    net = dk.Sequential([dk.Dense(7, activation=activation), dk.Dense(2)], seed=3, backend=backend, dtype=dtype)
    net.compile("adam", "mean_squared_error")
    return net, net.fit(*data(), batch_size=16, epochs=3, verbose=0)


def test_a_network_with_a_formula_trains_like_the_built_in_one(backend):
    found = {}
    for name in ("mish", "elu", "softsign"):
        built_in, _ = trained(name)
        net, history = trained(dk.activation(f"my_{name}", BUILT_IN[name]))
        found[name] = np.abs(net.predict(data()[0]) - built_in.predict(data()[0])).max()
        assert history.plan.reason == built_in.history.plan.reason
    assert max(found.values()) < 1e-12, found


def test_it_runs_in_the_compiled_epoch():
    assert trained(dk.activation("hill", "x / (1 + x^2)"), "numba")[1].plan.reason is None


def test_gradients_are_those_of_differences(backend):
    dk.activation("hill", "x * exp(-x^2 / s)", s=2.5)
    assert dk.check_gradients(trained("hill")[0], *data()).passed


def test_in_ops_with_its_derivatives(backend):
    dk.activation("my_tanh", BUILT_IN["tanh"])
    x = np.linspace(-3, 3, 13)
    value, *slopes = map(
        backend.to_numpy, (dk.ops.my_tanh(x), dk.ops.my_tanh_grad(x), dk.ops.my_tanh_grad_from_output(np.tanh(x)))
    )
    np.testing.assert_allclose(value, np.tanh(x), rtol=1e-14)
    for slope in slopes:
        np.testing.assert_allclose(slope, 1 - np.tanh(x) ** 2, rtol=1e-13)
    assert {"my_tanh", "my_tanh_grad", "my_tanh_grad_from_output"} <= set(dir(dk.ops))
    with pytest.raises(AttributeError):
        dk.ops.never_defined([1.0])


def test_parameters_are_part_of_the_formula():
    two, three = (dk.activation("leaky", "where(x > 0, x, alpha * x)", alpha=slope) for slope in (0.2, 0.3))
    assert two.parameters == (("alpha", 0.2),)
    assert two.key != three.key
    values = [registry.activation(each.key).forward(np.array([-1.0, 2.0])) for each in (two, three)]
    np.testing.assert_allclose(values, [[-0.2, 2], [-0.3, 2]])


def test_a_layer_keeps_the_formula_that_its_name_stood_for():
    dk.activation("bump", "exp(-x^2)")
    before = dk.Dense(3, activation="bump")
    dk.activation("bump", "x * exp(-x^2)")
    after = dk.Activation("bump")
    assert before.activation == Formula("bump", "exp(-x^2)")
    assert after.activation == Formula("bump", "x * exp(-x^2)")
    assert key_of("bump") == key_of(after.activation) != key_of(before.activation)
    assert str(after.activation) == "bump"


def test_a_built_in_name_may_be_redefined_and_the_kernel_stays():
    formula = dk.activation("mish", MISH)
    assert dk.Dense(3, activation="mish").activation == formula
    assert registry.activation("mish").reference.__name__ == "dnnkit.kernels.activations.mish.reference"
    np.testing.assert_allclose(dk.ops.mish([1e4, -1e4, 0.5]), [1e4, 0, 0.37524521], rtol=1e-7)
    np.testing.assert_allclose(dk.ops.mish_grad([1e4, -1e4]), [1, 0], atol=1e-300)


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_saved_by_formula_and_loaded_where_it_is_not_defined(tmp_path: Path, backend: str):
    net, _ = trained(dk.activation("wave", "sin(w * x) + x / 2", w=1.5), backend)
    net.save(tmp_path / "run")
    np.save(tmp_path / "x.npy", data()[0])
    program = (
        "import sys, numpy as np, dnnkit as dk; net = dk.load('run', backend=sys.argv[1]); "
        "np.save('y.npy', net.predict(np.load('x.npy'))); print(net.layers[0].activation)"
    )
    done = processes.run([sys.executable, "-c", program, backend], cwd=tmp_path, check=True)
    assert "Formula(name='wave', formula='sin(w * x) + x / 2', parameters=(('w', 1.5),))" in repr(net.layers[0])
    assert done.stdout.strip() == "wave"
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), net.predict(data()[0]))
    again = dk.load(tmp_path / "run", backend=backend)
    for each in (net, again):
        each.fit(*data(), epochs=2, verbose=0)
    np.testing.assert_array_equal(again.predict(data()[0]), net.predict(data()[0]))


def test_a_save_whose_formula_was_tampered_with_is_an_error(tmp_path: Path):
    from dnnkit.saves import folder

    net, _ = trained(dk.activation("wave", "sin(x)"), "numpy")
    net.save(tmp_path)
    files = folder.read_files(tmp_path)
    described = json.loads(files["architecture.json"])
    for formula, error in (("__import__('os').system('touch hacked')", ConfigurationError), (3, ConfigurationError)):
        described["layers"][0]["activation"]["formula"] = formula
        folder.write_files(tmp_path, {**files, "architecture.json": json.dumps(described).encode()})
        with pytest.raises(error, match="formula"):
            dk.load(tmp_path)
    described["layers"][0]["activation"] = {"type": "Formula", "name": "wave", "text": "x"}
    folder.write_files(tmp_path, {**files, "architecture.json": json.dumps(described).encode()})
    with pytest.raises(CheckpointError, match="Formula does not fit"):
        dk.load(tmp_path)


@pytest.mark.parametrize("name", sorted({*BUILT_IN} - {"step"}))  # nothing is learned through step
def test_a_network_with_a_formula_becomes_a_numpy_script(tmp_path: Path, name: str):
    net, _ = trained(Formula(f"my_{name}", BUILT_IN[name]), "numpy")
    net.to_numpy_source(tmp_path / "net.py")
    module = ModuleType("script")
    module.__file__ = str(tmp_path / "net.py")
    exec((tmp_path / "net.py").read_text(), module.__dict__)
    np.testing.assert_allclose(module.predict(data()[0]), net.predict(data()[0]), rtol=1e-10, atol=1e-12)


def test_a_flat_formula_is_warned_of():
    with pytest.warns(dk.errors.TrainingWarning, match="'jump' has gradient 0 everywhere"):
        trained(dk.activation("jump", "where(x > 0, 1, -1)"))


def test_from_one_text():
    formula = activation_from_text(" leaky = where(x >= 0, x, a * x) ; a = 0.1 ")
    assert formula == Formula("leaky", "where(x >= 0, x, a * x)", (("a", 0.1),))
    assert dk.Activation("leaky").activation == formula


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x * tanh(x)", "does not define an activation: expected 'name = formula"),
        ("= x", "cannot be called ''"),
        ("my mish = x", "cannot be called 'my mish'"),
        ("f = a * x; a", "'a' .*expected 'parameter = value'"),
        ("f = a * x; a = b", "expected 'parameter = value'"),
        ("f = a * x; a = inf", "parameter a of 'f' is inf"),
        ("f = a * x", "unknown name 'a'"),
        ("f = x * x; x = 2", "a parameter cannot be called 'x'"),
        ("f = x * x; exp = 2", "a parameter cannot be called 'exp'"),
        ("f = 2", "does not depend on x: it is 2"),
        ("f = x - x", "does not depend on x: it is 0"),
        ("f = x < 1", "is a condition, not a number"),
        ("f = where(x, 1, 2)", "'where' takes a condition"),
        ("f = x * (x < 1)", r"'\*' takes a number"),
        ("f = x / 0", "divides by 0"),
        ("f = x / (1 - 1)", "divides by 0"),
        ("f = sqrt(-1) * x", "not a finite real number"),
        ("f = log(0) * x", "not a finite real number"),
        ("f = exp(1000) * x", "not a finite real number"),
        ("f = exp(exp(exp(9))) * x", "not a finite real number"),
        ("f = 9^9^9^9 * x", "powers of"),
        ("f = ((2 * x)^50)^50", "powers of 2500"),
        ("f = x^0.5^-9", "powers of"),
        ("f = " + "tanh(" * 8 + "x" + ")" * 8, "too large when its functions are expanded"),
        ("f = piecewise((x, x > 0))", "the last pair of piecewise must be"),
        ("f = piecewise(x, x)", "piecewise takes pairs"),
        ("f = (x, x > 0)", "a pair"),
    ],
)
def test_invalid_activations_are_one_error(text, message):
    with pytest.raises(ConfigurationError, match=message) as caught:
        activation_from_text(text)
    assert "\n" not in str(caught.value)
    assert "f" not in definition.NAMED


@pytest.mark.parametrize("value", [True, "2", None, [1.0], 1j])
def test_a_parameter_is_a_number(value):
    with pytest.raises(ConfigurationError, match=r"parameter beta .* expected a number"):
        dk.activation("swish", "x * sigmoid(beta * x)", beta=value)


def test_an_unknown_name_lists_defined_ones_and_says_how_to_define_it():
    dk.activation("wave", "sin(x)")
    with pytest.raises(UnknownName, match=r"'wav': did you mean 'wave'\? choose one of .*tanh, .*wave, or define it"):
        dk.Dense(3, activation="wav")


def test_a_wrong_derivative_is_rejected():
    reference = ModuleType("planted")
    reference.forward, reference.derivative = np.sin, lambda x: np.cos(x) + 0.01 * (x > 2)
    with pytest.raises(ConfigurationError, match=r"the derivative of 'sin\(x\)' at x = 2\.0.*finite differences"):
        checking.check_derivative("sin(x)", reference)
    reference.derivative = np.cos
    checking.check_derivative("sin(x)", reference)


def test_kinks_and_jumps_are_not_reported_as_wrong_derivatives():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for formula in ("abs(x)", "where(x > 1, 3, x)", "max(x, 1 - x) - step(x)", "sign(x) * x"):
            dk.activation("cornered", formula)


def test_importing_dnnkit_does_not_import_sympy():
    program = "import sys, dnnkit.formula; assert 'sympy' not in sys.modules and 'mpmath' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
