"""Mean squared error: the average over a row's outputs, then over rows.

Maths:    l_i = 1/K Σ_k (y_ik - t_ik)²;  loss sum = Σ_i w_i l_i;  gradient = scale w_i 2/K (y_ik - t_ik)
Shapes:   predictions y (B, K), targets t (B, K), weights w (B,) or None for all ones; the gradient has the shape of y.
          All in the dtype of y.
Units:    the square of the targets' unit.
Traffic:  reads y, t, w; writes the gradient: 3 B K + B numbers.
Errors:   none.
Accuracy: a row's sum in the dtype of y, the sum over rows in float64.
Source:   A.-M. Legendre, 1805.
"""

REDUCTION = "mean"
SCORES = "values"
OUTPUTS = "values"
TAKES_LABELS = False
AT_ONCE = True
