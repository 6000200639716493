"""Special functions that the array-API standard lacks."""

from typing import Any

import numpy as np

from dnnkit.kernels.array import Array, Namespace


def erfc(x: Array, xp: Namespace = np) -> Array:
    """Complementary error function, 1 - erf(x), accurate also where it is tiny.

    SciPy computes it, or CuPy where the array is CuPy's; another library's array makes a round trip through the host,
    so a backend for such a library overrides the operations that need it where speed matters.
    """
    if xp.__name__ == "cupy":
        from cupyx.scipy.special import erfc as cupy_erfc

        return cupy_erfc(x)
    from scipy.special import erfc as scipy_erfc  # imported here: costs more than all of dnnkit

    if isinstance(x, np.ndarray | np.generic):
        return scipy_erfc(x)
    host: Any = np.asarray(x)
    return xp.asarray(scipy_erfc(host), dtype=x.dtype)
