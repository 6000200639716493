"""erf and erfc, which NumPy and the array-API standard lack.

An array of NumPy's goes through tables of Taylor series, `EXPANSIONS`; one of CuPy's to CuPy. Another library's array
makes a round trip through the host, so a backend for such a library overrides the operations that need them where
speed matters.

Accuracy: 2 ulp of the result, from the largest number to the smallest. The same bits on every machine: tables are made
with decimal arithmetic and rounded once, and what comes after are single additions and products.
"""

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnnkit.kernels.array import Array, Namespace

if TYPE_CHECKING:
    from decimal import Decimal

PER_UNIT = 256
"""Points of expansion between x and x + 1."""
BLOCK = 8192
"""Elements at a time: the few arrays that they pass through stay in the cache."""


class Expansion(NamedTuple):
    """Where a function is expanded, and how far its series go."""

    degree: int
    lowest: int
    highest: int
    """Beyond both, the function has its limit, rounded to the dtype."""


EXPANSIONS = {
    ("erf", "float32"): Expansion(4, -4, 4),
    ("erf", "float64"): Expansion(9, -6, 6),
    ("erfc", "float32"): Expansion(4, -4, 11),
    ("erfc", "float64"): Expansion(9, -6, 28),
}
"""The first term left out is below a tenth of an ulp, but for a float64 near 27, where it is half of one."""


def erf(x: Array, xp: Namespace = np) -> Array:
    """Error function, 2 / √π ∫ exp(-t²) from 0 to x."""
    return _special("erf", x, xp)


def erfc(x: Array, xp: Namespace = np) -> Array:
    """Complementary error function, 1 - erf(x), accurate also where it is tiny."""
    return _special("erfc", x, xp)


def _special(name: str, x: Array, xp: Namespace) -> Array:
    own = getattr(xp, name, None)  # of a namespace that has more than the standard
    if own is not None:
        return own(x)
    if xp.__name__ == "cupy":
        from cupyx.scipy import special as cupy_special

        return getattr(cupy_special, name)(x)
    if isinstance(x, np.ndarray | np.generic):
        return _of_numpy(name, x)
    host: Any = np.asarray(x)
    return xp.asarray(_of_numpy(name, host), dtype=x.dtype)


def _of_numpy(name: str, x: Any) -> Any:
    dtype = x.dtype if x.dtype in (np.float32, np.float64) else np.result_type(x.dtype, np.float32)
    computed = np.dtype(np.float32 if dtype == np.float32 else np.float64)
    flat = np.asarray(x, computed).reshape(-1)
    y = np.empty_like(flat)
    with np.errstate(invalid="ignore"):  # of NaN, which has no place in the table; NaN comes of it all the same
        for start in range(0, flat.size, BLOCK):
            _expand(name, flat[start : start + BLOCK], y[start : start + BLOCK])
    return y.reshape(x.shape).astype(dtype, copy=False)[()]


def _expand(name: str, x: NDArray[Any], y: NDArray[Any]) -> None:
    """The series about the point next to x, by Horner's rule."""
    terms = _series(name, str(x.dtype))
    _, lowest, highest = EXPANSIONS[name, str(x.dtype)]
    offset = np.minimum(np.maximum(x, lowest), highest)
    offset *= PER_UNIT
    nearest = np.rint(offset)
    offset -= nearest
    nearest -= lowest * PER_UNIT
    point = nearest.astype(np.intp)
    term = nearest  # whose memory is free now
    terms[-1].take(point, out=y, mode="clip")  # which writes to `out` without a buffer
    for each in terms[-2::-1]:
        y *= offset
        y += each.take(point, out=term, mode="clip")


@cache
def _series(name: str, dtype: str) -> list[NDArray[Any]]:
    """The coefficients at every point, those of each power together; for x in units of the distance of two points."""
    degree, lowest, highest = EXPANSIONS[name, dtype]
    values, bells = _points(highest)
    points = np.arange(lowest * PER_UNIT, highest * PER_UNIT + 1)
    if name == "erf":
        constant = [float(1 - values[k] if k >= 0 else values[-k] - 1) for k in points.tolist()]
    else:
        constant = [float(values[k] if k >= 0 else 2 - values[-k]) for k in points.tolist()]
    step, x = 1 / PER_UNIT, points / PER_UNIT
    sign = 1.0 if name == "erf" else -1.0
    terms = [np.array(constant), np.array([sign * float(bells[abs(k)]) for k in points.tolist()]) * step]
    for m in range(degree - 1):  # both functions solve y'' = -2 x y'
        slope = (m + 1) * x * terms[m + 1] + m * step * terms[m]
        terms.append(-2 * step * slope / ((m + 2) * (m + 1)))
    return [term.astype(dtype) for term in terms]


def _points(highest: int) -> tuple[list["Decimal"], list["Decimal"]]:
    """erfc and 2 / √π exp(-x²) for x = 0, 1 / PER_UNIT, ..., highest; every digit of a float64 is right.

    From the highest down, so that erfc only grows: its relative error cannot.
    """
    from decimal import Context, Decimal, localcontext  # imported here: only tables need it

    with localcontext(Context(prec=30)):
        x, step = Decimal(highest), 1 / Decimal(PER_UNIT)
        value, bell = _far_out(x)
        shrink = (-step * step).exp()
        growth, shrink_twice = (2 * x * step).exp() * shrink, shrink * shrink
        values, bells = [value], [bell]
        for _ in range(highest * PER_UNIT):
            before, term = Decimal(0), bell * step  # the Taylor series of erfc(x - step), all of whose terms add up
            m, smallest = 0, value.scaleb(-27)
            while abs(term) > smallest or m < 2:
                value += term
                before, term = term, 2 * step * (x * (m + 1) * term - step * m * before) / ((m + 2) * (m + 1))
                m += 1
            bell *= growth
            growth *= shrink_twice
            x -= step
            values.append(value)
            bells.append(bell)
        values[-1] = Decimal(1)
    return values[::-1], bells[::-1]


def _far_out(x: "Decimal") -> tuple["Decimal", "Decimal"]:
    """erfc(x) by its continued fraction, which is exact from x = 3 on, and 2 / √π exp(-x²)."""
    from decimal import Decimal

    bell = 2 * (-x * x).exp() / Decimal("3.14159265358979323846264338327950288").sqrt()
    fraction = x
    for k in range(200, 0, -1):
        fraction = x + Decimal(k) / 2 / fraction
    return bell / 2 / fraction, bell
