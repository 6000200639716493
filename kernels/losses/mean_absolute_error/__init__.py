"""Mean absolute error: the average over a row's outputs, then over rows.

Maths:    l_i = 1/K Σ_k |y_ik - t_ik|;  gradient = scale w_i 1/K sign(y_ik - t_ik), 0 if they are equal
Shapes:   predictions y (B, K), targets t (B, K), weights w (B,) or None for all ones; the gradient has the shape of y.
          All in the dtype of y.
Units:    that of the targets.
Traffic:  reads y, t, w; writes the gradient: 3 B K + B numbers.
Errors:   none.
Accuracy: a row's sum in the dtype of y, the sum over rows in float64.
Source:   R. J. Boscovich, 1757; P.-S. Laplace, 1774.
"""

FORMULA = "abs(y - t)"
REDUCTION = "mean"
SCORES = "values"
OUTPUTS = "values"
TAKES_LABELS = False
