"""Step: the binary threshold of the perceptron.

Maths:    y = 1 where x > 0, else 0;  dy/dx = 0
Shapes:   x, y of any shape, float32 or float64; the result has x's shape and dtype.
Units:    none.
Traffic:  forward reads x and writes y; backward reads dy and the output and writes dx.
Errors:   none; NaN is not above 0, so it gives 0.
Accuracy: exact.
Source:   F. Rosenblatt, 1958
"""

SAVES = "output"
NUMPY = ("(x > 0).astype(x.dtype)",)
