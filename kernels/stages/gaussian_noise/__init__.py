"""Gaussian noise: while training, a normal random number is added to each element.

Maths:    y = x + stddev g; dx = dy. Elements 2 k and 2 k + 1 share two words w of random bits:
          u = (w₀ + ½) / 2³², t = 2π w₁ / 2³², g = √(-2 ln u) cos t of the first, √(-2 ln u) sin t of the second
Shapes:   x, y (B, I); elements are counted in row-major order.
Units:    setting: stddev ≥ 0.
Traffic:  reads x, writes y; dx is dy.
Errors:   none.
Accuracy: the noise is computed in float64, on every backend of the same bits.
Source:   G. E. P. Box, M. E. Muller, Annals of Mathematical Statistics 29, 1958.
"""

from dnnkit.kernels.stages import Example

PURPOSE = 0x6A55
"""The second word of the Philox key: no other use of the seed shares its random bits."""

EXAMPLES = (Example((3,), 3, settings={"stddev": 0.5}),)

PREDICT = ("gaussian_noise_predict",)
