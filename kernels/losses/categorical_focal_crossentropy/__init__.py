"""Categorical focal loss: on probabilities; rows that are already right count less.

Maths:    p = clip(y, ε, 1 - ε), ε = 1e-7;  l_i = -α Σ_k t_ik (1 - p_ik)^γ log p_ik;
          gradient = scale w_i times its derivative where ε < y < 1 - ε, else 0
Shapes:   predictions y (B, C), targets t (B, C), weights w (B,) or None for all ones; the gradient has the shape of y.
          All in the dtype of y.
Units:    nats; γ and α are numbers.
Traffic:  reads y, t, w; writes the gradient: 3 B K + B numbers.
Errors:   none. Predictions outside [ε, 1 - ε] are clipped, so the loss stays finite, and have gradient 0.
Accuracy: limited near 1 by the rounding of 1 - p.
Source:   T.-Y. Lin et al., ICCV 2017; ε and α as in Keras.
"""

FORMULA = "-alpha * t * (1 - clip(y, 1e-7, 1 - 1e-7))**gamma * log(clip(y, 1e-7, 1 - 1e-7))"
PARAMETERS = {"gamma": 2.0, "alpha": 0.25}
OVER_OUTPUTS = "sum"
REDUCTION = "mean"
SCORES = "probabilities"
OUTPUTS = "categorical"
TAKES_LABELS = False
