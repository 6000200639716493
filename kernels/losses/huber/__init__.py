"""Huber's loss: quadratic near the target, linear beyond the distance δ.

Maths:    l_i = 1/K Σ_k ½ d² where |d| ≤ δ, else δ (|d| - δ/2), d = y_ik - t_ik;
          gradient = scale w_i 1/K min(max(d, -δ), δ)
Shapes:   predictions y (B, K), targets t (B, K), weights w (B,) or None for all ones; the gradient has the shape of y.
          All in the dtype of y.
Units:    the square of the targets' unit; δ in the targets' unit.
Traffic:  reads y, t, w; writes the gradient: 3 B K + B numbers.
Errors:   none; δ must be above 0, which the caller checks.
Accuracy: a row's sum in the dtype of y, the sum over rows in float64.
Source:   P. J. Huber, Ann. Math. Statist. 35, 1964.
"""

FORMULA = "where(abs(y - t) <= delta, (y - t)**2 / 2, delta * (abs(y - t) - delta / 2))"
PARAMETERS = {"delta": 1.0}
REDUCTION = "mean"
SCORES = "values"
OUTPUTS = "values"
TAKES_LABELS = False
