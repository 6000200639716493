"""Batch normalization: standardize each feature over the batch, then scale and shift it.

Maths:    n = (x - m) / √(v + epsilon), y = n γ + β. While training, m and v are mean and variance of the batch's rows,
          and moving ← momentum · moving + (1 - momentum) · batch; otherwise m and v are the moving moments.
          dγ = Σ dy n, dβ = Σ dy, dx = γ / √(v + epsilon) (dy - dβ / R - n dγ / R), if m and v are the batch's
Shapes:   x, y (B, n C), read as R = B n rows of C channels; γ, β, the moving mean and the moving variance (C,).
Units:    settings: channels C, momentum in [0, 1), epsilon > 0, center and scale (whether β and γ exist), frozen
          (whether the moving moments are used while training, too, and stay unchanged).
Traffic:  forward reads x three times (mean, variance, y) and writes n and y; backward reads dy and n twice, writes dx.
Errors:   none. The variance of a single row is 0; then y = β.
Accuracy: two-pass variance, from differences to the mean, so a large mean costs no digits. It is the
          biased variance, Σ / R, also in the moving variance. Row weights are ignored, as in Keras.
Source:   S. Ioffe, C. Szegedy, ICML 2015.
"""

from dnnkit.kernels.stages import Example, Settings

MOVING = {"moving_mean": (3,), "moving_variance": (3,)}
NUMBERS = {"channels": 3, "momentum": 0.9, "epsilon": 1e-3}
EXAMPLES = (
    Example(
        (3,), 3, {"gamma": (3,), "beta": (3,), **MOVING},
        {**NUMBERS, "center": True, "scale": True, "frozen": False},
        statistics=tuple(MOVING), positive=("moving_variance",),
    ),
    Example(
        (6,), 6, {"beta": (3,), **MOVING}, {**NUMBERS, "center": True, "scale": False, "frozen": False},
        statistics=tuple(MOVING), positive=("moving_variance",),
    ),
    Example(
        (3,), 3, MOVING, {**NUMBERS, "center": False, "scale": False, "frozen": True},
        statistics=tuple(MOVING), positive=("moving_variance",),
    ),
)  # fmt: skip

FORWARD = "batch_normalization_mean", "batch_normalization_variance", "batch_normalization"
PREDICT = ("batch_normalization_predict",)
BACKWARD = "batch_normalization_backward_sums", "batch_normalization_backward"
AFTER = ("batch_normalization_moving",)


def numbers(settings: Settings) -> tuple[float, ...]:
    """Return the numbers that the opcodes read."""
    return tuple(float(settings[name]) for name in ("channels", "epsilon", "momentum", "scale", "center", "frozen"))


def saves(inputs: tuple[int, ...], features: int, settings: Settings) -> int:
    """Return the size of the saved normalized row."""
    return features


def keeps(inputs: tuple[int, ...], features: int, settings: Settings) -> int:
    """Return the size of mean, variance and 1 / √(v + epsilon), and of the batch's sums, which are kept twice."""
    return 5 * int(settings["channels"])


def sums(inputs: tuple[int, ...], features: int, settings: Settings) -> int:
    """Return the number of sums over rows: x and squares forward, dy n and dy backward."""
    return 4 * int(settings["channels"])
