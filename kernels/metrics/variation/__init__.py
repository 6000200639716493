"""Variation: per output, the sums from which the coefficient of determination is computed.

Maths:    Σ w_i t_ik, Σ w_i t_ik², Σ w_i (y_ik - t_ik)²
Shapes:   predictions y (B, K); targets t: rows (B, K), or labels (B,) as one-hot rows; weights w (B,); sums (3 K,): the
          first sum of all outputs, then the second, then the third.
Units:    that of the targets, and its square.
Traffic:  reads y, t and w.
Errors:   none.
Accuracy: all in float64. The variance computed from the sums, Σ t²/n - (Σ t/n)², has a relative error of 10⁻¹⁶ (mean /
          standard deviation)²: 10⁻⁸ if the mean is 10⁴ times the standard deviation.
Source:   -
"""

READS = "predictions"


def count(outputs: int) -> int:
    """Return the number of sums: three per output."""
    return 3 * outputs
