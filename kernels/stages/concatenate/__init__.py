"""Concatenate: several values side by side.

Maths:    y = [x_1, x_2, ...] along the columns; dx_k are the columns of dy that are x_k's
Shapes:   x_k (B, I_k), y (B, Σ I_k)
Units:    none.
Traffic:  reads all x, writes y; backward reads dy, writes all dx.
Errors:   none.
Accuracy: exact.
Source:   as `numpy.concatenate(xs, axis=1)`.
"""

from dnnkit.kernels.stages import Example

EXAMPLES = (Example((2, 3), 5), Example((1, 4, 1), 6), Example((3,), 3))
