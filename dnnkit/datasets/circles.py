"""Two concentric rings of points: two classes that are not linearly separable."""

from math import inf
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from dnnkit.errors import ConfigurationError
from dnnkit.network.checks import check_count
from dnnkit.seeds import check_seed

Points: TypeAlias = NDArray[np.float64]
Labels: TypeAlias = NDArray[np.int64]

CLASS_NAMES = ("outside", "inside")


def load_data(
    samples: int = 1000, *, noise: float = 0.1, factor: float = 0.5, seed: int = 0
) -> tuple[tuple[Points, Labels], tuple[Points, Labels]]:
    """Draw points on two concentric circles: class 0 on radius 1, class 1 on radius `factor`, half of the points each.

    Arguments:
        samples: number of training points, at least 4; there are a quarter as many validation points.
        noise: standard deviation of the normal noise added to each coordinate; default 0.1.
        factor: radius of the inner circle, between 0 and 1; default 0.5.
        seed: seed of angles and noise.

    Returns:
        (x, y), (x_validation, y_validation): points (N, 2) and labels (N, 1).

    Raises:
        ConfigurationError: an argument is out of range.
    """
    check_count("samples", samples, 4)
    if not 0 <= noise < inf:
        raise ConfigurationError(f"noise is {noise!r}: expected a standard deviation, 0 or more and finite")
    if not 0 < factor < 1:
        raise ConfigurationError(f"factor is {factor!r}: expected more than 0 and less than 1")
    rng = np.random.default_rng(check_seed(seed))
    return _draw(rng, samples, noise, factor), _draw(rng, samples // 4, noise, factor)


def _draw(rng: np.random.Generator, samples: int, noise: float, factor: float) -> tuple[Points, Labels]:
    labels = rng.permutation(np.arange(samples) % 2)
    angles = rng.uniform(0, 2 * np.pi, samples)
    radii = np.where(labels == 1, factor, 1.0)
    points = radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return points + noise * rng.standard_normal((samples, 2)), labels[:, None]
