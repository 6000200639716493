"""exp, expm1, tanh and the logistic function as straight-line code, without a division for exp itself.

x = n ln 2 + r, |r| ≤ ½ ln 2, and exp(x) = 2ⁿ + 2ⁿ (exp(r) - 1), of which the second factor is a polynomial. See
`elementary.py`.
"""

import math

import numpy as np
from numba import types

from dnnkit.kernels._numba.elementary import WHOLE_NUMBERS, WHOLE_NUMBERS_32, polynomial
from dnnkit.kernels._numba.extending import resolved_by_type
from dnnkit.kernels._numba.jit import INLINED, jit

LOG2_E = math.log2(math.e)
LOG_2 = {types.float32: (0.693359375, -2.12194440e-4), types.float64: (0.693145751953125, 1.42860682030941723212e-6)}
"""ln 2 in two parts. The first has few enough digits for integer multiples to be exact (Cody & Waite 1980)."""
EXP_TERMS = {
    types.float32: (
        *(1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1),
    ),
    types.float64: (
        *(2.510038549551032e-8, 2.7620088445409746e-7, 2.7557268459997064e-6, 2.4801521295954376e-5),
        *(1.9841269863053618e-4, 1.3888888917213717e-3, 8.333333333330062e-3, 4.166666666662413e-2),
        *(0.16666666666666669, 0.5),
    ),
}
"""Polynomials of (exp(r) - 1 - r) / r². Float32: Cephes (S. L. Moshier, 1989). Float64: interpolated at Chebyshev
points; the error of exp(r) is a fifth of an ulp.
"""
BIASED = {types.float32: WHOLE_NUMBERS_32 + 127, types.float64: WHOLE_NUMBERS + 1023}
"""Added to a number, leaves its nearest integer n plus the bias of exponents in the last bits: shifted, they are 2ⁿ."""
DIGITS = {types.float32: 23, types.float64: 52}
LEAST, LARGEST = {types.float32: -88.0, types.float64: -709.0}, {types.float32: 89.0, types.float64: 710.0}
"""Where a power of two is zero, because its exponent is below that of all normal numbers, and where exp overflows."""
SUBNORMAL = {types.float32: -110.0, types.float64: -760.0}
"""Where exp is zero, also as a subnormal number."""
ONE_LESS = {types.float32: -30.0, types.float64: -60.0}
"""Where exp(x) - 1 is -1."""


@resolved_by_type(**INLINED)
def split(x):
    """Return (shifted, r) with x = n ln 2 + r and n as in `BIASED`; for NaN, r is NaN and n undefined."""
    kind, (upper, lower) = (np.float32 if x == types.float32 else np.float64), LOG_2[x]
    biased = BIASED[x]

    def split_of(x):
        shifted = x * kind(LOG2_E) + kind(biased)
        n = shifted - kind(biased)
        return shifted, (x - n * kind(upper)) - n * kind(lower)

    return split_of


@resolved_by_type(**INLINED)
def rest_of_exp(r):
    """Return exp(r) - 1 for |r| ≤ ½ ln 2."""
    even, odd = EXP_TERMS[r][1::2], EXP_TERMS[r][::2]

    def rest(r):
        square = r * r
        return (polynomial(square, even) + r * polynomial(square, odd)) * square + r

    return rest


@resolved_by_type(**INLINED)
def power(shifted):
    """Return 2ⁿ, see `split`; zero if n is one less than the least exponent of normal numbers."""
    whole, digits = (np.int32 if shifted == types.float32 else np.int64), DIGITS[shifted]
    kind = np.float32 if shifted == types.float32 else np.float64
    return lambda shifted: whole(shifted.view(whole) << whole(digits)).view(kind)


@resolved_by_type(**INLINED)
def exp(x):
    """Return e to the power x."""
    kind, whole = (np.float32, np.int32) if x == types.float32 else (np.float64, np.int64)
    lowest, highest, digits, bias = SUBNORMAL[x], LARGEST[x], DIGITS[x], 127 if x == types.float32 else 1023

    def exp_of(x):
        shifted, r = split(_within(x, kind(lowest), kind(highest)))
        # Two factors, because 2ⁿ alone overflows and underflows before exp(x) does.
        both = whole(shifted.view(whole) + whole(bias))
        half = whole(both >> whole(1))
        first, second = whole(half << whole(digits)), whole(whole(both - half) << whole(digits))
        return (rest_of_exp(r) + kind(1)) * first.view(kind) * second.view(kind)

    return exp_of


@resolved_by_type(**INLINED)
def exp_of_negative(x):
    """Return e to the power x for x ≤ 0, zero where it is below the least normal number."""
    kind, least = (np.float32 if x == types.float32 else np.float64), LEAST[x]

    def exp_of(x):
        shifted, r = split(kind(least) if x < kind(least) else x)
        scale = power(shifted)
        return rest_of_exp(r) * scale + scale

    return exp_of


@resolved_by_type(**INLINED)
def expm1_of_negative(x):
    """Return exp(x) - 1 for x ≤ 0, accurate also near 0."""
    kind, lowest = (np.float32 if x == types.float32 else np.float64), ONE_LESS[x]

    def expm1(x):
        shifted, r = split(kind(lowest) if x < kind(lowest) else x)
        scale = power(shifted)
        return scale * rest_of_exp(r) + (scale - kind(1))

    return expm1


@resolved_by_type(**INLINED)
def tanh(x):
    """Return tanh(x), accurate also near 0: t / (t + 2) with t = exp(2 x) - 1."""
    kind, lowest = (np.float32 if x == types.float32 else np.float64), ONE_LESS[x]

    def tanh_of(x):
        shifted, r = split(_within(x + x, kind(lowest), kind(-lowest)))
        scale = power(shifted)
        t = scale * rest_of_exp(r) + (scale - kind(1))
        return t / (t + kind(2))

    return tanh_of


@jit
def logistic(x):
    """Return (1 / (1 + exp(-x)), 1 / (1 + exp(x))), both accurate down to the least normal number."""
    kind = type(x)
    less = exp_of_negative(-abs(x))
    large = kind(1) / (less + kind(1))
    small = less * large
    return (large, small) if x > 0 else (small, large)


@jit
def _within(x, low, high):
    """Clamp x; NaN propagates. Each line compiles to one instruction."""
    x = low if x < low else x
    return high if x > high else x
