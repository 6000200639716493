"""Centred: each feature minus its mean over the batch, times a number; predictions use a moving mean instead.

Maths:    training: y = s (x - m), m = mean over rows of x; else y = s (x - moving); dx = s (dy - mean over rows of dy)
Shapes:   x, y (B, I), moving and s (I,)
Units:    settings: momentum.
Traffic:  two passes over x, and over dy.
Errors:   none.
Accuracy: that of the sums.
Source:   half of batch normalization.
"""

from dnnkit.kernels.stages import Example

EXAMPLES = (
    Example((3,), 3, {"moving": (3,), "scale": (3,)}, {"momentum": 0.75}, statistics=("moving",)),
)  # fmt: skip
FORWARD = "centred_sums", "centred"
PREDICT = ("centred_predict",)
BACKWARD = "centred_backward_sums", "centred_backward"
AFTER = ("centred_after",)


def keeps(inputs, features, settings):
    """The means of x and of dy."""
    return 2 * features


def sums(inputs, features, settings):
    """Of x, and of dy."""
    return 2 * features
