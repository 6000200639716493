"""Error function, its complement and the normal distribution as straight-line code. See `elementary.py`."""

import math

import numpy as np
from numba import types

from dnnkit.kernels._numba.elementary import UNFUSED, polynomial
from dnnkit.kernels._numba.exponentials import LEAST, exp, power, rest_of_exp, split
from dnnkit.kernels._numba.extending import fused_multiply_add, resolved_by_type
from dnnkit.kernels._numba.jit import INLINED
from dnnkit.kernels._target.processor import FUSED

MIDDLE = {types.float32: 3.0, types.float64: 3.5}
ERFC_TERMS = {
    types.float32: (
        *(-3.331503551e-4, -4.971422377e-4, 3.079632147e-3, -1.217209323e-3, -2.683742574e-2, 1.195270777e-1),
        *(-3.10466518e-1, 5.902284472e-1, -8.833944637e-1, 1.074006906),
    ),
    types.float64: (
        *(3.2895955234250755e-9, 9.015300575703472e-9, -2.178473266091442e-8, -8.346247660207666e-8),
        *(1.162585813936494e-7, 5.505078509919124e-7, -7.965337728503656e-7, -3.3920403208787654e-6),
        *(7.2442542522068276e-6, 1.8647207423905484e-5, -7.477711648027305e-5, -4.206217182845896e-5),
        *(7.145316892872057e-4, -1.3053546903382392e-3, -3.1770503427936917e-3, 2.651861988150118e-2),
        *(-9.231870663850064e-2, 0.2257386216474199, -0.4352560267168875, 0.6941136466346443),
        *(-0.937799724567112, 1.08705558926226),
    ),
}
"""Polynomial of (x + m) exp(x²) erfc(x) in t = (x - m) / (x + m), m = `MIDDLE`, which is smooth enough for a single
polynomial from x = 0 to where erfc underflows. M. M. Shepherd and J. G. Laframboise (1981) have 1 + 2 x in place of
x + m, which needs a second division. Interpolated at Chebyshev points; errors are a tenth of an ulp in float32, half an
ulp in float64.
"""
ERFC_IS_ZERO = {types.float32: 10.5, types.float64: 28.0}
"""erfc is 0 from here on."""
ERF_TERMS = {
    types.float32: (-7.694534279e-4, 5.200413724e-3, -2.686314303e-2, 1.128377401e-1, -3.761263853e-1, 1.128379167),
    types.float64: (
        *(1.4725865480556744e-6, -1.4845849259707869e-5, 1.2053335124353741e-4, -8.548297753674966e-4),
        *(5.22397737302147e-3, -2.6866170632887928e-2, 1.1283791670925353e-1, -3.7612638903183476e-1),
        *(1.1283791670955126,),
    ),
}
"""Polynomial of erf(x) / x in x², for |x| ≤ ½; beyond, 1 - erfc(x) loses no digits."""
SPLIT = {types.float32: 2.0**12 + 1, types.float64: 2.0**27 + 1}
"""Constants of Dekker's splitting (T. J. Dekker, 1971), which separates the upper half of a number's digits."""


@resolved_by_type(**INLINED)
def erfc(x):
    """Return 1 - erf(x), accurate also where it is tiny."""
    kind, farthest = (np.float32 if x == types.float32 else np.float64), ERFC_IS_ZERO[x]

    def erfc_of(x):
        size = kind(farthest) if abs(x) > kind(farthest) else abs(x)
        square, lost = _square(size)
        y = exp(-square) * (kind(1) - lost) * (kind(2) * _scaled_tail(size))
        return kind(2) - y if x < 0 else y

    return erfc_of


@resolved_by_type(**INLINED)
def normal(x):
    """Return (Φ(x), exp(-x² / 2)), both accurate down to the least normal number.

    Rounding x / √2 would magnify the error of the tail, ½ erfc(-x / √2).
    """
    kind, farthest = (np.float32 if x == types.float32 else np.float64), math.sqrt(-2 * LEAST[x])

    def normal_of(x):
        size = kind(farthest) if abs(x) > kind(farthest) else abs(x)
        square, lost = _square(size)
        shifted, r = split(kind(-0.5) * square)
        scale = power(shifted)
        bell = rest_of_exp(r - kind(0.5) * lost) * scale + scale
        tail = bell * _scaled_tail(size * kind(math.sqrt(0.5)))
        return (kind(1) - tail if x > 0 else tail), bell

    return normal_of


@resolved_by_type(**INLINED)
def _scaled_tail(x):
    """Return ½ exp(x²) erfc(x) for x ≥ 0."""
    kind, middle = (np.float32 if x == types.float32 else np.float64), MIDDLE[x]
    halves = tuple(0.5 * term for term in ERFC_TERMS[x])
    even, odd = halves[1::2], halves[::2]  # two short sums: a long one LLVM leaves as a loop

    def scaled(x):
        inverse = kind(1) / (x + kind(middle))
        t = (x - kind(middle)) * inverse
        return (polynomial(t * t, even) + t * polynomial(t * t, odd)) * inverse

    return scaled


@resolved_by_type(**INLINED)
def erf(x):
    """Return 2 / √π times the integral of exp(-t²) from 0 to x."""
    kind, terms = (np.float32 if x == types.float32 else np.float64), ERF_TERMS[x]

    def erf_of(x):
        far = kind(1) - erfc(abs(x))
        return x * polynomial(x * x, terms) if abs(x) <= kind(0.5) else (-far if x < 0 else far)

    return erf_of


@resolved_by_type(**UNFUSED)
def _square(x):
    """Return x² and its rounding error, which exp(-x²) would magnify."""
    kind, split = (np.float32 if x == types.float32 else np.float64), SPLIT[x]

    def fused(x):
        square = x * x
        return square, fused_multiply_add(x, x, -square)

    def square_of(x):
        scaled = x * kind(split)
        high = scaled - (scaled - x)
        low = x - high
        square = x * x
        return square, (high * high - square) + kind(2) * high * low + low * low

    return fused if FUSED else square_of
