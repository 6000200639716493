"""Linear: the identity, for an output layer without activation.

Maths:    y = x;  dy/dx = 1
Shapes:   x, y of any shape, float32 or float64; the result has x's shape and dtype.
Units:    none.
Traffic:  forward reads x and writes y; backward reads dy and the output and writes dx.
Errors:   none; NaN in gives NaN out.
Accuracy: exact.
Source:   -
"""

SAVES = "output"
NUMPY = ()
