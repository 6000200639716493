"""Outcomes: of each output, how often it says yes, how often it should, and how often both.

Maths:    Σ w_i [p_ik and a_ik], Σ w_i [p_ik], Σ w_i [a_ik]; p_ik = [z_ik > threshold], a_ik = [t_ik > ½]
Shapes:   scores z (B, K); targets t: rows (B, K), or labels (B,) as one-hot rows; weights w (B,); sums (3 K,), the true
          positives of all outputs, then what they predict, then what is.
Units:    rows.
Traffic:  reads z, t and w.
Errors:   none. For logits the threshold ½ of their probabilities is 0.
Accuracy: sums of weights in float64.
Source:   -
"""

HAS_THRESHOLD = True


def count(outputs: int) -> int:
    """Three sums per output."""
    return 3 * outputs
