"""Sigmoid and binary focal loss: both in one pass, on logits; outputs that are already right count less.

Maths:    m = t σ(-z) + (1 - t) σ(z), the probability of being wrong, at least 1e-7;
          l_i = 1/K Σ_k m^γ (a t log(1 + exp(-z)) + b (1 - t) log(1 + exp(z)));
          gradient = scale w_i times its derivative
Shapes:   logits y (B, K), targets t (B, K), weights w (B,) or None for all ones; the gradient has the shape of y.
          All in the dtype of y.
Units:    nats; γ, a and b are numbers.
Traffic:  reads y, t, w; writes the gradient: 3 B K + B numbers.
Errors:   none.
Accuracy: finite for finite logits, ±1e4 included.
Source:   T.-Y. Lin et al., ICCV 2017. With balanced classes, `a` and `b` are α and 1 - α.
"""

FORMULA = (
    "max(t * sigmoid(-y) + (1 - t) * sigmoid(y), 1e-7)**gamma"
    "* (positive * t * softplus(-y) + negative * (1 - t) * softplus(y))"
)
PARAMETERS = {"gamma": 2.0, "positive": 1.0, "negative": 1.0}
REDUCTION = "mean"
SCORES = "logits"
OUTPUTS = "binary"
TAKES_LABELS = False
