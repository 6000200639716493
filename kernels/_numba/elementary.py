"""Square root, sine, cosine and polynomials as straight-line code.

Loops over the functions of this module, `exponentials.py`, `logarithms.py` and `error_functions.py` are vectorized;
loops over calls to libm are not. Each is resolved by the type of x when its caller is compiled; float32 stays float32.
Errors are a few ulp, and NaN propagates.
"""

import math
from typing import Any

import numpy as np
from numba import types

from dnnkit.kernels._numba.extending import resolved_by_type
from dnnkit.kernels._numba.jit import INLINED, jit
from dnnkit.kernels._target.processor import FUSED

UNFUSED: dict[str, Any] = {**INLINED, "fastmath": {"nsz"}}
"""Options without "contract". A logarithm ends by adding a constant or zero: where it adds zero, "contract" would fuse
a caller's addition with the product in scalar code, but not in vectors, which compute both cases. A rounding error
needs the exact rounding of its products.
"""
WHOLE_NUMBERS, BITS_OF_WHOLE_NUMBERS = 1.5 * 2.0**52, 0x4338000000000000
WHOLE_NUMBERS_32, BITS_OF_WHOLE_NUMBERS_32 = 1.5 * 2.0**23, 0x4B400000
"""A number where adjacent float64, or float32, differ by one, and its bits. Adding it rounds to an integer, which is
then in the last bits of the sum; AVX2 cannot convert a float64 to an integer.
"""
HALF_PI = (1.57079625129699707031, 7.54978941586159635336e-8, 5.39030285815811905290e-15)
"""π/2 in three parts. The first two have few enough digits for integer multiples to be exact (Cody & Waite 1980)."""
LARGEST_ANGLE = 2.0**20
"""Up to here sine and cosine are accurate to a few ulp of 1; beyond, use libm."""
SINE_TERMS = (
    *(1.58962301576546568060e-10, -2.50507477628578072866e-8, 2.75573136213857245213e-6),
    *(-1.98412698295895385996e-4, 8.33333333332211858878e-3, -1.66666666666666307295e-1),
)
COSINE_TERMS = (
    *(-1.13585365213876817300e-11, 2.08757008419747316778e-9, -2.75573141792967388112e-7),
    *(2.48015872888517045348e-5, -1.38888888888730564116e-3, 4.16666666666665929218e-2),
)
"""Polynomials of (sin r - r) / r³ and (cos r - 1 + r² / 2) / r⁴ in r², |r| ≤ π / 4 (Cephes)."""
BITS_OF_INVERSE_ROOT, BITS_OF_INVERSE_ROOT_32 = 0x5FE6EB50C7B537A9, 0x5F375A86
"""Minus half of a number's bits, plus these, are the bits of 1 / √x within 3.5 % (C. Lomont, 2003)."""


@resolved_by_type(**INLINED)
def square_root(x):
    """Return √x for x ≥ 0, to within an ulp; infinity and NaN propagate.

    It is computed by multiplication, because the divider, which computes roots as well, is busy with a division in all
    callers (docs/design/0069-one-divider.md).
    """
    if not FUSED:
        return lambda x: math.sqrt(x)
    is_single = x == types.float32
    kind: Any = np.float32 if is_single else np.float64
    whole, steps = (np.int32, 1) if is_single else (np.int64, 2)
    bits = whole(BITS_OF_INVERSE_ROOT_32 if is_single else BITS_OF_INVERSE_ROOT)

    def root(x):
        y = whole(bits - (x.view(whole) >> whole(1))).view(kind)
        for _ in range(steps):  # each cubes the error of y, and triples its digits
            lost = kind(1.0) - (x * y) * y
            y += (y * lost) * (kind(0.375) * lost + kind(0.5))
        root = x * y
        root += (kind(0.5) * y) * (x - root * root)
        return root if x < kind(math.inf) else x

    return root


@jit
def sine_and_cosine(x):
    """Return (sin x, cos x) of a float64 within ±LARGEST_ANGLE, accurate to about an ulp of 1."""
    first, second, third = HALF_PI
    whole = x * (2 / math.pi) + WHOLE_NUMBERS
    quarter = whole.view(np.int64)
    n = whole - WHOLE_NUMBERS
    r = ((x - n * first) - n * second) - n * third
    square = r * r
    sine = r + r * square * polynomial(square, SINE_TERMS)
    cosine = 1.0 - 0.5 * square + square * square * polynomial(square, COSINE_TERMS)
    if quarter & np.int64(1):
        sine, cosine = cosine, sine
    if quarter & np.int64(2):
        sine = -sine
    if (quarter + np.int64(1)) & np.int64(2):
        cosine = -cosine
    return sine, cosine


@jit
def polynomial(x, terms):
    """Evaluate a polynomial by Horner's rule, highest power first."""
    kind = type(x)
    total = kind(terms[0])
    for term in terms[1:]:
        total = total * x + kind(term)
    return total
