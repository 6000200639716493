"""Categorical accuracy: whether the largest score of a row is that of its class.

Maths:    m_i = [argmax_k z_ik = label_i], the first maximum if several are equal
Shapes:   scores z (B, C); targets: labels (B,) or rows (B, C), whose largest entry is the label; m (B,).
Units:    rows.
Traffic:  reads z and targets.
Errors:   none. Logits and probabilities have the same argmax; the threshold is not used.
Accuracy: exact; the weighted sum over rows is in float64.
Source:   -
"""
