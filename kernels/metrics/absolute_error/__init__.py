"""Absolute error: mean distance of a row's predictions from its targets.

Maths:    m_i = 1/K Σ_k |y_ik - t_ik|
Shapes:   predictions y (B, K); targets t: rows (B, K), or labels (B,) as one-hot rows; m (B,).
Units:    that of the targets.
Traffic:  reads y and t.
Errors:   none.
Accuracy: differences and sums are in float64.
Source:   -
"""

READS = "predictions"
