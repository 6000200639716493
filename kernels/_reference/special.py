"""erf and erfc, which NumPy and the array-API standard lack.

NumPy arrays are evaluated with tables of Taylor series, `EXPANSIONS`; CuPy arrays by CuPy. An array of another library
makes a round trip through the host, so a backend for such a library overrides the operations that need erf where speed
matters.

Accuracy: 2 ulp of the result over the whole range of the dtype. Results are bitwise identical on every machine: the
          tables are computed in decimal arithmetic and rounded once, and the evaluation uses only single additions and
          multiplications.
"""

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnnkit.kernels.array import Array, Namespace

if TYPE_CHECKING:
    from decimal import Decimal

PER_UNIT = 256
"""Points of expansion per unit of x."""
BLOCK = 8192
"""Elements per block, small enough for the temporaries to stay in the cache."""


class Expansion(NamedTuple):
    """Range in which a function is expanded, and the degree of its series."""

    degree: int
    lowest: int
    highest: int
    """Outside [lowest, highest] the function equals its limit, rounded to the dtype."""


EXPANSIONS = {
    ("erf", "float32"): Expansion(4, -4, 4),
    ("erf", "float64"): Expansion(9, -6, 6),
    ("erfc", "float32"): Expansion(4, -4, 11),
    ("erfc", "float64"): Expansion(9, -6, 28),
}
"""The first omitted term is below a tenth of an ulp, except for a float64 near 27, where it is half an ulp."""


def erf(x: Array, xp: Namespace = np) -> Array:
    """Return the error function, 2 / √π ∫ exp(-t²) dt from 0 to x."""
    return _special("erf", x, xp)


def erfc(x: Array, xp: Namespace = np) -> Array:
    """Return the complementary error function, 1 - erf(x), accurate also where it is tiny."""
    return _special("erfc", x, xp)


def _special(name: str, x: Array, xp: Namespace) -> Array:
    own = getattr(xp, name, None)  # the namespace has more than the standard
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
    with np.errstate(invalid="ignore"):  # NaN has no place in the table; the result is NaN all the same
        for start in range(0, flat.size, BLOCK):
            _expand(name, flat[start : start + BLOCK], y[start : start + BLOCK])
    return y.reshape(x.shape).astype(dtype, copy=False)[()]


def _expand(name: str, x: NDArray[Any], y: NDArray[Any]) -> None:
    """Evaluate the series about the point nearest to x, by Horner's rule."""
    terms = _series(name, str(x.dtype))
    _, lowest, highest = EXPANSIONS[name, str(x.dtype)]
    offset = np.minimum(np.maximum(x, lowest), highest)
    offset *= PER_UNIT
    nearest = np.rint(offset)
    offset -= nearest
    nearest -= lowest * PER_UNIT
    point = nearest.astype(np.intp)
    term = nearest  # reuses memory that is no longer needed
    terms[-1].take(point, out=y, mode="clip")  # mode="clip" writes to `out` without a buffer
    for each in terms[-2::-1]:
        y *= offset
        y += each.take(point, out=term, mode="clip")


@cache
def _series(name: str, dtype: str) -> list[NDArray[Any]]:
    """Return the coefficients at every point, grouped by power, for x in units of the distance between points."""
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
    for m in range(degree - 1):  # both functions satisfy y'' = -2 x y'
        slope = (m + 1) * x * terms[m + 1] + m * step * terms[m]
        terms.append(-2 * step * slope / ((m + 2) * (m + 1)))
    return [term.astype(dtype) for term in terms]


def _points(highest: int) -> tuple[list["Decimal"], list["Decimal"]]:
    """Return erfc and 2 / √π exp(-x²) at x = 0, 1 / PER_UNIT, ..., highest, correct to every digit of a float64.

    The recurrence runs downwards from the highest point: erfc only grows, so its relative error cannot.
    """
    from decimal import Context, Decimal, localcontext  # imported late: only the tables need it

    with localcontext(Context(prec=30)):
        x, step = Decimal(highest), 1 / Decimal(PER_UNIT)
        value, bell = _far_out(x)
        shrink = (-step * step).exp()
        growth, shrink_twice = (2 * x * step).exp() * shrink, shrink * shrink
        values, bells = [value], [bell]
        for _ in range(highest * PER_UNIT):
            before, term = Decimal(0), bell * step  # the Taylor series of erfc(x - step); all its terms are positive
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
    """Return erfc(x) by its continued fraction, exact for x ≥ 3, and 2 / √π exp(-x²)."""
    from decimal import Decimal

    bell = 2 * (-x * x).exp() / Decimal("3.14159265358979323846264338327950288").sqrt()
    fraction = x
    for k in range(200, 0, -1):
        fraction = x + Decimal(k) / 2 / fraction
    return bell / 2 / fraction, bell
