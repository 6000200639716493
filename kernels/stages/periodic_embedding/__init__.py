"""Periodic embedding: sines and cosines of each feature at trained frequencies, then a small dense layer per feature.

Maths:    v = 2π f x, s = [sin v, cos v], y = max(s W + b, 0) for each feature, or y = s without that layer
Shapes:   x (B, F); f (F, k); W (F, 2 k, D), b (F, D); y (B, F D), or (B, F 2 k).
Units:    settings: frequencies k, units D, 0 for no layer.
Traffic:  reads x, writes s and y; backward reads both and dy.
Errors:   none.
Accuracy: as of the library's sine; the angle has the relative error of x f.
Source:   Y. Gorishniy, I. Rubachev, A. Babenko, NeurIPS 2022 (PLR).
"""

from dnnkit.kernels.stages import Example, Settings

EXAMPLES = (
    Example((3,), 6, {"frequencies": (3, 2), "kernel": (3, 4, 2), "bias": (3, 2)}, {"frequencies": 2, "units": 2}),
    Example((2,), 12, {"frequencies": (2, 3)}, {"frequencies": 3, "units": 0}),
)


def numbers(settings: Settings) -> tuple[float, ...]:
    """Return the numbers that the opcodes read."""
    return float(settings["frequencies"]), float(settings["units"])


def saves(inputs: tuple[int, ...], features: int, settings: Settings) -> int:
    """Return the size of the sines and cosines of each feature, and of their gradient."""
    return 4 * int(settings["frequencies"]) * inputs[0]
