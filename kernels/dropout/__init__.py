"""Dropout: zero a random share of the elements and scale up the rest.

Maths:    keep_e = bits_e ≥ ⌊rate · 2³²⌋, bits from `philox` at (step, layer, element e);
          y = x keep / (1 - rate), dx = dy keep / (1 - rate)
Shapes:   x, y of any shape, element e counted in row-major order; keep has x's shape.
Units:    none.
Traffic:  reads x, writes y; the mask need not be stored, it can be drawn again in the backward pass (as CUDA does).
Errors:   rate must be in [0, 1): whoever calls checks.
Accuracy: masks are equal bit for bit on every backend and in every dtype; a rounding each for 1 / (1 - rate)
          and for the product.
Source:   N. Srivastava et al., JMLR 15, 2014 (inverted form).
"""

from typing import Any, NamedTuple

PURPOSE = 0xD20
"""The second word of the Philox key: no other use of the seed shares its random bits."""


class Draw(NamedTuple):
    """What decides which elements are kept: the mask, without its memory."""

    rate: float
    """The share that is zeroed, in [0, 1)."""
    seed: int
    """The network's, 32 bits."""
    layer: int
    """The dropout layer's number in the network."""
    step: Any
    """Of the optimizer, 64 bits; or an array of a backend's by which that knows it."""
