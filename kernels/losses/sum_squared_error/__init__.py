"""Sum of squared errors: half the squared distance, summed over outputs and rows.

Maths:    l_i = ½ Σ_k (y_ik - t_ik)²;  loss sum = Σ_i w_i l_i;  gradient = scale w_i (y_ik - t_ik)
Shapes:   predictions y (B, K), targets t (B, K), weights w (B,) or None for all ones; the gradient has the shape of y.
          All in the dtype of y.
Units:    the square of the targets' unit.
Traffic:  reads y, t, w; writes the gradient: 3 B K + B numbers.
Errors:   none.
Accuracy: a row's sum in the dtype of y, the sum over rows in float64.
Source:   B. Widrow, M. Hoff, 1960 (the delta rule is its gradient); C. Bishop, PRML, 2006, eq. 5.11.
"""

OVER_OUTPUTS = "sum"
REDUCTION = "sum"
SCORES = "values"
OUTPUTS = "values"
TAKES_LABELS = False
