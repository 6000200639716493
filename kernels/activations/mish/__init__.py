"""Mish: x times the tanh of softplus.

Maths:    y = x tanh(log(1 + exp(x)));  dy/dx = t + x (1 - t²) σ(x), t = tanh(log(1 + exp(x)))
Shapes:   x, y of any shape, float32 or float64; the result has x's shape and dtype.
Units:    none.
Traffic:  forward reads x and writes y; backward reads dy and the input and writes dx.
Errors:   none; NaN in gives NaN out.
Accuracy: a few ulp of the larger term; finite at ±1e4: with z = exp(-|x|), t and 1 - t² are rational in z.
Source:   D. Misra, BMVC 2020
"""

SAVES = "input"
NUMPY = ("x * np.tanh(np.logaddexp(0, x))",)
