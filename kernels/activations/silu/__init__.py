"""SiLU: the sigmoid linear unit, also called swish.

Maths:    y = x σ(x);  dy/dx = σ(x) (1 + x σ(-x))
Shapes:   x, y of any shape, float32 or float64; the result has x's shape and dtype.
Units:    none.
Traffic:  forward reads x and writes y; backward reads dy and the input and writes dx.
Errors:   none; NaN in gives NaN out.
Accuracy: a few ulp of the larger term; finite at ±1e4.
Source:   S. Elfwing et al., Neural Networks 107, 2018
"""

SAVES = "input"
NUMPY = ("x * np.exp(-np.logaddexp(0, -x))",)
