"""Binary accuracy: fraction of a row's outputs on the right side of the threshold.

Maths:    m_i = 1/K Σ_k [(z_ik > threshold) = (t_ik > ½)]
Shapes:   scores z (B, K); targets t: rows (B, K), or labels (B,) as one-hot rows; m (B,).
Units:    rows.
Traffic:  reads z and targets.
Errors:   none. For logits the threshold is 0, which is a probability of ½.
Accuracy: exact up to one division; the weighted sum over rows is in float64.
Source:   -
"""

HAS_THRESHOLD = True
