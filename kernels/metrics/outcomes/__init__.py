"""Outcomes: per output, the numbers of true positives, of predicted and of actual positives.

Maths:    Σ w_i [p_ik and a_ik], Σ w_i [p_ik], Σ w_i [a_ik]; p_ik = [z_ik > threshold], a_ik = [t_ik > ½]
Shapes:   scores z (B, K); targets t: rows (B, K), or labels (B,) as one-hot rows; weights w (B,); sums (3 K,): the true
          positives of all outputs, then the predicted, then the actual positives.
Units:    rows.
Traffic:  reads z, t and w.
Errors:   none. For logits the threshold is 0, which is a probability of ½.
Accuracy: weights are summed in float64.
Source:   -
"""

HAS_THRESHOLD = True


def count(outputs: int) -> int:
    """Return the number of sums: three per output."""
    return 3 * outputs
