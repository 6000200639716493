"""Layer normalisation: each row minus its mean, over its standard deviation; scaled and shifted by feature.

Maths:    n = (x - m) / √(v + epsilon), y = n γ + β; m and v are mean and variance of the row, or, not centered, m = 0
          and v the mean square (RMS normalisation). g = dy γ,
          dx = (g - mean g - n mean(g n)) / √(v + epsilon), without mean g where not centered
Shapes:   x, y (B, n C), read as B n rows of C channels; γ, β (C,).
Units:    settings: channels C, epsilon > 0, centered, center and scale (whether there are β and γ).
Traffic:  forward reads x three times, from the nearest cache, writes n and y; backward reads dy and n, writes dx.
Errors:   none. Of a constant row n = 0.
Accuracy: the variance is that of differences from the mean.
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
    """What opcodes read."""
    return tuple(float(settings[name]) for name in ("channels", "epsilon", "centered", "scale", "center"))


def saves(inputs: tuple[int, ...], features: int, settings: Settings) -> int:
    """The normalised row, and 1 / √(v + epsilon) of each of its pieces."""
    return features + features // int(settings["channels"])
