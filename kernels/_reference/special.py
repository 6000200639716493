"""Special functions that the array-API standard lacks.

SciPy computes them, or CuPy where the array is CuPy's; another library's array makes a round trip through the host, so
a backend for such a library overrides the operations that need them where speed matters.
"""

from typing import Any

import numpy as np

from dnnkit.kernels.array import Array, Namespace


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
    from scipy import special  # imported here: costs more than all of dnnkit

    if isinstance(x, np.ndarray | np.generic):
        return getattr(special, name)(x)
    host: Any = np.asarray(x)
    return xp.asarray(getattr(special, name)(host), dtype=x.dtype)
