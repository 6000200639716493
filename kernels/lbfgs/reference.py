"""The direction of L-BFGS, in plain array code; the oracle in float64. Contract: the package's docstring."""

from collections.abc import Sequence

import numpy as np

from dnnkit.kernels.array import Array, Namespace


def dot(a: Array, b: Array, xp: Namespace = np) -> Array:
    """The scalar product of two flat arrays, float64."""
    return xp.sum(xp.astype(a, xp.float64, copy=False) * xp.astype(b, xp.float64, copy=False))


def direction(
    gradient: Array, steps: Sequence[Array], changes: Sequence[Array], curvatures: Sequence[float], xp: Namespace = np
) -> Array:
    """-H times the gradient (n,), from pairs of steps and changes (n,), the oldest first; without any, -gradient.

    `curvatures` are the products of the two of each pair.
    """
    shares: list[Array] = []
    d = -gradient
    for step, change, curvature in zip(steps[::-1], changes[::-1], curvatures[::-1], strict=True):
        share = xp.asarray(dot(step, d, xp) / curvature, dtype=d.dtype)
        d = d - share * change
        shares.append(share)
    if shares:
        d = d * xp.asarray(curvatures[-1] / dot(changes[-1], changes[-1], xp), dtype=d.dtype)
    for step, change, curvature, share in zip(steps, changes, curvatures, shares[::-1], strict=True):
        d = d + (share - xp.asarray(dot(change, d, xp) / curvature, dtype=d.dtype)) * step
    return d
