"""SELU: the self-normalizing exponential linear unit.

Maths:    y = s x where x > 0, else s a (exp(x) - 1);  dy/dx = s where x > 0, else s a exp(x) = y + s a
Shapes:   x, y of any shape, float32 or float64; the result has x's shape and dtype.
Units:    none.
Traffic:  forward reads x and writes y; backward reads dy and the output and writes dx.
Errors:   none; NaN in gives NaN out.
Accuracy: a few ulp.
Source:   G. Klambauer et al., NeurIPS 2017; s = 1.0507..., a = 1.6732... from its appendix
"""

SAVES = "output"
NUMPY = ("1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0)))",)
