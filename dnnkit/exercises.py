"""Checks of exercise answers, with hints at what is wrong."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnnkit.backends.registry import get_backend

Values = NDArray[np.float64]


def check_answer(name: str, given: Any, expected: Any, *, tolerance: float = 1e-6) -> bool:
    """Print whether an answer is right, and otherwise what is wrong: its shape, sign or scale.

    Arguments:
        name: name of the answer in the printed line.
        given: the answer, an array or number.
        expected: the correct answer.
        tolerance: accepted error relative to the largest expected number; default 1e-6.

    Returns:
        Whether the answer is right.
    """
    fault = find_fault(given, expected, tolerance)
    print(f"✓ {name} is right" if fault is None else f"✗ {name}: {fault}")
    return fault is None


def find_fault(given: Any, expected: Any, tolerance: float = 1e-6) -> str | None:
    """Describe what is wrong with an answer; None if it is right."""
    if given is None or given is ...:
        return "not answered yet: replace the ... by your code"
    try:
        numbers = get_backend().to_numpy(given) if _is_of_a_gpu(given) else np.asarray(given)
    except ValueError:
        numbers = np.asarray(None)  # rows of different lengths
    if numbers.dtype.kind not in "biuf":
        return f"expected numbers, not {type(given).__name__}"
    answer = numbers.astype(np.float64)
    right = np.asarray(expected, np.float64)
    if answer.shape != right.shape:
        return _shape_fault(answer, right)
    if not np.isfinite(answer).all():
        return "it has NaN or infinite numbers: is there a division by 0, or a logarithm of 0?"
    bound = tolerance * max(float(np.abs(right).max(initial=0.0)), tolerance)
    if (np.abs(answer - right) <= bound).all():
        return None
    return _value_fault(answer, right, bound, tolerance)


def _is_of_a_gpu(given: Any) -> bool:
    """Whether the answer is a GPU array, which NumPy cannot convert, but its backend can."""
    return hasattr(given, "__cuda_array_interface__") and get_backend().owns(given)


def _shape_fault(answer: Values, right: Values) -> str:
    found = f"shape {answer.shape} where {right.shape} is expected"
    if answer.ndim == 2 and answer.T.shape == right.shape:
        return f"{found}: it is transposed"
    if answer.size == right.size:
        return f"{found}: the number of elements is right, so reshape it"
    if right.ndim == 0:
        return f"{found}: a sum or mean is missing"
    if answer.ndim == 0:
        return f"{found}: there is one sum or mean too many"
    return found


def _value_fault(answer: Values, right: Values, bound: float, tolerance: float) -> str:
    def is_right(other: Values) -> bool:
        return bool((np.abs(other - right) <= bound).all())

    if is_right(-answer):
        return "the sign is wrong: it points the other way"
    ratio = float(np.vdot(right, answer) / max(float(np.vdot(right, right)), 1e-300))
    # Any number is a multiple of any other, so for a scalar only a simple factor is a plausible cause.
    is_informative = abs(abs(ratio) - 1) > 1e-3 if right.size > 1 else _is_simple(ratio, tolerance)
    if ratio and is_informative and is_right(answer / ratio):
        size = f"{abs(ratio):.4g} times too large" if abs(ratio) > 1 else f"{1 / abs(ratio):.4g} times too small"
        hint = "a mean" if abs(ratio) > 1 else "a sum"
        sign = ", and the sign is wrong" if ratio < 0 else ""
        return f"the scale is wrong: it is {size}{sign}. Is {hint} expected, or another factor?"
    if answer.ndim == 2 and answer.shape[0] == answer.shape[1] and is_right(answer.T):
        return "it is transposed"
    worst = np.unravel_index(int(np.abs(answer - right).argmax()), right.shape)
    place = f" at {tuple(int(i) for i in worst)}" if right.ndim else ""
    wrong = int((np.abs(answer - right) > bound).sum())
    share = f"; {wrong} of {right.size} numbers are wrong" if right.size > 1 else ""
    return f"it is {answer[worst]:.6g}{place} where {right[worst]:.6g} is expected{share}"


def _is_simple(ratio: float, tolerance: float) -> bool:
    """Whether the magnitude is an integer of at least 2, or one over such an integer."""
    large = max(abs(ratio), 1 / abs(ratio)) if ratio else 0.0
    return round(large) >= 2 and abs(large - round(large)) <= max(tolerance, 1e-6) * large
