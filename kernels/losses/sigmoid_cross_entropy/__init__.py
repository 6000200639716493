"""Sigmoid and binary cross-entropy in one pass, on logits.

Maths:    l_i = 1/K Σ_k max(z, 0) - z t + log(1 + exp(-|z|));  gradient = scale w_i 1/K (σ(z) - t)
Shapes:   logits z (B, K), targets t (B, K) in [0, 1], weights w (B,) or None; the gradient has the shape of z.
          All in the dtype of z.
Units:    nats.
Traffic:  reads z, t, w; writes the gradient: 3 B K + B numbers.
Errors:   none.
Accuracy: finite and a few ulp of the largest term for finite logits, ±1e4 included.
Source:   D. R. Cox, 1958; the stable form as in TensorFlow's sigmoid_cross_entropy_with_logits documentation.
"""

REDUCTION = "mean"
SCORES = "logits"
OUTPUTS = "binary"
TAKES_LABELS = False
AT_ONCE = True
