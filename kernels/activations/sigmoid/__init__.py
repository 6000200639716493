"""Sigmoid: the logistic function.

Maths:    y = 1 / (1 + exp(-x));  dy/dx = y (1 - y)
Shapes:   x, y of any shape, float32 or float64; the result has x's shape and dtype.
Units:    none.
Traffic:  forward reads x and writes y; backward reads dy and the output and writes dx.
Errors:   none; NaN in gives NaN out.
Accuracy: a few ulp for every x: exp is only computed of -|x|, so nothing overflows at ±1e4.
Source:   P.-F. Verhulst, 1838; the two-sided form is the usual stable one (e.g. N. J. Higham, 2002, ch. 1)
"""

SAVES = "output"
NUMPY = ("np.exp(-np.logaddexp(0, -x))",)
