"""Square root, exp, expm1, tanh, log1p, sin, cos, erf and erfc as straight-line code.

Loops over these functions are vectorized; loops over calls to libm are not.

Each is resolved by the type of x when its caller is compiled; float32 stays float32. Errors are a few ulp, and NaN
propagates. The exponentials use the reductions and coefficients of Cephes (S. L. Moshier, 1989): x = n ln 2 + r, |r| ≤
½ ln 2.
"""

import math
from typing import Any

import numpy as np
from numba import types

from dnnkit.kernels._numba.extending import fused_multiply_add, resolved_by_type
from dnnkit.kernels._numba.jit import INLINED, jit
from dnnkit.kernels._target.processor import FUSED

UNFUSED: dict[str, Any] = {**INLINED, "fastmath": {"nsz"}}
"""Options without "contract". log1p ends by adding a constant or zero: where it adds zero, "contract" would fuse a
caller's addition with the product in scalar code, but not in vectors, which compute both cases. `_square` needs the
exact rounding of its products.
"""
LOG2_E, LOG_2, ROOT_2 = math.log2(math.e), math.log(2), math.sqrt(2)
ATANH_TERMS = {types.float32: 5, types.float64: 11}
"""Terms of atanh(s) / s = Σ s²ᵏ / (2 k + 1) for |s| ≤ 3 - √8; the first omitted term is below half an ulp."""
ERFC_TERMS = {
    types.float32: (
        *(-2.773269222e-4, -7.983391415e-4, 1.994474591e-3, 2.579434685e-3, -2.379023418e-2, 6.829350976e-2),
        *(-1.192726527e-1, 1.296465756e-1, -4.756228054e-2, -1.356211434e-1, 1.253008058),
    ),
    types.float64: (
        *(-4.1709678137948285e-9, -8.405721805214884e-9, 3.2852433981759875e-8, 9.156244231434985e-8),
        *(-1.3114298770307867e-7, -6.045980671336693e-7, 3.491325343220638e-7, 3.4636901087184284e-6),
        *(-7.277331693189205e-7, -2.0096488951806807e-5, 4.948225243188312e-6, 1.2509811046590528e-4),
        *(-1.0515951430802023e-4, -7.798320304284554e-4, 1.888690316398722e-3, 2.529391787439232e-3),
        *(-2.3770514914689324e-2, 6.830802734585574e-2, -1.1927366341550479e-1, 1.2964515870270404e-1),
        *(-4.7562294353446846e-2, -1.3562110612458067e-1, 1.2530080582697296),
    ),
}
"""Polynomial of (1 + 2 x) exp(x²) erfc(x) in t = (x - 3) / (x + 3), which is smooth enough for a single polynomial from
x = 0 to where erfc underflows (M. M. Shepherd, J. G. Laframboise, 1981). Interpolated at Chebyshev points; errors
are a twentieth of an ulp in float32, half an ulp in float64.
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
BITS_OF_INVERSE_ROOT = 0x5FE6EB50C7B537A9
"""Minus half of a float64's bits, plus these, are the bits of 1 / √x within 3.5 % (C. Lomont, 2003)."""
SPLIT = {types.float32: 2.0**12 + 1, types.float64: 2.0**27 + 1}
"""Constants of Dekker's splitting (T. J. Dekker, 1971), which separates the upper half of a number's digits."""


@resolved_by_type(**INLINED)
def square_root(x):
    """Return √x for x ≥ 0, to within an ulp; infinity and NaN propagate.

    Float64 is computed by multiplication, because the divider, which computes roots as well, is busy with a division in
    all callers (docs/design/0069-one-divider.md).
    """
    if x == types.float32 or not FUSED:
        return lambda x: math.sqrt(x)

    def root_64(x):
        y = np.int64(np.int64(BITS_OF_INVERSE_ROOT) - (x.view(np.int64) >> np.int64(1))).view(np.float64)
        for _ in range(2):  # each step cubes the error of y, and triples its digits
            lost = 1.0 - (x * y) * y
            y += (y * lost) * (0.375 * lost + 0.5)
        root = x * y
        root += (0.5 * y) * (x - root * root)
        return root if x < math.inf else x

    return root_64


@resolved_by_type(**INLINED)
def tanh(x):
    """Return tanh(x), accurate also near 0: t / (t + 2) with t = exp(2 x) - 1."""
    if x == types.float32:

        def tanh_32(x):
            n, p = _reduce_32(_within(x + x, np.float32(-30), np.float32(30)))
            power = _power_32(n)
            t = power * p + (power - np.float32(1))
            return t / (t + np.float32(2))

        return tanh_32

    def tanh_64(x):
        n, p, q = _reduce_64(_within(x + x, -60.0, 60.0))
        power = _power_64(n)
        less, more = power - 1.0, power + 1.0
        return (less * q + more * p) / (more * q + less * p)

    return tanh_64


@resolved_by_type(**INLINED)
def logistic(x):
    """Return (1 / (1 + exp(-x)), 1 / (1 + exp(x))), both accurate also where they are tiny."""
    if x == types.float32:

        def logistic_32(x):
            n, p = _reduce_32(_within(-x, np.float32(-110), np.float32(110)))
            half = np.int32(n >> np.int32(1))
            a, b = _power_32(np.int32(-half)), (p + np.float32(1)) * _power_32(np.int32(n - half))
            scale = np.float32(1) / (a + b)
            return a * scale, b * scale

        return logistic_32

    def logistic_64(x):
        n, p, q = _reduce_64(_within(-x, -760.0, 760.0))
        half = n >> np.int64(1)
        a, b = (q - p) * _power_64(-half), (q + p) * _power_64(n - half)
        scale = 1.0 / (a + b)
        return a * scale, b * scale

    return logistic_64


@jit
def _within(x, low, high):
    """Clamp x; NaN propagates. Each line compiles to one instruction."""
    x = low if x < low else x
    return high if x > high else x


@jit
def _reduce_32(x):
    """Return (n, exp(r) - 1) for a float32 within the range of exp; for NaN, r is NaN and n undefined."""
    kind = np.float32
    shifted = x * kind(LOG2_E) + kind(WHOLE_NUMBERS_32)
    whole = shifted - kind(WHOLE_NUMBERS_32)
    r = (x - whole * kind(0.693359375)) + whole * kind(2.12194440e-4)
    p = kind(1.9875691500e-4)
    p = p * r + kind(1.3981999507e-3)
    p = p * r + kind(8.3334519073e-3)
    p = p * r + kind(4.1665795894e-2)
    p = p * r + kind(1.6666665459e-1)
    p = p * r + kind(5.0000001201e-1)
    return np.int32(shifted.view(np.int32) - np.int32(BITS_OF_WHOLE_NUMBERS_32)), p * r * r + r


@jit
def _reduce_64(x):
    """Return (n, p, q) with exp(r) = (q + p) / (q - p) for a float64: callers may merge the division with their own."""
    shifted = x * LOG2_E + WHOLE_NUMBERS
    whole = shifted - WHOLE_NUMBERS
    r = (x - whole * 6.93145751953125e-1) - whole * 1.42860682030941723212e-6
    square = r * r
    p = r * ((1.26177193074810590878e-4 * square + 3.02994407707441961300e-2) * square + 1.0)
    q = (3.00198505138664455042e-6 * square + 2.52448340349684104192e-3) * square + 2.27265548208155028766e-1
    return shifted.view(np.int64) - np.int64(BITS_OF_WHOLE_NUMBERS), p, q * square + 2.0


@jit
def _power_32(n):
    """Return 2ⁿ, for exponents of normal float32 numbers."""
    return np.int32((n + np.int32(127)) << np.int32(23)).view(np.float32)


@jit
def _power_64(n):
    return np.int64((n + np.int64(1023)) << np.int64(52)).view(np.float64)


@resolved_by_type(**INLINED)
def exp(x):
    """Return e to the power x."""
    if x == types.float32:

        def exp_32(x):
            # Two factors, because 2ⁿ alone overflows and underflows before exp(x) does.
            n, p = _reduce_32(_within(x, np.float32(-110), np.float32(89)))
            half = np.int32(n >> np.int32(1))
            return (p + np.float32(1)) * _power_32(half) * _power_32(np.int32(n - half))

        return exp_32

    def exp_64(x):
        n, p, q = _reduce_64(_within(x, -760.0, 710.0))
        half = n >> np.int64(1)
        return (2.0 * p / (q - p) + 1.0) * _power_64(half) * _power_64(n - half)

    return exp_64


@jit
def sine_and_cosine(x):
    """Return (sin x, cos x) of a float64 within ±LARGEST_ANGLE, accurate to about an ulp of 1."""
    first, second, third = HALF_PI
    whole = x * (2 / math.pi) + WHOLE_NUMBERS
    quarter = whole.view(np.int64)
    n = whole - WHOLE_NUMBERS
    r = ((x - n * first) - n * second) - n * third
    square = r * r
    sine = r + r * square * _polynomial(square, SINE_TERMS)
    cosine = 1.0 - 0.5 * square + square * square * _polynomial(square, COSINE_TERMS)
    if quarter & np.int64(1):
        sine, cosine = cosine, sine
    if quarter & np.int64(2):
        sine = -sine
    if (quarter + np.int64(1)) & np.int64(2):
        cosine = -cosine
    return sine, cosine


@resolved_by_type(**INLINED)
def expm1_of_negative(x):
    """Return exp(x) - 1 for x ≤ 0, accurate also near 0."""
    if x == types.float32:

        def expm1_32(x):
            n, p = _reduce_32(np.float32(-30) if x < np.float32(-30) else x)
            power = _power_32(n)
            return power * p + (power - np.float32(1))

        return expm1_32

    def expm1_64(x):
        n, p, q = _reduce_64(-60.0 if x < -60.0 else x)
        power = _power_64(n)
        return power * (2.0 * p / (q - p)) + (power - 1.0)

    return expm1_64


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
    lowest = kind(-87 if x == types.float32 else -708)

    def ratio_32(x):
        n, p = _reduce_32(x)
        return (p + kind(1)) * _power_32(n), kind(1)

    def ratio_64(x):
        n, p, q = _reduce_64(x)
        return (q + p) * _power_64(n), q - p

    ratio: Any = jit(ratio_32 if x == types.float32 else ratio_64)

    def log_and_shares(x):
        # exp(-x) = a / b; as in log1p_of_share, s = m / (2 + m), and both quotients have one divisor.
        a, b = ratio(_within(-x, lowest, kind(0)))
        half = a > kind(ROOT_2 - 1) * b
        upper, lower = (a - b, a + kind(3) * b) if half else (a, a + kind(2) * b)
        whole = a + b
        inverse = kind(1) / (lower * whole)
        share = lower * inverse
        log = (kind(LOG_2) if half else kind(0)) + _twice_atanh(upper * whole * inverse)
        return log, b * share, a * share

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


@jit
def erfc(x):
    """Return 1 - erf(x), accurate also where it is tiny."""
    return erfc_and_exp(x)[0]


@resolved_by_type(**INLINED)
def erfc_and_exp(x):
    """Return (1 - erf(x), exp(-x²)), both accurate also where they are tiny."""
    kind, farthest = (np.float32 if x == types.float32 else np.float64), ERFC_IS_ZERO[x]

    def erfc_of(x):
        size = kind(farthest) if abs(x) > kind(farthest) else abs(x)
        square, lost = _square(size)
        bell = exp(-square) * (kind(1) - lost)
        y = bell * _scaled_erfc(size)
        return (kind(2) - y if x < 0 else y), bell

    return erfc_of


@resolved_by_type(**INLINED)
def normal_tail(x):
    """Return (1 - erf(x / √2), exp(-x² / 2)), without the error that rounding x / √2 causes in the tail."""
    kind, farthest = (np.float32 if x == types.float32 else np.float64), ROOT_2 * ERFC_IS_ZERO[x]

    def tail_of(x):
        size = kind(farthest) if abs(x) > kind(farthest) else abs(x)
        square, lost = _square(size)
        bell = exp(kind(-0.5) * square) * (kind(1) - kind(0.5) * lost)
        y = bell * _scaled_erfc(size * kind(1 / ROOT_2))
        return (kind(2) - y if x < 0 else y), bell

    return tail_of


@resolved_by_type(**INLINED)
def _scaled_erfc(x):
    """Return exp(x²) (1 - erf(x)) for x ≥ 0."""
    kind = np.float32 if x == types.float32 else np.float64
    even, odd = ERFC_TERMS[x][::2], ERFC_TERMS[x][1::2]  # two short sums: a long one LLVM leaves as a loop

    def scaled(x):
        t = (x - kind(3)) / (x + kind(3))
        return (_polynomial(t * t, even) + t * _polynomial(t * t, odd)) / (kind(1) + x + x)

    return scaled


@resolved_by_type(**INLINED)
def erf(x):
    """Return 2 / √π times the integral of exp(-t²) from 0 to x."""
    kind, terms = (np.float32 if x == types.float32 else np.float64), ERF_TERMS[x]

    def erf_of(x):
        far = kind(1) - erfc(abs(x))
        return x * _polynomial(x * x, terms) if abs(x) <= kind(0.5) else (-far if x < 0 else far)

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


@jit
def _polynomial(x, terms):
    """Evaluate a polynomial by Horner's rule, highest power first."""
    kind = type(x)
    total = kind(terms[0])
    for term in terms[1:]:
        total = total * x + kind(term)
    return total
