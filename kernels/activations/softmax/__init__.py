"""Softmax: probabilities from scores, along the last axis.

Maths:    y_i = exp(x_i - m) / Σ_k exp(x_k - m), m = max x;  dx = y (dy - Σ_k y_k dy_k)
Shapes:   x, y (..., C), C at least 1, float32 or float64; the result has x's shape and dtype.
Units:    none.
Traffic:  forward reads x and writes y; backward reads dy and the output and writes dx.
Errors:   none; NaN in gives NaN out.
Accuracy: a few ulp times 1 + |x_i - m|, from rounding x_i - m; finite for finite x: exp is only taken of numbers ≤ 0.
Source:   J. Bridle, NeurIPS 1989
"""

SAVES = "output"
ELEMENTWISE = False
NUMPY = ("np.exp(x - x.max(axis=-1, keepdims=True))", "x / x.sum(axis=-1, keepdims=True)")
