"""Tanh: the hyperbolic tangent.

Maths:    y = tanh(x);  dy/dx = 1 - y²
Shapes:   x, y of any shape, float32 or float64; the result has x's shape and dtype.
Units:    none.
Traffic:  forward reads x and writes y; backward reads dy and the output and writes dx.
Errors:   none; NaN in gives NaN out.
Accuracy: a few ulp, also of a tiny derivative at x.
Source:   Y. LeCun et al., Efficient BackProp, 1998
"""

SAVES = "output"
NUMPY = ("np.tanh(x)",)
