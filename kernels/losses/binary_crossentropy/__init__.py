"""Binary cross-entropy on probabilities: used when the last layer is not a sigmoid that the network can fuse.

Maths:    p = clip(y, ε, 1 - ε), ε = 1e-7;  l_i = -1/K Σ_k t log p + (1 - t) log(1 - p);
          gradient = scale w_i 1/K (p - t) / (p (1 - p)) where ε < y < 1 - ε, else 0
Shapes:   predictions y (B, K), targets t (B, K) in [0, 1], weights w (B,) or None; the gradient has the shape of y.
          All in the dtype of y.
Units:    nats.
Traffic:  reads y, t, w; writes the gradient: 3 B K + B numbers.
Errors:   none. Predictions outside [ε, 1 - ε] are clipped, so the loss stays finite, and have gradient 0,
          the derivative of the clipped function.
Accuracy: limited near 0 and 1 by the rounding of 1 - p; `sigmoid_cross_entropy`, on logits, is not.
Source:   I. J. Good, 1952; clipping as in Keras.
"""

REDUCTION = "mean"
SCORES = "probabilities"
OUTPUTS = "binary"
TAKES_LABELS = False
