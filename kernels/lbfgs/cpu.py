"""The direction of L-BFGS, in one function. Contract: the package's docstring.

Steps and changes are given by their addresses: each is an array of its own, so that none is moved when one is added.
"""

from dnnkit.kernels._numba.at_address import vector
from dnnkit.kernels._numba.jit import jit


@jit
def dot(a, b):
    """The scalar product of two flat arrays, float64."""
    total = 0.0
    for e in range(a.size):
        total += float(a[e]) * float(b[e])
    return total


@jit
def add_multiple(d, factor, x):
    """d + factor x, to d."""
    factor = d.dtype.type(factor)
    for e in range(d.size):
        d[e] += factor * x[e]


@jit
def direction(gradient, steps, changes, curvatures, shares, out):
    """-H times the gradient, to out, from pairs at these addresses, the oldest first; `shares` is scratch, (m,)."""
    count, pairs, zero = gradient.size, steps.size, gradient.dtype.type(0)
    for e in range(count):
        out[e] = -gradient[e]
    for pair in range(pairs - 1, -1, -1):
        shares[pair] = dot(vector(zero, steps[pair], count), out) / curvatures[pair]
        add_multiple(out, -shares[pair], vector(zero, changes[pair], count))
    if pairs > 0:
        newest = vector(zero, changes[pairs - 1], count)
        scale = gradient.dtype.type(curvatures[pairs - 1] / dot(newest, newest))
        for e in range(count):
            out[e] *= scale
    for pair in range(pairs):
        share = shares[pair] - dot(vector(zero, changes[pair], count), out) / curvatures[pair]
        add_multiple(out, share, vector(zero, steps[pair], count))
