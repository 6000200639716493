"""Checks that a derivative is the function's slope, and that both are finite."""

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnnkit.errors import ConfigurationError

STEP = 1e-4
FARTHEST = 1e4
MOST = 3
"""Maximum number of intervals listed in a message."""


def check_derivative(formula: str, reference: ModuleType, where: str = "x") -> None:
    """Raise `ConfigurationError` if the derivative differs from finite differences, except at corners."""
    x = np.linspace(-8.017, 8.009, 401)
    before, here, after = (reference.forward(x + shift) for shift in (-STEP, 0.0, STEP))
    with np.errstate(all="ignore"):  # `not_finite` reports non-finite values
        left, right = (here - before) / STEP, (after - here) / STEP
        slope, central = reference.derivative(x), (left + right) / 2
        scale = 1 + np.abs(central) + np.abs(here)
        smooth = np.isfinite(slope) & (np.abs(right - left) < 1e-2 * scale)
        wrong = smooth & (np.abs(slope - central) > 1e-3 * scale)
    if wrong.any():
        place = int(np.argmax(wrong))
        raise ConfigurationError(
            f"the derivative of {formula!r} at {where} = {x[place]:.4g} is computed as {slope[place]:.6g}, but finite "
            f"differences give {central[place]:.6g}: write the formula in another way"
        )


def agrees_with_derivative(reference: ModuleType) -> bool:
    """Whether the derivative computed from the output equals the derivative, also for large inputs."""
    x = np.concatenate([np.linspace(-30.017, 30.009, 1201), [-FARTHEST, -100, 0, 100, FARTHEST]])
    from_output = reference.derivative_from_output(reference.forward(x))
    return bool(np.allclose(from_output, reference.derivative(x), rtol=1e-9, atol=1e-12))


def not_finite(reference: ModuleType, function: str = "the function", variable: str = "x") -> Iterator[str]:
    """Describe where from -1e4 to 1e4 function and derivative are not finite, in float32 and float64."""
    sizes = np.concatenate([[0.0], np.logspace(-6, np.log10(FARTHEST), 601)])
    for what, values in ((function, reference.forward), ("its derivative", reference.derivative)):
        described: dict[str, list[str]] = {}
        for dtype in ("float32", "float64"):
            x = np.concatenate([-sizes[:0:-1], sizes]).astype(dtype)
            stretches = list(_stretches(x, values, variable))
            if stretches:
                more = f" and {len(stretches) - MOST} more intervals" if len(stretches) > MOST else ""
                described.setdefault(", ".join(stretches[:MOST]) + more, []).append(dtype)
        for text, dtypes in described.items():
            where = "" if len(dtypes) == 2 else f" in {dtypes[0]}"
            yield f"{what} is not finite{where} for {text}"


def _stretches(x: NDArray[Any], function: Callable[[NDArray[Any]], NDArray[Any]], variable: str) -> Iterator[str]:
    """Describe the intervals where the values are not finite, and what they are there."""
    values = function(x)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], ~np.isfinite(values), [False]])))
    for first, end in zip(edges[::2], edges[1::2], strict=True):
        kinds = {"NaN" if np.isnan(value) else "inf" if value > 0 else "-inf" for value in values[first:end]}
        low = x[first] if first == 0 else _edge(function, x[first - 1], x[first])
        high = x[end - 1] if end == x.size else _edge(function, x[end], x[end - 1])
        if end - first == 1 and first > 0 and end < x.size:
            place = f"{variable} = {x[first]:.4g}"
        elif end == x.size:
            place = f"{variable} ≥ {low:.4g}"
        elif first == 0:
            place = f"{variable} ≤ {high:.4g}"
        else:
            place = f"{variable} from {low:.4g} to {high:.4g}"
        yield f"{place} ({', '.join(sorted(kinds))})"


def _edge(function: Callable[[NDArray[Any]], NDArray[Any]], finite: Any, other: Any) -> Any:
    """Locate by bisection where the values cease to be finite."""
    for _ in range(40):
        middle = (finite + other) / 2
        if np.isfinite(function(np.asarray([middle]))[0]):
            finite = middle
        else:
            other = middle
    return other
