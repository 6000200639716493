"""Binary focal loss: on probabilities; outputs that are already right count less.

Maths:    p = clip(y, ε, 1 - ε), ε = 1e-7;  m = t (1 - p) + (1 - t) p, the probability of being wrong;
          l_i = -1/K Σ_k m^γ (a t log p + b (1 - t) log(1 - p));  gradient = scale w_i times its derivative where
          ε < y < 1 - ε, else 0
Shapes:   predictions y (B, K), targets t (B, K), weights w (B,) or None for all ones; the gradient has the shape of y.
          All in the dtype of y.
Units:    nats; γ, a and b are numbers.
Traffic:  reads y, t, w; writes the gradient: 3 B K + B numbers.
Errors:   none. Predictions outside [ε, 1 - ε] are clipped, so the loss stays finite, and have gradient 0.
Accuracy: limited near 0 and 1 by the rounding of 1 - p; `sigmoid_focal_cross_entropy`, on logits, is not.
Source:   T.-Y. Lin et al., ICCV 2017; ε as in Keras. With balanced classes, `a` and `b` are α and 1 - α.
"""

FORMULA = (
    "(t * (1 - clip(y, 1e-7, 1 - 1e-7)) + (1 - t) * clip(y, 1e-7, 1 - 1e-7))**gamma *"
    "-(positive * t * log(clip(y, 1e-7, 1 - 1e-7))"
    "+ negative * (1 - t) * log1p(-clip(y, 1e-7, 1 - 1e-7)))"
)
PARAMETERS = {"gamma": 2.0, "positive": 1.0, "negative": 1.0}
REDUCTION = "mean"
SCORES = "probabilities"
OUTPUTS = "binary"
TAKES_LABELS = False
