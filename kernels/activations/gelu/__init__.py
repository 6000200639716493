"""GELU: the Gaussian error linear unit, exact.

Maths:    y = x Φ(x), Φ(x) = ½ (1 + erf(x / √2));  dy/dx = Φ(x) + x φ(x)
Shapes:   x, y of any shape, float32 or float64; the result has x's shape and dtype.
Units:    none.
Traffic:  forward reads x and writes y; backward reads dy and the input and writes dx.
Errors:   none; NaN in gives NaN out.
Accuracy: a few ulp times 1 + x² for negative x, where rounding x / √2 moves the tail of Φ; absolute error below 1 ulp.
Source:   D. Hendrycks, K. Gimpel, arXiv:1606.08415
"""

SAVES = "input"
NUMPY = ("0.5 * x * np.vectorize(math.erfc, otypes=[x.dtype])(-x / 2**0.5)",)
