"""Squared hinge loss: for a decision value y whose sign is the predicted class, smooth at the margin.

Maths:    l_i = 1/K Σ_k max(0, 1 - s_ik y_ik)², s = 1 where t > ½, else -1;
          gradient = scale w_i 1/K (-2 s max(0, 1 - s y))
Shapes:   predictions y (B, K), targets t (B, K), weights w (B,) or None for all ones; the gradient has the shape of y.
          All in the dtype of y.
Units:    none.
Traffic:  reads y, t, w; writes the gradient: 3 B K + B numbers.
Errors:   targets must be 0 and 1, or -1 and 1; the caller checks.
Accuracy: a row's sum in the dtype of y, the sum over rows in float64.
Source:   C. Cortes, V. Vapnik, Machine Learning 20, 1995; 0 means -1, as in Keras.
"""

FORMULA = "max(1 - y * sign(t - 1/2), 0)**2"
REDUCTION = "mean"
SCORES = "logits"
OUTPUTS = "binary"
TAKES_LABELS = False
TARGET_RANGE = "signs"
