"""What every activation and every loss kernel promises, and how to find one by its name.

A folder whose `__init__.py` says `KIND = "activation"` (or `"loss"`) is one. Nothing else lists them. Activations that
were defined while the program runs are found by their names, too; see `defined`.
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from types import ModuleType
from typing import Literal

import numpy as np

from dnnkit.errors import UnknownName
from dnnkit.kernels.array import Array, Namespace
from dnnkit.kernels.defined import DEFINED


@dataclass(frozen=True)
class Activation:
    """A function y = f(x) between layers, with its derivative.

    `saves` names what its backward pass reads: the `"output"` y, so that x may be overwritten, or the `"input"` x
    where the derivative from y does not exist or is inaccurate. `elementwise` is false only where one element's
    output depends on others (softmax, along the last axis). `numpy_source` are the expressions in x, math and NumPy
    that compute it one after the other, for programs that do without dnnkit.
    """

    name: str
    saves: Literal["input", "output"]
    elementwise: bool
    numpy_source: tuple[str, ...]
    reference: ModuleType

    def forward(self, x: Array, xp: Namespace = np) -> Array:
        """f(x), same shape and dtype."""
        return self.reference.forward(x, xp=xp)

    def backward(self, dy: Array, saved: Array, xp: Namespace = np) -> Array:
        """Gradient of the loss in x, from the gradient in y and what `saves` names; shapes all equal."""
        if not self.elementwise:
            return self.reference.backward(dy, saved, xp=xp)
        from_output = self.saves == "output"
        slope = self.reference.derivative_from_output if from_output else self.reference.derivative
        return dy * slope(saved, xp=xp)

    @cached_property
    def is_flat(self) -> bool:
        """Whether the derivative is zero everywhere, so that nothing before the activation learns."""
        x = np.linspace(-8.0, 8.0, 129)
        saved = self.forward(x) if self.saves == "output" else x
        return not self.backward(np.ones_like(x), saved).any() if self.elementwise else False


@dataclass(frozen=True)
class Loss:
    """A loss kernel: `loss_and_gradient(scores, targets, weights, scale) -> (sum, gradient)` in one pass.

    `reduction` says what a batch's loss is: the weighted `"mean"` over rows or their `"sum"`.
    """

    name: str
    reduction: Literal["mean", "sum"]
    loss_and_gradient: Callable[..., tuple[Array, Array]]


@cache
def names(kind: str) -> tuple[str, ...]:
    """Every kernel of that kind, in alphabetical order."""
    import dnnkit.kernels

    folders = [module.name for module in pkgutil.iter_modules(dnnkit.kernels.__path__) if module.ispkg]
    return tuple(sorted(folder for folder in folders if getattr(_package(folder), "KIND", None) == kind))


@cache
def activation(name: str) -> Activation:
    """The activation of that name; raises `UnknownName` with the names there are."""
    if name in DEFINED:
        found = DEFINED[name]
        saves: Literal["input", "output"] = "output" if found.saves == "output" else "input"
        return Activation(name, saves, True, found.numpy_source, found.reference)
    package = _find(name, "activation")
    elementwise = getattr(package, "ELEMENTWISE", True)
    return Activation(name, package.SAVES, elementwise, package.NUMPY, _package(f"{name}.reference"))


@cache
def loss(name: str) -> Loss:
    """The loss kernel of that name; raises `UnknownName` with the names there are."""
    package = _find(name, "loss")
    return Loss(name, package.REDUCTION, _package(f"{name}.reference").loss_and_gradient)


def _find(name: str, kind: str) -> ModuleType:
    if name not in names(kind):
        raise UnknownName(f"unknown {kind} {name!r}: choose one of {', '.join(names(kind))}")
    return _package(name)


def _package(name: str) -> ModuleType:
    return importlib.import_module(f"dnnkit.kernels.{name}")
