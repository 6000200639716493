"""Tolerances: twice the error of the reference in the same dtype, plus a few units in the last place."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dnnkit.backends.state import HostArray


def flushed(x: HostArray) -> HostArray:
    """Return x with subnormal numbers replaced by zero, as many processors do."""
    if x.dtype.kind != "f":
        return x
    return np.where(np.abs(x) < np.finfo(x.dtype).tiny, np.copysign(x.dtype.type(0), x), x)


def check_alike(what: str, actual: HostArray, shape: tuple[int, ...], dtype: Any) -> None:
    """Check shape and dtype."""
    assert actual.shape == shape, f"{what}: shape {actual.shape}, expected {shape}"
    assert actual.dtype == dtype, f"{what}: dtype {actual.dtype}, expected {np.dtype(dtype)}"


def check_error(
    what: str, actual: HostArray, exact: Sequence[HostArray], reference: HostArray, unit: Any, few: float
) -> None:
    """Check that the error is at most twice the reference's plus `few` units.

    Arguments:
        what: description for the message.
        actual: the result.
        exact: alternative results in float64; the nearest counts, element by element.
        reference: the reference's result in the dtype of `actual`, with the same shape and dtype.
        unit: a unit in the last place, for each element.
        few: number of units allowed.
    """
    check_alike(what, actual, np.shape(reference), np.asarray(reference).dtype)
    finite = np.isfinite(reference)
    wrong = finite & ~np.isfinite(actual)
    assert not wrong.any(), f"{what}: {actual[wrong][0]} at {_place(wrong)}, where the reference is finite"
    with np.errstate(all="ignore"):
        limit = 2 * float(np.where(finite, _error(reference, exact) / unit, 0).max(initial=0)) + few
        errors = np.where(finite, _error(actual, exact) / unit, 0)
    largest = float(errors.max(initial=0))
    if not largest <= limit:
        place = np.unravel_index(int(np.argmax(errors)), errors.shape)
        raise AssertionError(
            f"{what}: {actual[place]!r} at {tuple(map(int, place))}, exact {exact[0][place]!r}: "
            f"{largest:.3g} units in the last place, {limit:.3g} allowed"
        )


def check_same(what: str, actual: Any, expected: Any) -> None:
    """Check exact equality, including NaN and shape."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    check_alike(what, actual, expected.shape, expected.dtype)
    equal = (actual == expected) | (np.isnan(actual) & np.isnan(expected) if actual.dtype.kind == "f" else False)
    if not equal.all():
        place = np.unravel_index(int(np.argmin(equal)), equal.shape)
        raise AssertionError(f"{what}: {actual[place]!r} at {tuple(map(int, place))}, expected {expected[place]!r}")


def check_close(what: str, actual: Any, expected: Any, limit: Any) -> None:
    """Check that all errors are within a limit."""
    errors = np.abs(np.asarray(actual, np.float64) - np.asarray(expected, np.float64))
    if not (errors <= limit).all():
        place = np.unravel_index(int(np.argmax(np.where(np.isnan(errors), np.inf, errors))), errors.shape)
        raise AssertionError(
            f"{what}: {np.asarray(actual)[place]!r} at {tuple(map(int, place))}, expected "
            f"{np.asarray(expected)[place]!r}: error {errors[place]:.3g}, "
            f"{np.broadcast_to(limit, errors.shape)[place]:.3g} allowed"
        )


def check_not_finite_alike(what: str, actual: HostArray, reference: HostArray) -> None:
    """Check that NaN and infinities are where the reference has them."""
    check_alike(what, actual, reference.shape, reference.dtype)
    check_same(f"{what}: where NaN is", np.isnan(actual), np.isnan(reference))
    infinite = np.isinf(reference)
    check_same(f"{what}: where infinities are", np.isinf(actual), infinite)
    check_same(f"{what}: the infinities", actual[infinite], reference[infinite])


def check_bits(what: str, runs: Sequence[Sequence[Any]]) -> None:
    """Check that all runs are bitwise identical."""
    bits = [[np.asarray(array).tobytes() for array in run] for run in runs]
    assert all(run == bits[0] for run in bits), f"{what}: two runs gave different bits"


def differences(function: Any, x: HostArray, h: float = 1e-4) -> tuple[HostArray, HostArray]:
    """Return the gradient of a scalar function by five-point differences, and a mask of reliable elements.

    Elements are unreliable if two step widths disagree, which indicates a kink or a jump nearby.
    """
    gradients = []
    for width in (h, h / 2):
        gradient = np.empty_like(x)
        for place in np.ndindex(x.shape):
            values = []
            for step in (-2, -1, 1, 2):
                moved = x.copy()
                moved[place] += step * width
                values.append(float(function(moved)))
            gradient[place] = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * width)
        gradients.append(gradient)
    scale = max(1.0, float(np.abs(gradients[0]).max(initial=0)))
    return gradients[1], np.abs(gradients[0] - gradients[1]) < 1e-6 * scale


def _error(actual: HostArray, exact: Sequence[HostArray]) -> Any:
    return np.min([np.abs(wanted - actual) for wanted in exact], axis=0)


def _place(where: HostArray) -> tuple[int, ...]:
    return tuple(int(k) for k in np.argwhere(where)[0])
