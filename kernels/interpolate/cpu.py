"""Interpolation, element by element. Contract: the package's docstring."""

from dnnkit.kernels._numba.jit import jit


@jit
def interpolate(x, y, share, out):
    """Write (1 - share) x + share y to out, which may be x; all flat."""
    of_x, of_y = out.dtype.type(1 - share), out.dtype.type(share)
    for e in range(x.size):
        out[e] = of_x * x[e] + of_y * y[e]
