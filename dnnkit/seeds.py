"""Where randomness comes from: every stream is a function of a network's seed and a purpose."""

from typing import Literal

import numpy as np

from dnnkit.errors import ConfigurationError
from dnnkit.settings import plain

PURPOSES = {"weights": 1, "order": 2, "blocks": 3, "buffer": 4}
Purpose = Literal["weights", "order", "blocks", "buffer"]

_source: "np.random.Generator | None" = None
"""Which seeds are drawn; made when the first is drawn, for NumPy imports its generators when they are first used."""


def reset_seed(seed: int) -> None:
    """Fix which seeds networks made with `seed=None` will draw from now on."""
    global _source
    _source = np.random.default_rng(check_seed(seed))


def draw_seed() -> int:
    """A seed for a network that was given none."""
    global _source
    if _source is None:
        _source = np.random.default_rng()
    return int(_source.integers(2**32))


def check_seed(seed: int) -> int:
    """The seed, if it is a whole number of 32 bits."""
    given = plain(seed)
    if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given < 2**32:
        raise ConfigurationError(f"a seed is a whole number from 0 to 2**32 - 1; got {seed!r}")
    return given


def stream(seed: int, purpose: Purpose, index: int = 0, *indices: int) -> "np.random.Generator":
    """The generator of a network for a purpose, such as the order of the samples in epoch `index`."""
    return np.random.default_rng([PURPOSES[purpose], index, *indices, seed])
