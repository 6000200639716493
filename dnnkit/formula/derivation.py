"""Derivation of an activation for every backend from the text of a formula."""

import types
import warnings
from collections.abc import Callable
from functools import cache, wraps
from typing import Literal

import numpy as np

from dnnkit.errors import FormulaWarning
from dnnkit.formula import checking, printing
from dnnkit.formula.deriving import derived
from dnnkit.kernels.array import Array, Namespace
from dnnkit.kernels.registry import RUNTIME_ACTIVATIONS, RuntimeActivation, register_activation


def define(key: str, formula: str, parameters: dict[str, float]) -> None:
    """Register the activation with the kernels under its key, unless already done."""
    if key in RUNTIME_ACTIVATIONS:
        return
    functions = derived(formula, parameters)
    has_shortcut = "derivative_from_output" in functions
    reference = _module(key, printing.arrays(functions))
    checking.check_derivative(formula, reference)
    if has_shortcut and checking.agrees_with_derivative(reference):
        functions.pop("derivative", None)
    else:
        functions.pop("derivative_from_output", None)
        vars(reference).pop("derivative_from_output", None)
    saves: Literal["input", "output"] = "output" if "derivative_from_output" in functions else "input"
    numpy_source = (printing.numpy(functions["forward"]),)
    register_activation(
        key, RuntimeActivation(saves, reference, printing.numba(functions), printing.cuda(functions, key), numpy_source)
    )


@cache
def findings(key: str) -> tuple[str, ...]:
    """Return where the activation of that key or its derivative is not finite."""
    return tuple(checking.not_finite(RUNTIME_ACTIVATIONS[key].reference))


def warn_of(key: str, name: str) -> None:
    """Warn if the activation is not finite everywhere."""
    if found := findings(key):
        warnings.warn(f"activation {name!r}: {'; '.join(found)}", FormulaWarning, stacklevel=3)


def _module(key: str, source: str) -> types.ModuleType:
    """Execute the generated code as a module; it is printed from a tree and contains no user text."""
    written = types.ModuleType(f"dnnkit.formula.{key}")
    exec(compile(source, f"<{written.__name__}>", "exec"), written.__dict__)  # noqa: S102 - see above
    module = types.ModuleType(written.__name__, f"Written by dnnkit.formula:\n\n{source}")
    for name in ("forward", "derivative", "derivative_from_output"):
        if hasattr(written, name):
            setattr(module, name, _quiet(getattr(written, name)))
    return module


def _quiet(function: Callable[[Array, Namespace], Array]) -> Callable[..., Array]:
    """Suppress NumPy warnings, which come from branches that are not selected."""

    @wraps(function)
    def quiet(x: Array, xp: Namespace = np) -> Array:
        with np.errstate(all="ignore"):
            return function(x, xp)

    return quiet
