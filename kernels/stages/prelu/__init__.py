"""PReLU: a rectifier with a trained slope below 0 per feature.

Maths:    y = x where x > 0, else α x; dx = dy where x > 0, else α dy; dα = Σ dy min(x, 0) over rows
Shapes:   x, y (B, I); α (I,).
Units:    none.
Traffic:  reads x, writes y; backward reads dy and x, writes dx.
Errors:   none.
Accuracy: one rounding for the product.
Source:   K. He et al., ICCV 2015.
"""

from dnnkit.kernels.stages import Example

EXAMPLES = (Example((3,), 3, {"alpha": (3,)}), Example((1,), 1, {"alpha": (1,)}))
