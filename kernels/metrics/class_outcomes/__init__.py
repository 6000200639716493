"""Class outcomes: per class, the numbers of true positives, of predictions and of labels.

Maths:    Σ w_i [p_i = k and label_i = k], Σ w_i [p_i = k], Σ w_i [label_i = k]; p_i = argmax_j z_ij, the first maximum
Shapes:   scores z (B, C); targets: labels (B,) or rows (B, C), whose largest entry is the label; weights w (B,); sums
          (3 C,): the true positives of all classes, then the predicted, then the actual members.
Units:    rows.
Traffic:  reads z, targets and w.
Errors:   none. Logits and probabilities have the same argmax; the threshold is not used.
Accuracy: weights are summed in float64.
Source:   -
"""


def count(outputs: int) -> int:
    """Return the number of sums: three per class."""
    return 3 * outputs
