"""Exponential, expm1, tanh and log1p as straight-line code: loops over them are vectorised, over calls to libm not.

Each is resolved when its caller is compiled, by the type of x; float32 stays float32. Errors are a few ulp, NaN comes
through. Cephes' reductions and coefficients (S. L. Moshier, 1989): x = n ln 2 + r, |r| ≤ ½ ln 2.
"""

import math
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from dnnkit.kernels.compiled import INLINED, OPTIONS, scalar

RESOLVED: Any = {**OPTIONS, **INLINED}
UNFUSED: Any = {**RESOLVED, "fastmath": {"nsz"}}
"""For log1p, whose last sum adds a constant or nothing. Where it adds nothing, "contract" would fuse a caller's sum
with the product; not so in vectors, which compute both cases."""
LOG2_E, LOG_2, ROOT_2 = math.log2(math.e), math.log(2), math.sqrt(2)
ATANH_TERMS = {types.float32: 5, types.float64: 11}
"""Terms of atanh(s) / s = Σ s²ᵏ / (2 k + 1) for |s| ≤ 3 - √8: the first left out is below half an ulp."""


def exp(x: Any) -> Any:
    """e to the x."""
    raise NotImplementedError("compiled code only")


def expm1_of_negative(x: Any) -> Any:
    """exp(x) - 1 for x ≤ 0, accurate also near 0."""
    raise NotImplementedError("compiled code only")


def log1p_of_share(z: Any) -> Any:
    """log(1 + z) for 0 ≤ z ≤ 1, accurate also near 0."""
    raise NotImplementedError("compiled code only")


@scalar
def tanh(x):
    """tanh(x), accurate also near 0: t / (t + 2) with t = exp(-2 |x|) - 1."""
    t = expm1_of_negative(-abs(x + x))
    y = -t / (t + type(x)(2))
    return -y if x < 0 else y


@scalar
def _reduce_32(x):
    """(n, exp(r) - 1) for a float32 within the range of exp; n is 0 for NaN, whose r is NaN."""
    kind = np.float32
    whole = np.floor(x * kind(LOG2_E) + kind(0.5))
    r = (x - whole * kind(0.693359375)) + whole * kind(2.12194440e-4)
    p = kind(1.9875691500e-4)
    p = p * r + kind(1.3981999507e-3)
    p = p * r + kind(8.3334519073e-3)
    p = p * r + kind(4.1665795894e-2)
    p = p * r + kind(1.6666665459e-1)
    p = p * r + kind(5.0000001201e-1)
    return np.int32(kind(0) if x != x else whole), p * r * r + r


@scalar
def _reduce_64(x):
    """The same for a float64."""
    whole = np.floor(x * LOG2_E + 0.5)
    r = (x - whole * 6.93145751953125e-1) - whole * 1.42860682030941723212e-6
    square = r * r
    p = r * ((1.26177193074810590878e-4 * square + 3.02994407707441961300e-2) * square + 1.0)
    q = (3.00198505138664455042e-6 * square + 2.52448340349684104192e-3) * square + 2.27265548208155028766e-1
    return np.int64(0.0 if x != x else whole), 2.0 * p / (q * square + 2.0 - p)


@scalar
def _power_32(n):
    """2 to the n, for the exponents of normal float32 numbers."""
    return np.int32((n + np.int32(127)) << np.int32(23)).view(np.float32)


@scalar
def _power_64(n):
    return np.int64((n + np.int64(1023)) << np.int64(52)).view(np.float64)


@overload(exp, jit_options=RESOLVED)
def _exp(x):
    if x == types.float32:

        def exp_32(x):
            # Two factors, for 2 to the n alone overflows before exp(x) does, and underflows too.
            n, p = _reduce_32(min(max(x, np.float32(-110)), np.float32(89)) if x == x else x)
            half = np.int32(n >> np.int32(1))
            return (p + np.float32(1)) * _power_32(half) * _power_32(np.int32(n - half))

        return exp_32

    def exp_64(x):
        n, p = _reduce_64(min(max(x, -760.0), 710.0) if x == x else x)
        half = n >> np.int64(1)
        return (p + 1.0) * _power_64(half) * _power_64(n - half)

    return exp_64


@overload(expm1_of_negative, jit_options=RESOLVED)
def _expm1_of_negative(x):
    if x == types.float32:

        def expm1_32(x):
            n, p = _reduce_32(max(x, np.float32(-30)) if x == x else x)
            power = _power_32(n)
            return power * p + (power - np.float32(1))

        return expm1_32

    def expm1_64(x):
        n, p = _reduce_64(max(x, -60.0) if x == x else x)
        power = _power_64(n)
        return power * p + (power - 1.0)

    return expm1_64


@overload(log1p_of_share, jit_options=UNFUSED)
def _log1p_of_share(z):
    kind, terms = (np.float32 if z == types.float32 else np.float64), ATANH_TERMS[z]

    def log1p(z):
        # 1 + z or half of it, whichever is nearer to 1: log(1 + z) = [log 2] + 2 atanh(s).
        half = z > kind(ROOT_2 - 1)
        m = (z - kind(1)) * kind(0.5) if half else z
        s = m / (kind(2) + m)
        square = s * s
        total = kind(1) / kind(2 * terms + 1)
        for k in range(terms - 1, -1, -1):
            total = total * square + kind(1) / kind(2 * k + 1)
        return (kind(LOG_2) if half else kind(0)) + kind(2) * s * total

    return log1p
