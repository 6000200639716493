"""Softmax and categorical cross-entropy in one pass, on logits.

Maths:    p = softmax(z);  l_i = -Σ_k t_ik log p_ik = Σ_k t_ik (log Σ_j exp(z_ij - m_i) - (z_ik - m_i)), m = max z;
          gradient = scale w_i (p_ik Σ_j t_ij - t_ik)
Shapes:   logits z (B, C); targets t (B, C), or class labels (B,) in place of one-hot rows;
          weights w (B,) or None; the gradient has the shape of z.
          All but labels in the dtype of z.
Units:    nats.
Traffic:  reads z, t, w; writes the gradient: 3 B C + B numbers (2 B C + 2 B with labels).
Errors:   labels must be in [0, C); the caller checks.
Accuracy: finite and a few ulp of the largest term for finite logits, ±1e4 included.
Source:   J. Bridle, NeurIPS 1989; the shift by the maximum as in P. Blanchard et al., IMA J. Numer. Anal. 41, 2021.
"""

OVER_OUTPUTS = "sum"
REDUCTION = "mean"
SCORES = "logits"
OUTPUTS = "categorical"
TAKES_LABELS = True
AT_ONCE = True
