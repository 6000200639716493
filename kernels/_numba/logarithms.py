"""Logarithms as straight-line code, by the series of 2 atanh(s) = log((1 + s) / (1 - s)). See `elementary.py`."""

import math
from typing import Any

import numpy as np
from numba import types

from dnnkit.kernels._numba.elementary import (
    BITS_OF_WHOLE_NUMBERS,
    BITS_OF_WHOLE_NUMBERS_32,
    UNFUSED,
    WHOLE_NUMBERS,
    WHOLE_NUMBERS_32,
)
from dnnkit.kernels._numba.exponentials import exp_of_negative
from dnnkit.kernels._numba.extending import fused_multiply_add, resolved_by_type
from dnnkit.kernels._target.processor import FUSED

LOG_2, ROOT_2 = math.log(2), math.sqrt(2)
ATANH_TERMS = {types.float32: 5, types.float64: 11}
"""Terms of atanh(s) / s = Σ s²ᵏ / (2 k + 1) for |s| ≤ 3 - √8; the first omitted term is below half an ulp."""


@resolved_by_type(**UNFUSED)
def log1p_of_share(z):
    """Return log(1 + z) for 0 ≤ z ≤ 1, accurate also near 0."""
    kind = np.float32 if z == types.float32 else np.float64

    def log1p(z):
        # m + 1 is 1 + z or half of it, whichever is closer to 1: log(1 + z) = [log 2] + 2 atanh(s).
        half = z > kind(ROOT_2 - 1)
        m = (z - kind(1)) * kind(0.5) if half else z
        return (kind(LOG_2) if half else kind(0)) + _twice_atanh(m / (kind(2) + m))

    return log1p


@resolved_by_type(**UNFUSED)
def log1p_and_logistic(x):
    """Return (log(1 + exp(-x)), 1 / (1 + exp(-x)), 1 / (1 + exp(x))) for x ≥ 0, with a single division.

    All are accurate also where they are tiny, down to the least normal number.
    """
    kind: Any = np.float32 if x == types.float32 else np.float64

    def log_and_shares(x):
        # As in log1p_of_share, s = m / (2 + m), and both quotients have one divisor.
        z = exp_of_negative(-x)
        half = z > kind(ROOT_2 - 1)
        upper, lower = (z - kind(1), z + kind(3)) if half else (z, z + kind(2))
        whole = kind(1) + z
        inverse = kind(1) / (lower * whole)
        share = lower * inverse
        log = (kind(LOG_2) if half else kind(0)) + _twice_atanh(upper * whole * inverse)
        return log, share, z * share

    return log_and_shares


@resolved_by_type(**UNFUSED)
def log_from_one(x):
    """Return log(x) for finite x ≥ 1; NaN propagates."""
    kind: Any = np.float32 if x == types.float32 else np.float64
    whole: Any = np.int32 if x == types.float32 else np.int64
    digits, least = np.finfo(kind).nmant, int(kind(1 / ROOT_2).view(whole))
    bias, base = (
        (BITS_OF_WHOLE_NUMBERS_32, WHOLE_NUMBERS_32) if x == types.float32 else (BITS_OF_WHOLE_NUMBERS, WHOLE_NUMBERS)
    )

    def log(x):
        bits = x.view(whole)
        n = whole(whole(bits - whole(least)) >> whole(digits))
        m = whole(bits - whole(n << whole(digits))).view(kind)  # x / 2ⁿ, between √½ and √2
        exponent = whole(n + whole(bias)).view(kind) - kind(base)
        return (_twice_atanh((m - kind(1)) / (m + kind(1))) + exponent * kind(LOG_2)) + (x - x)

    return log


@resolved_by_type(**UNFUSED)
def _twice_atanh(s):
    """Return 2 atanh(s) for |s| ≤ 3 - √8."""
    kind, terms = (np.float32 if s == types.float32 else np.float64), ATANH_TERMS[s]
    coefficients = tuple(kind(1) / kind(2 * k + 1) for k in range(terms, -1, -1))

    def fused(s):
        square, total = s * s, coefficients[0]
        for one in coefficients[1:]:
            total = fused_multiply_add(total, square, one)
        return kind(2) * s * total

    def separate(s):
        square, total = s * s, coefficients[0]
        for one in coefficients[1:]:
            total = total * square + one
        return kind(2) * s * total

    return fused if FUSED else separate
