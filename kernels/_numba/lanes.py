"""Sums in eight lanes, which are then added: in a single one each summand waits for the one before.

A compiler may not do that by itself, for it rounds otherwise.
"""

from dnnkit.kernels._numba.jit import jit


@jit
def _itself(x, y, z):
    return x


@jit
def _product(x, y, z):
    return x * y


@jit
def _product_in_double(x, y, z):
    return float(x) * float(y)


@jit
def _product_where(x, y, z):
    return x * y if z > 0 else type(x)(0)


@jit
def sum_of(x):
    """Σ x of a vector."""
    return _in_lanes(_itself, x.dtype.type(0), x, x, x)


@jit
def sum_of_products(x, y):
    """Σ x y of two vectors."""
    return _in_lanes(_product, x.dtype.type(0), x, y, y)


@jit
def sum_of_products_in_double(x, y):
    """The same, float64."""
    return _in_lanes(_product_in_double, 0.0, x, y, y)


@jit
def sum_of_products_where(x, y, z):
    """Σ x y of two vectors, where z is above 0."""
    return _in_lanes(_product_where, x.dtype.type(0), x, y, z)


@jit
def _in_lanes(term, zero, x, y, z):
    """Σ term(x, y, z), summed up in the zero's dtype."""
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
