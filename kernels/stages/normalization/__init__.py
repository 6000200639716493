"""Normalization: standardize each feature by moments of the data that were computed beforehand.

Maths:    y = (x - mean) / max(√variance, 10⁻⁷); dx = dy / max(√variance, 10⁻⁷)
Shapes:   x, y (B, n C), read as B n rows of C channels; mean, variance (C,); count (1,), the rows behind them.
Units:    setting: channels C.
Traffic:  reads x, writes y; backward the same.
Errors:   none. A constant feature becomes 0.
Accuracy: one rounding for the difference, one for the quotient.
Source:   as Keras' layer of that name.
"""

from dnnkit.kernels.stages import Example

LEAST = 1e-7
"""Lower bound of the standard deviation in the division."""

KNOWN = {"mean": (3,), "variance": (3,), "count": (1,)}
EXAMPLES = (
    Example((3,), 3, KNOWN, {"channels": 3}, statistics=tuple(KNOWN), positive=("variance",)),
    Example((6,), 6, KNOWN, {"channels": 3}, statistics=tuple(KNOWN), positive=("variance",)),
)
