"""Softplus: a smooth ReLU.

Maths:    y = log(1 + exp(x));  dy/dx = σ(x) = 1 - exp(-y)
Shapes:   x, y of any shape, float32 or float64; the result has x's shape and dtype.
Units:    none.
Traffic:  forward reads x and writes y; backward reads dy and the output and writes dx.
Errors:   none; NaN in gives NaN out.
Accuracy: a few ulp, also where y is tiny; finite at ±1e4.
Source:   C. Dugas et al., NeurIPS 2000
"""

SAVES = "output"
NUMPY = ("np.logaddexp(0, x)",)
