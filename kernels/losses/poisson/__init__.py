"""Poisson loss: for counts t with expectation y.

Maths:    l_i = 1/K Σ_k y_ik - t_ik log(y_ik + ε), ε = 1e-7;  gradient = scale w_i 1/K (1 - t_ik / (y_ik + ε)).
          The term log t!, which does not depend on y, is omitted.
Shapes:   predictions y (B, K), targets t (B, K), weights w (B,) or None for all ones; the gradient has the shape of y.
          All in the dtype of y.
Units:    nats; y and t are counts.
Traffic:  reads y, t, w; writes the gradient: 3 B K + B numbers.
Errors:   an expectation below 0 gives NaN, as it has no logarithm. Targets must not be negative; the
          caller checks.
Accuracy: a row's sum in the dtype of y, the sum over rows in float64.
Source:   S. D. Poisson, 1837; ε as in Keras; it keeps the loss finite at y = 0.
"""

FORMULA = "y - t * log(y + 1e-7)"
REDUCTION = "mean"
SCORES = "not negative"
OUTPUTS = "values"
TAKES_LABELS = False
TARGET_RANGE = "not negative"
