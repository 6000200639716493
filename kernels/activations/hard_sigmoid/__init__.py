"""Hard sigmoid: the piecewise linear sigmoid.

Maths:    y = clip(x / 6 + ½, 0, 1);  dy/dx = 1/6 where 0 < y < 1, else 0
Shapes:   x, y of any shape, float32 or float64; the result has x's shape and dtype.
Units:    none.
Traffic:  forward reads x and writes y; backward reads dy and the output and writes dx.
Errors:   none; NaN in gives NaN out.
Accuracy: one rounding.
Source:   M. Courbariaux et al., NeurIPS 2015; slope 1/6 from A. Howard et al., ICCV 2019
"""

SAVES = "output"
NUMPY = ("np.clip(x / 6 + 0.5, 0, 1)",)
