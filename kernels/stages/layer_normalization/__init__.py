"""Layer normalization: standardize each row, then scale and shift each feature.

Maths:    n = (x - m) / √(v + epsilon), y = n γ + β; m and v are mean and variance of the row; if not centered, m = 0
          and v is the mean square (RMS normalization). g = dy γ,
          dx = (g - mean g - n mean(g n)) / √(v + epsilon), without mean g if not centered
Shapes:   x, y (B, n C), read as B n rows of C channels; γ, β (C,).
Units:    settings: channels C, epsilon > 0, centered, center and scale (whether β and γ exist).
Traffic:  forward reads x three times, from the nearest cache, writes n and y; backward reads dy and n, writes dx.
Errors:   none. A constant row gives n = 0.
Accuracy: two-pass variance, from differences to the mean.
Source:   J. L. Ba, J. R. Kiros, G. E. Hinton, arXiv:1607.06450; B. Zhang, R. Sennrich, NeurIPS 2019 (RMS).
"""

from dnnkit.kernels.stages import Example, Settings

EXAMPLES = (
    Example(
        (4,), 4, {"gamma": (4,), "beta": (4,)},
        {"channels": 4, "epsilon": 1e-3, "centered": True, "center": True, "scale": True},
    ),
    Example(
        (6,), 6, {"gamma": (3,)}, {"channels": 3, "epsilon": 1e-6, "centered": False, "center": False, "scale": True}
    ),
    Example((3,), 3, {}, {"channels": 3, "epsilon": 1e-3, "centered": True, "center": False, "scale": False}),
)  # fmt: skip


def numbers(settings: Settings) -> tuple[float, ...]:
    """Return the numbers that the opcodes read."""
    return tuple(float(settings[name]) for name in ("channels", "epsilon", "centered", "scale", "center"))


def saves(inputs: tuple[int, ...], features: int, settings: Settings) -> int:
    """Return the size of the normalized row, and of 1 / √(v + epsilon) of each of its pieces."""
    return features + features // int(settings["channels"])
