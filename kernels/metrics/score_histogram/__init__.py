"""Score histogram: per output, the distributions of its scores for negative and for positive targets.

Maths:    Σ w_i [bin(x_ik) = b] over the rows with t_ik <= ½, and over those with t_ik > ½
          x = z if the threshold is 0, else log(z / (1 - z)) of a probability z
          bin(x) = floor(16 x) + 256, clamped to [0, 511]; that of NaN is 0
Shapes:   scores z (B, K); targets t: rows (B, K), or labels (B,) as one-hot rows; weights w (B,); sums (2 K 512,): the
          histograms of the negatives, output by output, then those of the positives.
Units:    rows.
Traffic:  reads z, t and w.
Errors:   none.
Accuracy: weights are summed in float64. Bins have equal widths in log odds, which resolves the small probabilities of
          rare events. A score at the edge of two bins may fall in either, because its last bit is rounded.
Source:   -
"""

HAS_THRESHOLD = True

BINS, PER_UNIT = 512, 16
"""Number of bins, and bins per unit of x."""


def count(outputs: int) -> int:
    """Return the number of sums: two histograms per output."""
    return 2 * outputs * 512
