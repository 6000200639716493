"""ELU: the exponential linear unit, alpha = 1.

Maths:    y = x where x > 0, else exp(x) - 1;  dy/dx = 1 where x > 0, else exp(x) = y + 1
Shapes:   x, y of any shape, float32 or float64; the result has x's shape and dtype.
Units:    none.
Traffic:  forward reads x and writes y; backward reads dy and the output and writes dx.
Errors:   none; NaN in gives NaN out.
Accuracy: a few ulp; expm1 keeps small negative x exact.
Source:   D.-A. Clevert et al., ICLR 2016
"""

SAVES = "output"
NUMPY = ("np.where(x > 0, x, np.expm1(np.minimum(x, 0)))",)
