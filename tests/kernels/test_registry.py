"""What all kernels have in common: their docstrings, their signatures, and that any array library can run them."""

import inspect

import array_api_strict
import numpy as np
import pytest

from dnnkit.errors import UnknownName
from dnnkit.kernels import registry
from dnnkit.kernels.dropout.reference import apply
from dnnkit.kernels.optimizer_step.reference import RULES

FOLDERS = registry.kernels()
HEADINGS = ["Maths", "Shapes", "Units", "Traffic", "Errors", "Accuracy", "Source"]
xs = array_api_strict


def references() -> list[tuple[str, str]]:
    """Return (kernel, function) for every public function of a reference module that takes xp."""
    found = []
    for folder in FOLDERS:
        module = registry.version(folder, "reference")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            own = function.__module__ == module.__name__ and not name.startswith("_")
            if own and "xp" in inspect.signature(function).parameters:
                found.append((folder, name))
    return found


def same(strict, plain) -> None:
    """Equal values and dtypes; a last bit may differ where loops over different strides round differently."""
    assert str(strict.dtype).removeprefix("array_api_strict.") == str(plain.dtype)
    np.testing.assert_allclose(np.asarray(strict), plain, rtol=4 * np.finfo(plain.dtype).eps)


def test_kernels_are_found():
    assert {"gather", "dense", "dropout", "philox", "optimizer_step", "binary_accuracy", "softmax"} <= set(FOLDERS)


@pytest.mark.parametrize("folder", FOLDERS)
def test_docstring_has_every_heading_in_order(folder):
    lines = (registry.contract(folder).__doc__ or "").splitlines()
    assert lines[0].endswith(".")
    assert lines[1] == ""
    found = [line.partition(":") for line in lines[2:]]
    assert [heading for heading, _, _ in found if heading in HEADINGS] == HEADINGS
    for heading, _, text in found:
        assert heading not in HEADINGS or text.strip(), f"{heading} says nothing"


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_kernel_has_a_reference(folder):
    reference = registry.version(folder, "reference")
    assert reference.__doc__
    assert any(kernel == folder for kernel, _ in references()), "no function takes xp"


@pytest.mark.parametrize(("folder", "function"), references())
def test_xp_is_the_last_parameter_and_numpy_by_default(folder, function):
    signature = inspect.signature(getattr(registry.version(folder, "reference"), function))
    parameters = [p for p in signature.parameters.values() if p.kind is not p.KEYWORD_ONLY]  # a loss's own numbers
    assert parameters[-1].name == "xp"
    assert parameters[-1].default is np
    assert parameters[-1].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD


@pytest.mark.parametrize("kind", ["activation", "loss"])
@pytest.mark.parametrize("name", ["", "reluu", "ReLU", "gather", "../relu", "reference"])
def test_unknown_names_are_rejected_with_the_choices(kind, name):
    with pytest.raises(UnknownName) as caught:
        getattr(registry, kind)(name)
    assert repr(name) in str(caught.value)
    assert all(choice in str(caught.value) for choice in registry.names(kind))


def test_a_name_of_the_other_kind_is_unknown():
    with pytest.raises(UnknownName):
        registry.activation("mean_squared_error")
    with pytest.raises(UnknownName):
        registry.loss("relu")


@pytest.mark.parametrize("kind", ["activation", "loss"])
def test_names_are_in_alphabetical_order_and_each_is_found(kind):
    names = registry.names(kind)
    assert list(names) == sorted(set(names))
    for name in names:
        assert getattr(registry, kind)(name).name == name


@pytest.mark.parametrize("name", registry.names("activation"))
def test_activation_contract_agrees_with_the_docstring(name):
    activation = registry.activation(name)
    assert activation.saves in ("input", "output")
    assert f"reads dy and the {activation.saves}" in (registry.contract(name).__doc__ or "")
    assert hasattr(activation.reference, "derivative" if activation.elementwise else "backward")
    if activation.elementwise and activation.saves == "output":
        assert hasattr(activation.reference, "derivative_from_output")


@pytest.mark.parametrize("name", registry.names("loss"))
def test_a_loss_declares_what_it_takes(name):
    loss = registry.loss(name)
    assert loss.reduction in ("mean", "sum")
    assert loss.scores in ("values", "not negative", "probabilities", "logits")
    assert loss.target_range in ("any", "shares", "signs", "not negative", "positive")
    assert loss.over_outputs in ("mean", "sum")
    assert loss.outputs in ("values", "binary", "categorical")
    assert loss.outputs == "categorical" or not loss.takes_labels


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", registry.names("activation"))
def test_activations_are_the_same_with_another_array_library(name, dtype, rng):
    x, dy = (3 * rng.normal(size=(2, 9, 7))).astype(dtype)
    x[0, :5] = [0, -0.0, 1e4, -1e4, 3]
    activation = registry.activation(name)
    y = activation.forward(x)
    saved = y if activation.saves == "output" else x
    same(activation.forward(xs.asarray(x), xp=xs), y)
    same(activation.backward(xs.asarray(dy), xs.asarray(saved), xp=xs), activation.backward(dy, saved))
    for function, argument in (("derivative", x), ("derivative_from_output", y), ("jacobian", x)):
        if reference := getattr(activation.reference, function, None):
            same(reference(xs.asarray(argument), xp=xs), reference(argument))


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", registry.names("loss"))
def test_losses_are_the_same_with_another_array_library(name, dtype, weighted, rng):
    scores, targets = rng.uniform(0, 1, (2, 9, 7)).astype(dtype)
    scores[0, :2] = 0, 1
    weights = rng.uniform(0, 2, 9).astype(dtype) if weighted else None
    function = registry.loss(name).loss_and_gradient
    labels = rng.integers(0, 7, 9)
    for t in [targets, labels][: 1 + registry.loss(name).takes_labels]:
        strict_weights = xs.asarray(weights) if weighted else None
        strict = function(xs.asarray(scores), xs.asarray(t), strict_weights, 0.5, xp=xs)
        for actual, expected in zip(strict, function(scores, t, weights, 0.5), strict=True):
            same(actual, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", RULES)
def test_updates_are_the_same_with_another_array_library(name, dtype, rng):
    rule = RULES[name]
    arrays = [rng.uniform(0.1, 1, 65).astype(dtype) for _ in range(2 + len(rule.slots))]
    numbers = [0.01, *(0.1 for _ in rule.hyperparameters)]
    strict = rule.function(3, *map(xs.asarray, arrays), *numbers, xp=xs)
    for actual, expected in zip(strict, rule.function(3, *arrays, *numbers), strict=True):
        same(actual, expected)


def test_dropout_is_the_same_with_another_array_library(rng):
    x, keep = rng.normal(size=(9, 7)), rng.integers(0, 2, (9, 7)).astype(bool)
    same(apply(xs.asarray(x), xs.asarray(keep), 0.5, xp=xs), apply(x, keep, 0.5))
