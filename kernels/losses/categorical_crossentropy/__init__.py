"""Categorical cross-entropy on probabilities: used when the last layer is not a softmax that can be fused.

Maths:    p = max(y, ε), ε = 1e-7;  l_i = -Σ_k t_ik log p_ik;
          gradient = -scale w_i t_ik / p_ik where y_ik > ε, else 0
Shapes:   predictions y (B, C); targets t (B, C), or class labels (B,) in place of one-hot rows;
          weights w (B,) or None; the gradient has the shape of y.
          All but labels in the dtype of y.
Units:    nats.
Traffic:  reads y, t, w; writes the gradient: 3 B C + B numbers.
Errors:   labels must be in [0, C); the caller checks. Probabilities below ε are clipped, so the loss stays
          finite, and have gradient 0, the derivative of the clipped function.
Accuracy: a few ulp of the logarithm.
Source:   I. J. Good, 1952; clipping as in Keras.
"""

OVER_OUTPUTS = "sum"
REDUCTION = "mean"
SCORES = "probabilities"
OUTPUTS = "categorical"
TAKES_LABELS = True
