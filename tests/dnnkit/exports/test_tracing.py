"""What a network computes, found by tracing its parts; and what cannot be expressed in another language."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.errors import ConfigurationError
from dnnkit.exports.namespace import XP
from dnnkit.exports.tracing import trace
from dnnkit.exports.values import Rows, Value, ordered
from dnnkit.kernels import registry
from tests.dnnkit.exports.networks import all_networks, kernels


def test_all_activations_and_kinds_are_exported() -> None:
    # dense_of_classes is what the Numba backend makes of other stages
    every = {*registry.names("activation"), *registry.names("stage")} - {"dense_of_classes"}
    assert every <= kernels(all_networks("float32"))


@dataclass(frozen=True)
class Own(dk.Layer):
    """A layer that runs a given function."""

    what: str

    def forward(self, xp: Any, x: Any) -> tuple[Any, None]:
        return eval(self.what, {"xp": xp, "x": x, "np": np}), None

    def backward(self, xp: Any, dy: Any, saved: None) -> tuple[Any]:
        raise NotImplementedError


WRONG = {
    "x - xp.mean(x, axis=0)": "the sum over the rows of a batch",
    "xp.fft(x)": "the function xp.fft",
    "x[:2]": "a selection of rows of the batch",
    "x.T": "moving the axis of the batch's rows",
    "xp.reshape(x, (x.shape[1], -1))": "mixes rows of the batch",
    "x if (x > 0).all() else -x": "no 'all'",
    "x if x[0, 0] else -x": "",
    "np.exp(x)": "",
    "x / x.shape[0]": "",
    "xp.matmul(x, x)": "not a matrix of parameters",
    "xp.concat([x, x], axis=0)": "a concatenation along the rows of the batch",
    "x[x > 0]": "indexing by an array",
    "[row for row in x][0]": "a loop over a value",
    "xp.concat([x, xp.ones((3, 1))], axis=1)": "parts with different shapes",
}


@pytest.mark.parametrize("what", WRONG)
def test_unsupported_operations_are_one_error_that_names_the_layer(what: str) -> None:
    net = dk.Sequential([dk.Dense(4), Own(what)], seed=0, backend="numpy")
    net.build(4)
    with pytest.raises(ConfigurationError, match=rf"(?s)the layer Own cannot be written as C: .*{WRONG[what]}.*save"):
        trace(net, "C")


def test_a_custom_activation_is_written_by_its_formula_or_named() -> None:
    class Cubed:
        @staticmethod
        def forward(x: Any, xp: Any = np) -> Any:
            return x * x * x if xp is np or not hasattr(xp, "no") else x

        @staticmethod
        def derivative(x: Any, xp: Any = np) -> Any:
            return 3 * x * x

    class Sorted(Cubed):
        @staticmethod
        def forward(x: Any, xp: Any = np) -> Any:
            return xp.sort(x)

    for name, own in (("cubed_for_exports", Cubed), ("sorted_for_exports", Sorted)):
        dk.register("activation", name, own())
        net = dk.Sequential([dk.Dense(4, activation=name)], seed=0, backend="numpy")
        net.build(4)
        if own is Cubed:
            (y,) = trace(net, "ONNX").outputs.values()
            operators = [value.operator for value in ordered([y.settings["body"]], lambda value: value.reads)]
            assert operators.count("multiply") == 2
        else:
            with pytest.raises(ConfigurationError, match=r"activation sorted_for_exports.* as ONNX: .*xp\.sort"):
                trace(net, "ONNX")


def test_values_of_parameters_alone_are_constants() -> None:
    net = dk.Sequential([dk.PReLU(), dk.BatchNormalization(), dk.Dense(2, "relu"), dk.BatchNormalization()], seed=0)
    net.build(4)
    (y,) = trace(net, "C").outputs.values()
    operators = [value.operator for value in ordered([y], lambda value: value.reads) if value.operator != "constant"]
    assert "sqrt" not in operators
    assert operators.count("dense") == 1
    assert operators.count("subtract") == 1  # the first normalization is folded into the dense layer


def test_shapes_track_the_batch_dimension() -> None:
    x = Value("input", (), (Rows(), 2, 3), np.float32, {"name": "x"})
    flat = XP.reshape(x, (-1,))
    assert flat.shape == (Rows(6),)
    assert XP.reshape(flat, (x.shape[0], -1)).shape == (Rows(), 6)
    assert XP.reshape(XP.reshape(x, (x.shape[0], 6)), x.shape) is x
    assert XP.concat([flat[:, None], flat[:, None]], axis=1)[:, 1:].operator == "reshape"  # one of its parts
    assert XP.where(x > 0, XP.zeros_like(x), x).reads[1].shape == ()
    assert str(Rows(2)) == "2 N"
    with pytest.raises(TypeError, match="the number of rows"):
        range(x.shape[0])  # type: ignore[arg-type]
