"""Scale: multiply each feature by its own trained number.

Maths:    y = x s; dx = dy s, ds = Σ dy x over rows
Shapes:   x, y (B, I); s (I,).
Units:    none.
Traffic:  reads x, writes y; backward reads dy and x, writes dx.
Errors:   none.
Accuracy: one rounding for the product.
Source:   the scaling layer of RealMLP: D. Holzmüller, L. Grinsztajn, I. Steinwart, NeurIPS 2024.
"""

from dnnkit.kernels.stages import Example

EXAMPLES = (Example((3,), 3, {"scale": (3,)}), Example((1,), 1, {"scale": (1,)}))
