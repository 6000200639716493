"""Squared error: how far a row's predictions are from its targets, squared.

Maths:    m_i = 1/K Σ_k (y_ik - t_ik)²
Shapes:   predictions y (B, K); targets t: rows (B, K), or labels (B,) as one-hot rows; m (B,).
Units:    the square of the targets'.
Traffic:  reads y and t.
Errors:   none.
Accuracy: differences and sums are in float64.
Source:   -
"""

READS = "predictions"
