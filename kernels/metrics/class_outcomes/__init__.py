"""Class outcomes: of each class, how often it is predicted, how often it is the class, and how often both.

Maths:    Σ w_i [p_i = k and label_i = k], Σ w_i [p_i = k], Σ w_i [label_i = k]; p_i = argmax_j z_ij, the first maximum
Shapes:   scores z (B, C); targets: labels (B,) or rows (B, C), whose largest entry is the label; weights w (B,);
          sums (3 C,), the true positives of all classes, then what is predicted, then what is.
Units:    rows.
Traffic:  reads z, targets and w.
Errors:   none. Logits and probabilities have the same argmax; the threshold is not used.
Accuracy: sums of weights in float64.
Source:   -
"""


def count(outputs: int) -> int:
    """Three sums per class."""
    return 3 * outputs
