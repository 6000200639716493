"""Score histogram: of each output, how its scores lie where the answer is no, and where it is yes.

Maths:    Σ w_i [bin(x_ik) = b] of the rows with t_ik <= ½, and of those with t_ik > ½
          x = z if the threshold is 0, else log(z / (1 - z)) of a probability z
          bin(x) = floor(16 x) + 256, at least 0 and at most 511; that of NaN is 0
Shapes:   scores z (B, K); targets t: rows (B, K), or labels (B,) as one-hot rows; weights w (B,); sums (2 K 512,): of
          all outputs where the answer is no, output by output, then of all where it is yes.
Units:    rows.
Traffic:  reads z, t and w.
Errors:   none.
Accuracy: sums of weights in float64. Bins are equally wide in log odds, so that they tell apart the small probabilities
          of rare events. A score at the edge of two bins may be in either, as its last bit is rounded.
Source:   -
"""

HAS_THRESHOLD = True

BINS, PER_UNIT = 512, 16
"""Bins, and how many lie in a unit of x."""


def count(outputs: int) -> int:
    """Two histograms per output."""
    return 2 * outputs * 512
