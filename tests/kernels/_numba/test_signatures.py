"""Compiled kernels match their references: the same functions, the same parameters, and common options."""

import importlib
import importlib.util
import inspect
import re

import llvmlite.binding
import pytest
from numba.core.dispatcher import Dispatcher

from dnnkit.kernels import registry
from dnnkit.kernels._numba import extending
from dnnkit.kernels._numba.entry_points import (
    activation_entry_points,
    loss_entry_points,
    optimizer_entry_points,
)
from dnnkit.kernels._numba.front_end import OPTIONS
from dnnkit.kernels.optimizer_step.reference import RULES

FOLDERS = registry.kernels()
IN_THE_EPOCH = ["clip_norm"]
"""Compiled within `kernels/_engine`, where every thread has a part of the vector."""
IN_OTHERS = [
    ("lbfgs", "direction"),
    ("lbfgs", "dot"),
    ("philox", "random_bits"),
    *((name, "loss_and_gradient") for name in registry.names("loss")),
    *((name, function) for name in registry.names("metric") for function in ("rows", "sums", "bins")),
]
"""Functions that exist only within compiled functions: the mask of dropout, the loss by address."""
OF_THE_ENGINE = registry.names("stage")
"""Opcodes, whose results `tests/backends/test_kinds.py` checks."""
KERNELS = [name for name in FOLDERS if name not in IN_THE_EPOCH]
WITH_CPU = [name for name in FOLDERS if registry.has_cpu_version(name)]
DTYPES = ["float32", "float64"]

REPLACED = {"counter": ["c0", "c1", "c2", "c3"], "key": ["k0", "k1"], "xp": [], "dtype": [], "axis": [], "features": []}
"""Parameters of a reference that compiled code takes in another form, or not at all."""

WRITTEN = {
    ("compressed_rows", "product"): ["out"],
    ("compressed_rows", "transposed_product"): ["out", "places"],
    ("nonzero_columns", "nonzero_columns"): ["columns"],
    ("nonzero_columns", "mark"): ["bits"],
    ("dense", "backward"): ["dz", "dx", "dw", "db"],
    ("dense", "backward_input"): ["dz", "dx"],
    ("dense", "forward"): ["z", "y"],
    ("dropout", "apply"): ["out"],
    ("dropout", "mask"): ["out"],
    ("gather", "gather"): ["out"],
    ("interpolate", "interpolate"): ["out"],
    ("matmul", "product"): ["out", "offer"],
    ("norm_bound", "constrain"): [],
    ("penalty", "gradient"): [],
    ("penalty", "penalty"): [],
    ("philox", "philox"): [],
    ("softmax", "backward"): ["out"],
    ("softmax", "forward"): ["out"],
    **{("optimizer_step", name): [] for name in RULES},
}
"""The parameters after the reference's: arrays that are written."""


def module(kernel: str, name: str):
    return registry.version(kernel, name)


def parameters(function) -> list[str]:
    return list(inspect.signature(getattr(function, "py_func", function)).parameters)


def elementwise() -> list[str]:
    return [name for name in registry.names("activation") if registry.activation(name).elementwise]


def functions_with_arrays(kernels: list[str] = KERNELS) -> list[tuple[str, str]]:
    """(kernel, function) of every public reference function, except for activations of one number."""
    found = []
    for kernel in kernels:
        reference = module(kernel, "reference")
        for name, function in inspect.getmembers(reference, inspect.isfunction):
            own = (
                function.__module__ == reference.__name__ and not name.startswith("_") and "xp" in parameters(function)
            )
            if own and kernel not in elementwise() and name not in ("derivative", "derivative_from_output", "jacobian"):
                found.append((kernel, name))
    return [place for place in found if place not in IN_OTHERS and place[0] not in OF_THE_ENGINE]


def dispatchers() -> list[tuple[str, str, Dispatcher]]:
    """Return every compiled function that a `cpu.py` or their shared code declares."""
    modules = [module(kernel, "cpu") for kernel in WITH_CPU] + [
        importlib.import_module("dnnkit.kernels._numba.prefetch")
    ]
    members = [(m.__name__, *member) for m in modules for member in inspect.getmembers(m)]
    return [m for m in members if isinstance(m[2], Dispatcher) and m[2].py_func.__module__ == m[0]]


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_reference_has_a_compiled_version(kernel):
    assert registry.has_cpu_version(kernel)
    assert module(kernel, "cpu").__doc__


def test_the_table_of_written_arrays_is_complete():
    assert set(functions_with_arrays()) == set(WRITTEN)


@pytest.mark.parametrize(("kernel", "name"), functions_with_arrays())
def test_parameters_are_those_of_the_reference_and_then_the_outputs(kernel, name):
    taken = [new for old in parameters(getattr(module(kernel, "reference"), name)) for new in REPLACED.get(old, [old])]
    compiled = getattr(module(kernel, "cpu"), name)
    assert isinstance(compiled, Dispatcher)
    assert parameters(compiled) == taken + WRITTEN[kernel, name]


@pytest.mark.parametrize("name", elementwise())
def test_an_activation_is_two_functions_of_one_number(name):
    activation, cpu = registry.activation(name), module(name, "cpu")
    slope = "derivative_from_output" if activation.saves == "output" else "derivative"
    for function in ("forward", slope):
        assert isinstance(getattr(cpu, function), Dispatcher)
        assert parameters(getattr(cpu, function)) == parameters(getattr(activation.reference, function))[:-1]


@pytest.mark.parametrize("name", registry.names("loss"))
def test_a_loss_has_the_row_that_the_epoch_calls(name):
    scores = parameters(module(name, "reference").loss_and_gradient)[0]
    taken = ["i", scores, "targets", "factor", "out", *registry.loss(name).parameters]
    assert parameters(module(name, "cpu").row) == taken


@pytest.mark.parametrize("name", registry.names("metric"))
def test_a_metric_has_the_row_that_the_epoch_calls(name):
    if registry.metric(name).count is None:
        assert parameters(module(name, "cpu").row) == ["i", "scores", "targets", "threshold"]
    else:
        assert parameters(module(name, "cpu").add) == ["i", "scores", "targets", "weight", "threshold", "sums"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", registry.names("activation"))
def test_every_activation_has_entry_points(name, dtype):
    found = activation_entry_points(name, dtype)
    with_slope = {"forward_with_slope"} if registry.activation(name).has_own_slope else set()
    assert set(found.functions) == {"forward", "backward"} | with_slope
    assert len({found.address(which) for which in found.functions}) == len(found.functions)
    assert found is activation_entry_points(name, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", registry.names("loss"))
def test_every_loss_has_an_entry_point_for_each_kind_of_targets(name, dtype):
    for targets in ["values", "labels"][: 1 + registry.loss(name).takes_labels]:
        assert loss_entry_points(name, targets, dtype).address("loss") > 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", RULES)
def test_every_rule_has_an_entry_point(name, dtype):
    assert optimizer_entry_points(name, dtype).address("update") > 0


def check_options(options) -> None:
    assert options["error_model"] == "numpy"
    assert isinstance(options["fastmath"], set)  # True would mean all of them
    assert not {"fast", "nnan", "ninf"} & options["fastmath"]
    assert options["fastmath"] == OPTIONS["fastmath"]


def test_all_compiled_functions_have_the_common_options():
    found = dispatchers()
    named = {name.rpartition(".")[0].rpartition(".")[2] for name, _, _ in found}
    assert {*WITH_CPU, "_numba"} - named <= set(OF_THE_ENGINE)
    for _, _, dispatcher in found:
        assert dispatcher.targetoptions["nopython"]
        check_options(dispatcher.targetoptions)


def test_overloads_have_the_common_options(monkeypatch):
    given = []
    monkeypatch.setattr(
        extending.extending,
        "overload",
        lambda function, jit_options: given.append(jit_options) or (lambda resolve: None),
    )
    extending.resolved_by_type(forceinline=True)(lambda x: x)
    check_options(given[0])
    assert given[0]["forceinline"]


def test_bitcode_has_the_common_options():
    points = loss_entry_points("mean_squared_error", "values", "float32").functions["loss"]
    text = str(llvmlite.binding.parse_bitcode(points.make("test").content))
    flags = set(re.findall(r"f(?:add|sub|mul) ((?:[a-z]+ )+)", text))
    assert {*" ".join(flags).split()} <= {"nsz", "contract", "float", "double", "x"}
    assert any("contract" in each for each in flags)
