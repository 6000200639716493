"""Normalisation by what is known of the data: each feature minus its mean, over its standard deviation.

Maths:    y = (x - mean) / max(√variance, 10⁻⁷); dx = dy / max(√variance, 10⁻⁷)
Shapes:   x, y (B, n C), read as B n rows of C channels; mean, variance (C,); count (1,), how many rows they are of.
Units:    setting: channels C.
Traffic:  reads x, writes y; backward the same.
Errors:   none. A constant feature becomes 0.
Accuracy: a rounding for the difference, one for the quotient.
Source:   as Keras' layer of that name.
"""

from dnnkit.kernels.stages import Example

LEAST = 1e-7
"""Standard deviation that is divided by."""

KNOWN = {"mean": (3,), "variance": (3,), "count": (1,)}
EXAMPLES = (
    Example((3,), 3, KNOWN, {"channels": 3}, statistics=tuple(KNOWN), positive=("variance",)),
    Example((6,), 6, KNOWN, {"channels": 3}, statistics=tuple(KNOWN), positive=("variance",)),
)
