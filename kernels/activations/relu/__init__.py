"""ReLU: the rectified linear unit.

Maths:    y = max(x, 0);  dy/dx = 1 where x > 0, else 0 (also at 0)
Shapes:   x, y of any shape, float32 or float64; the result has x's shape and dtype.
Units:    none.
Traffic:  forward reads x and writes y; backward reads dy and the output and writes dx.
Errors:   none; NaN in gives NaN out.
Accuracy: exact.
Source:   V. Nair, G. Hinton, ICML 2010
"""

SAVES = "output"
NUMPY = ("np.maximum(x, 0)",)
