"""Leaky ReLU: a rectified linear unit that keeps a small slope.

Maths:    y = x where x > 0, else 0.01 x;  dy/dx = 1 where x > 0, else 0.01
Shapes:   x, y of any shape, float32 or float64; the result has x's shape and dtype.
Units:    none.
Traffic:  forward reads x and writes y; backward reads dy and the output and writes dx.
Errors:   none; NaN in gives NaN out.
Accuracy: exact up to one rounding.
Source:   A. Maas et al., ICML workshop 2013
"""

SAVES = "output"
NUMPY = ("np.where(x > 0, x, 0.01 * x)",)
