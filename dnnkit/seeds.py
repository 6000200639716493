"""Random streams: each is a function of a network's seed and a purpose."""

from typing import Literal

import numpy as np

from dnnkit.errors import ConfigurationError
from dnnkit.settings import plain

PURPOSES = {"weights": 1, "order": 2, "blocks": 3, "buffer": 4}
Purpose = Literal["weights", "order", "blocks", "buffer"]

_source: "np.random.Generator | None" = None
"""Generator of drawn seeds, created on first use, because NumPy imports its generators lazily."""


def reset_seed(seed: int) -> None:
    """Fix the seeds that networks created with `seed=None` draw from now on.

    Arguments:
        seed: integer from 0 to 2**32 - 1.
    """
    global _source
    _source = np.random.default_rng(check_seed(seed))


def draw_seed() -> int:
    """Return a seed for a network created without one."""
    global _source
    if _source is None:
        _source = np.random.default_rng()
    return int(_source.integers(2**32))


def check_seed(seed: int) -> int:
    """Return the seed if it is a 32-bit unsigned integer; otherwise raise `ConfigurationError`."""
    given = plain(seed)
    if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given < 2**32:
        raise ConfigurationError(f"a seed is a whole number from 0 to 2**32 - 1; got {seed!r}")
    return given


def stream(seed: int, purpose: Purpose, index: int = 0, *indices: int) -> "np.random.Generator":
    """Return the generator for a purpose, such as the order of samples in epoch `index`."""
    return np.random.default_rng(entropy(seed, purpose, index, *indices))


def entropy(seed: int, purpose: Purpose, index: int = 0, *indices: int) -> tuple[int, ...]:
    """Return what seeds the generator that `stream` gives."""
    return PURPOSES[purpose], index, *indices, seed
