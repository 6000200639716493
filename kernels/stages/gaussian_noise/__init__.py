"""Gaussian noise: add a normal random number to each element while training.

Maths:    y = x + stddev g; dx = dy. Elements 2 k and 2 k + 1 share two words w of random bits:
          u = (w₀ + ½) / 2³², t = 2π w₁ / 2³², g = √(-2 ln u) cos t for the first, √(-2 ln u) sin t of the second
Shapes:   x, y (B, I); elements are counted in row-major order, from the first row of the batch.
Units:    setting: stddev ≥ 0.
Traffic:  reads x, writes y; dx is dy.
Errors:   none.
Accuracy: the noise is computed in float64, from the same random bits on every backend.
Source:   G. E. P. Box, M. E. Muller, Annals of Mathematical Statistics 29, 1958.
"""

from dnnkit.kernels.stages import Example

PURPOSE = 0x6A55
"""Second word of the Philox key. No other use of the seed has the same, so random bits are never shared."""

EXAMPLES = (Example((3,), 3, settings={"stddev": 0.5}),)

PREDICT = ("gaussian_noise_predict",)

DRAWS_PARTS = True
