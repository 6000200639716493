"""Sum, maximum and minimum of a vector in eight lanes; a single accumulator would serialize on its latency.

A compiler may not do this itself: it changes the rounding of sums, and NaN must win a maximum.
"""

import numpy as np

from dnnkit.kernels._numba.jit import jit


@jit
def _itself(x, y, z):
    return x


@jit
def _product(x, y, z):
    return x * y


@jit
def _product_in_double(x, y, z):
    return np.float64(x) * np.float64(y)  # `float` would leave float32 as it is


@jit
def _product_where(x, y, z):
    return x * y if z > 0 else type(x)(0)


@jit
def sum_of(x):
    """Return Σ x of a vector."""
    return _in_lanes(_itself, x.dtype.type(0), x, x, x)


@jit
def sum_of_products(x, y):
    """Return Σ x y of two vectors."""
    return _in_lanes(_product, x.dtype.type(0), x, y, y)


@jit
def sum_of_products_in_double(x, y):
    """Return Σ x y of two vectors, in float64."""
    return _in_lanes(_product_in_double, 0.0, x, y, y)


@jit
def sum_of_products_where(x, y, z):
    """Return Σ x y of two vectors over the elements with z above 0."""
    return _in_lanes(_product_where, x.dtype.type(0), x, y, z)


@jit
def _in_lanes(term, zero, x, y, z):
    """Return Σ term(x, y, z), accumulated in the dtype of `zero`."""
    a, b, c, d, e, f, g, h = zero, zero, zero, zero, zero, zero, zero, zero
    whole = x.size - x.size % 8
    for i in range(0, whole, 8):
        a += term(x[i], y[i], z[i])
        b += term(x[i + 1], y[i + 1], z[i + 1])
        c += term(x[i + 2], y[i + 2], z[i + 2])
        d += term(x[i + 3], y[i + 3], z[i + 3])
        e += term(x[i + 4], y[i + 4], z[i + 4])
        f += term(x[i + 5], y[i + 5], z[i + 5])
        g += term(x[i + 6], y[i + 6], z[i + 6])
        h += term(x[i + 7], y[i + 7], z[i + 7])
    for i in range(whole, x.size):
        a += term(x[i], y[i], z[i])
    return ((a + b) + (c + d)) + ((e + f) + (g + h))


@jit
def _larger(x, y):
    return x if x > y or x != x else y


@jit
def _smaller(x, y):
    return x if x < y or x != x else y


@jit
def largest_of(x):
    """Return the maximum of a non-empty vector; NaN if any element is NaN."""
    return _chosen_in_lanes(_larger, x)


@jit
def smallest_of(x):
    """Return the minimum of a non-empty vector; NaN if any element is NaN."""
    return _chosen_in_lanes(_smaller, x)


@jit
def _chosen_in_lanes(choice, x):
    """Reduce a vector by `choice(x, y)`, which returns x or y."""
    a, b, c, d, e, f, g, h = x[0], x[0], x[0], x[0], x[0], x[0], x[0], x[0]
    whole = x.size - x.size % 8
    for i in range(0, whole, 8):
        a, b, c, d = choice(x[i], a), choice(x[i + 1], b), choice(x[i + 2], c), choice(x[i + 3], d)
        e, f, g, h = choice(x[i + 4], e), choice(x[i + 5], f), choice(x[i + 6], g), choice(x[i + 7], h)
    for i in range(whole, x.size):
        a = choice(x[i], a)
    return choice(choice(choice(a, b), choice(c, d)), choice(choice(e, f), choice(g, h)))
