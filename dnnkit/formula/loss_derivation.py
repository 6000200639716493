"""Derivation of a loss for every backend from the text of a formula."""

import types
from collections.abc import Callable
from functools import cache
from typing import Any, Literal

import numpy as np

from dnnkit.formula import checking
from dnnkit.formula.deriving import derived
from dnnkit.formula.loss_printing import LossText
from dnnkit.kernels.registry import RUNTIME_LOSSES, Loss, RuntimeLoss, register_loss

ELEMENTS: dict[str, Callable[..., tuple[Any, Any]]] = {}
"""Loss of one output and its derivative, by the loss's key."""
TARGETS = (0.0, 1.0, -1.0, 0.3, 7.0, -100.0)
"""Targets for which predictions of all magnitudes are tried."""


def define(key: str, formula: str, parameters: dict[str, float], over_outputs: Literal["mean", "sum"]) -> None:
    """Register the loss with the kernels under its key, unless already done."""
    if key in RUNTIME_LOSSES:
        return
    steps = derived(formula, dict(parameters), "loss")["element"]
    text = LossText(key, "A loss from a formula", steps, {}, over_outputs)
    module = types.ModuleType(f"dnnkit.formula.{key}", text.arrays())
    exec(compile(text.arrays(), f"<{module.__name__}>", "exec"), module.__dict__)  # noqa: S102 - printed from a tree
    for target in TARGETS:
        checking.check_derivative(formula, _for_target(module._element, target), f"t = {target:g}, y")
    described = Loss(key, "mean", "values", "values", False, module.loss_and_gradient, over_outputs=over_outputs)
    ELEMENTS[key] = module._element
    register_loss(RuntimeLoss(described, text.numba(), text.cuda()))


@cache
def findings(key: str) -> tuple[str, ...]:
    """Return where the loss of that key or its derivative is not finite, and for which targets."""
    found: dict[str, list[str]] = {}
    for target in TARGETS:
        for text in checking.not_finite(_for_target(ELEMENTS[key], target), "the loss", "y"):
            found.setdefault(text, []).append(f"{target:g}")
    return tuple(f"{text}, for t = {', '.join(targets)}" for text, targets in found.items())


def _for_target(element: Callable[..., tuple[Any, Any]], target: float) -> types.ModuleType:
    """Return loss and derivative as functions of the prediction, in the form of an activation's reference."""
    reference = types.ModuleType("loss_for_one_target")
    both = [lambda y, place=place: element(y, np.full_like(y, target), np)[place] for place in (0, 1)]
    reference.forward, reference.derivative = both  # type: ignore[attr-defined]
    return reference
