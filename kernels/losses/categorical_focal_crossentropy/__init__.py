"""Categorical focal loss: on probabilities; what is right already counts less.

Maths:    p = clip(y, ε, 1 - ε), ε = 1e-7;  l_i = -α Σ_k t_ik (1 - p_ik)^γ log p_ik;
          gradient = scale w_i times its derivative where ε < y < 1 - ε, else 0
Shapes:   predictions y (B, C), targets t (B, C), weights w (B,) or None for all ones; the gradient is like y.
          All in the dtype of y.
Units:    nats; γ and α are numbers.
Traffic:  reads y, t, w; writes the gradient: 3 B K + B numbers.
Errors:   none: predictions outside [ε, 1 - ε] are clipped, so that no loss is infinite, and have gradient 0.
Accuracy: near 1 that of 1 - p.
Source:   T.-Y. Lin et al., ICCV 2017; ε and α as in Keras.
"""

FORMULA = "-alpha * t * (1 - clip(y, 1e-7, 1 - 1e-7))**gamma * log(clip(y, 1e-7, 1 - 1e-7))"
PARAMETERS = {"gamma": 2.0, "alpha": 0.25}
OVER_OUTPUTS = "sum"
REDUCTION = "mean"
SCORES = "probabilities"
OUTPUTS = "categorical"
TAKES_LABELS = False
