"""Questions about activations, forward and backward."""

from collections.abc import Callable, Iterator

import numpy as np

from dnnkit.backends.state import HostArray
from dnnkit.kernels import registry
from dnnkit.testing.cases import DTYPES, ELEMENTWISE, ROWS, Case, normal, pairwise, samples, wide
from dnnkit.testing.comparing import check_bits, check_close, check_error, check_not_finite_alike, differences, flushed
from dnnkit.testing.implementations import Implementation
from dnnkit.testing.questions import question

FEW = 8
"""Allowed units in the last place, in addition to twice the error of the reference in the same dtype."""


def _values(implementation: Implementation, kernel: str) -> Iterator[Case]:
    shapes = ELEMENTWISE if registry.activation(kernel).elementwise else ROWS
    for factors in pairwise(shape=shapes, given=implementation.variations, dtype=DTYPES):
        yield Case(kernel, **factors)


def _both_dtypes(implementation: Implementation, kernel: str) -> Iterator[Case]:
    return (Case(kernel, dtype, (3, 65)) for dtype in DTYPES)


def _one(implementation: Implementation, kernel: str) -> Iterator[Case]:
    return iter([Case(kernel, shape=(2, 7))])


@question("activation", "activation", _values)
def values(implementation: Implementation, case: Case) -> None:
    """Forward and backward match the reference in float64, including extreme and subnormal numbers."""
    activation = registry.activation(case.kernel)
    x, (dy,) = samples(case), normal(case, case.shape)
    y = implementation.activation(case.kernel, x, case.given)
    saved = _saved(case.kernel, x)
    dx = implementation.activation_backward(case.kernel, dy, saved, case.given)
    with np.errstate(all="ignore"):
        exact = [activation.forward(wide(kind(x))) for kind in (np.asarray, flushed)]
        unit = _unit(activation.forward, x, exact[0])
        check_error("f(x)", y, exact, activation.forward(x), unit, FEW)
        exact = [activation.backward(wide(kind(dy)), wide(kind(saved))) for kind in (np.asarray, flushed)]
        magnitude = np.maximum(np.abs(exact[0]), np.abs(wide(dy)))
        unit = _unit(lambda saved: activation.backward(wide(dy), saved), saved, magnitude)
        check_error("gradient in x", dx, exact, activation.backward(dy, saved), unit, FEW)


@question("activation", "activation", _both_dtypes)
def nan_and_inf(implementation: Implementation, case: Case) -> None:
    """NaN and infinities propagate as in the reference, at any position in a row."""
    activation = registry.activation(case.kernel)
    x = np.linspace(-3, 3, 195, dtype=case.dtype).reshape(case.shape)
    dy = np.linspace(1, 2, 195, dtype=case.dtype).reshape(case.shape)
    for place in (0, 1, 40, 64):  # within a vector or pack, and in the remainder
        for bad in (np.nan, np.inf, -np.inf):
            for row, array in ((1, x), (2, dy)):
                changed = array.copy()
                changed[row, place] = bad
                given, gradient = (changed, dy) if array is x else (x, changed)
                saved = _saved(case.kernel, given)
                with np.errstate(all="ignore"):
                    expected = activation.forward(given), activation.backward(gradient, saved)
                what = f"{bad} at {place} of {'x' if array is x else 'dy'}"
                check_not_finite_alike(f"f(x), {what}", implementation.activation(case.kernel, given), expected[0])
                dx = implementation.activation_backward(case.kernel, gradient, saved)
                check_not_finite_alike(f"gradient in x, {what}", dx, expected[1])


@question("activation", "activation", _both_dtypes)
def same_bits(implementation: Implementation, case: Case) -> None:
    """Repeated runs are bitwise identical."""
    x, (dy,) = samples(case), normal(case, case.shape)
    for given in implementation.variations:
        runs = [
            (
                implementation.activation(case.kernel, x, given),
                implementation.activation_backward(case.kernel, dy, _saved(case.kernel, x), given),
            )
            for _ in range(2)
        ]
        check_bits(given.name, runs)


@question("activation", "activation", _one)
def gradient_against_differences(implementation: Implementation, case: Case) -> None:
    """The gradient matches finite differences wherever the function is smooth."""
    x, dy = normal(case, case.shape, case.shape)
    saves = registry.activation(case.kernel).saves
    saved = implementation.activation(case.kernel, x) if saves == "output" else x
    dx = implementation.activation_backward(case.kernel, dy, saved)
    expected, smooth = differences(lambda v: np.sum(dy * implementation.activation(case.kernel, v)), x)
    check_close("gradient in x against differences", dx[smooth], expected[smooth], 1e-7)


def _saved(name: str, x: HostArray) -> HostArray:
    activation = registry.activation(name)
    with np.errstate(all="ignore"):
        return np.asarray(activation.forward(x)) if activation.saves == "output" else x


def _unit(function: Callable[[HostArray], HostArray], x: HostArray, magnitude: HostArray) -> HostArray:
    """Return the error of one unit in the last place of the result, and of x.

    At a jump or a kink, the side that changes less counts. Four units are used at once, because the function rounds
    too.
    """
    limits = np.finfo(x.dtype)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], x.shape)  # softmax ignores common shifts
    middle, step = function(wide(x)), 4 * signs * wide(np.spacing(np.abs(x)))
    sides = [np.abs(function(wide(x) + side * step) - middle) / 4 for side in (1, -1)]
    least = limits.tiny * np.maximum(1, np.abs(wide(x)))  # a factor may be flushed to zero
    return np.asarray(limits.eps * np.abs(magnitude) + np.minimum(*sides) + least)
