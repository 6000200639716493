"""Variation: of each output, what the coefficient of determination is made of.

Maths:    Σ w_i t_ik, Σ w_i t_ik², Σ w_i (y_ik - t_ik)²
Shapes:   predictions y (B, K); targets t: rows (B, K), or labels (B,) as one-hot rows; weights w (B,); sums (3 K,),
          the first of all outputs, then the second, then the third.
Units:    those of the targets, and their square.
Traffic:  reads y, t and w.
Errors:   none.
Accuracy: all in float64. The variance that follows, Σ t²/n - (Σ t/n)², has a relative error of 10⁻¹⁶ (mean / standard
          deviation)²: 10⁻⁸ where the mean is 10⁴ times the deviation.
Source:   -
"""

READS = "predictions"


def count(outputs: int) -> int:
    """Three sums per output."""
    return 3 * outputs
