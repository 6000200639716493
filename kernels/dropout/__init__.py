"""Dropout: zero a random fraction of the elements and scale up the rest.

Maths:    keep_e = bits_e ≥ ⌊rate · 2³²⌋, bits from `philox` at (step, layer, element e);
          y = x keep / (1 - rate), dx = dy keep / (1 - rate)
Shapes:   x, y of any shape, element e counted in row-major order; keep has x's shape.
Units:    none.
Traffic:  reads x, writes y; the mask need not be stored: the CUDA version draws it again in the backward pass.
Errors:   rate must be in [0, 1); the caller checks.
Accuracy: masks are bitwise identical on every backend and in every dtype; one rounding each for 1 / (1 - rate)
          and for the product.
Source:   N. Srivastava et al., JMLR 15, 2014 (inverted form).
"""

from typing import Any, NamedTuple

PURPOSE = 0xD20
"""Second word of the Philox key. No other use of the seed has the same, so random bits are never shared."""


class Draw(NamedTuple):
    """What determines which elements are kept: the mask, without the memory it would take."""

    rate: float
    """Fraction of the elements that is zeroed, in [0, 1)."""
    seed: int
    """The network's seed, 32 bits."""
    layer: int
    """Number of the dropout layer within the network."""
    step: Any
    """The optimizer's step, 64 bits; or a backend's array that holds it."""
