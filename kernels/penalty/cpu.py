"""Weight penalties, element by element. Contract: the package's docstring."""

from dnnkit.kernels._numba.jit import jit


@jit
def penalty(w, l1, l2):
    """Return Σ l1 |w| + l2 w², in float64."""
    total = 0.0
    for e in range(w.size):
        total += l1[e] * abs(w[e]) + l2[e] * (w[e] * w[e])
    return total


@jit
def gradient(w, dw, l1, l2):
    """Add the penalty's gradient to dw."""
    for e in range(w.size):
        sign = dw.dtype.type(0)
        if w[e] > 0:
            sign = dw.dtype.type(1)
        elif w[e] < 0:
            sign = dw.dtype.type(-1)
        dw[e] += l1[e] * sign + dw.dtype.type(2) * l2[e] * w[e]
