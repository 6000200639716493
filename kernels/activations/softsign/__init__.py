"""Softsign: a sigmoid with polynomial tails.

Maths:    y = x / (1 + |x|);  dy/dx = 1 / (1 + |x|)² = (1 - |y|)²
Shapes:   x, y of any shape, float32 or float64; the result has x's shape and dtype.
Units:    none.
Traffic:  forward reads x and writes y; backward reads dy and the input and writes dx.
Errors:   none; NaN in gives NaN out.
Accuracy: a few ulp from x; from y, 1 - |y| loses digits for large |x|, so the input is saved.
Source:   J. Bergstra et al., 2009; X. Glorot, Y. Bengio, AISTATS 2010
"""

SAVES = "input"
NUMPY = ("x / (1 + np.abs(x))",)
