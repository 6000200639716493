"""Binary cross-entropy on probabilities: for an output that is not a sigmoid known to the network.

Maths:    p = clip(y, ε, 1 - ε), ε = 1e-7;  l_i = -1/K Σ_k t log p + (1 - t) log(1 - p);
          gradient = scale w_i 1/K (p - t) / (p (1 - p)) where ε < y < 1 - ε, else 0
Shapes:   predictions y (B, K), targets t (B, K) in [0, 1], weights w (B,) or None; the gradient is like y.
          All in the dtype of y.
Units:    nats.
Traffic:  reads y, t, w; writes the gradient: 3 B K + B numbers.
Errors:   none: predictions outside [ε, 1 - ε] are clipped, so that no loss is infinite, and have gradient 0,
          the derivative of the clipped function.
Accuracy: near 0 and 1 that of 1 - p; `sigmoid_cross_entropy`, on logits, has no such limit.
Source:   I. J. Good, 1952; the clipping is that of Keras.
"""

REDUCTION = "mean"
SCORES = "probabilities"
OUTPUTS = "binary"
TAKES_LABELS = False
