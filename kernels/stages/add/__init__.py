"""Add: the sum of several values.

Maths:    y = x_1 + x_2 + ..., from left to right; dx_k = dy
Shapes:   x_k and y (B, I)
Units:    none.
Traffic:  reads all x, writes y; backward reads dy and writes each dx.
Errors:   none; lowering checks that all values have the same number of columns.
Accuracy: one rounding per value after the first.
Source:   residual connections: K. He et al., CVPR 2016.
"""

from dnnkit.kernels.stages import Example

EXAMPLES = (Example((3, 3), 3), Example((2, 2, 2), 2), Example((4,), 4))
