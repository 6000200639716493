"""Combinations of the values of settings."""

from collections.abc import Mapping, Sequence
from itertools import product
from math import prod
from typing import Any

from dnnkit.errors import ConfigurationError

MOST = 10_000
"""Maximum number of combinations; more are probably a mistake."""


def combinations(grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return every combination of a value of each setting, the last setting varying fastest.

    Raises:
        ConfigurationError: there are more than 10,000.
    """
    count = prod(map(len, grid.values()))
    if count > MOST:
        sizes = " x ".join(str(len(values)) for values in grid.values())
        raise ConfigurationError(f"the grid has {sizes} = {count:,} combinations: expected at most {MOST:,}; split it")
    return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
