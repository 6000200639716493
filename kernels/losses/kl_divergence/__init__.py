"""Kullback-Leibler divergence: of the predicted class distribution from the true one.

Maths:    l_i = Σ_k t_ik log(t_ik / p_ik), 0 where t_ik = 0; p = max(y, ε), ε = 1e-7;
          gradient = -scale w_i t_ik / p_ik where y_ik > ε, else 0
Shapes:   predictions y (B, C), targets t (B, C), weights w (B,) or None for all ones; the gradient has the shape of y.
          All in the dtype of y.
Units:    nats.
Traffic:  reads y, t, w; writes the gradient: 3 B K + B numbers.
Errors:   probabilities below ε are clipped, so the loss stays finite, and have gradient 0, the derivative of the
          clipped function. A target of 0 contributes 0 (Keras clips targets to ε, too, an error of 1e-6).
Accuracy: a row's sum in the dtype of y, the sum over rows in float64.
Source:   S. Kullback, R. A. Leibler, Ann. Math. Statist. 22, 1951; clipping as in Keras.
"""

FORMULA = "t * log(max(t, 1e-30) / max(y, 1e-7))"
OVER_OUTPUTS = "sum"
REDUCTION = "mean"
SCORES = "probabilities"
OUTPUTS = "categorical"
TAKES_LABELS = False
TARGET_RANGE = "not negative"
