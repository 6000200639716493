"""Multiply: the product of several values, element by element.

Maths:    y = x_1 x_2 ..., from left to right; dx_k = dy Π_{j≠k} x_j
Shapes:   x_k and y (B, I)
Units:    none.
Traffic:  reads all x, writes y; backward reads dy and all x for each dx.
Errors:   none; lowering checks that all values have the same number of columns.
Accuracy: one rounding per factor after the first. No division, so factors may be 0.
Source:   gates: Y. N. Dauphin et al., ICML 2017.
"""

from dnnkit.kernels.stages import Example

EXAMPLES = (Example((3, 3), 3), Example((2, 2, 2), 2), Example((4,), 4))
