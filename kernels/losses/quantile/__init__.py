"""Quantile loss, or pinball loss: its expectation is minimal at the quantile q of the targets' distribution.

Maths:    l_i = 1/K Σ_k q (t_ik - y_ik) where y < t, else (1 - q) (y_ik - t_ik);
          gradient = scale w_i 1/K (-q where y < t, else 1 - q)
Shapes:   predictions y (B, K), targets t (B, K), weights w (B,) or None for all ones; the gradient has the shape of y.
          All in the dtype of y.
Units:    that of the targets.
Traffic:  reads y, t, w; writes the gradient: 3 B K + B numbers.
Errors:   none; q must be between 0 and 1, which the caller checks.
Accuracy: a row's sum in the dtype of y, the sum over rows in float64.
Source:   R. Koenker, G. Bassett, Econometrica 46, 1978.
"""

FORMULA = "where(y < t, quantile * (t - y), (1 - quantile) * (y - t))"
PARAMETERS = {"quantile": 0.5}
REDUCTION = "mean"
SCORES = "values"
OUTPUTS = "values"
TAKES_LABELS = False
