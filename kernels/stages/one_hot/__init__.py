"""One-hot: of each column of class numbers, a column for each class, 1 where the row is of that class.

Maths:    y[i, start_k + c] = 1 if x[i, k] = c, else 0, start_k = Σ sizes before k; or, in one piece for all columns,
          which then have as many classes, the sum over k ("count"), or 1 if any is ("multi_hot")
Shapes:   x (B, K) class numbers; y (B, Σ sizes), or (B, size).
Units:    settings: sizes (the number of classes of each column), mode ("concatenate", "multi_hot", "count").
Traffic:  reads x, writes y.
Errors:   as of `embedding`. There is no gradient in x: it is 0.
Accuracy: exact.
Source:   -
"""

from dnnkit.kernels.stages import Example, Settings

EXAMPLES = (
    Example((2,), 10, settings={"sizes": (5, 5), "mode": "concatenate"}, x="categories"),
    Example((2,), 5, settings={"sizes": (5, 5), "mode": "multi_hot"}, x="categories"),
    Example((3,), 5, settings={"sizes": (5, 5, 5), "mode": "count"}, x="categories"),
)


def classes(settings: Settings, columns: int) -> tuple[int, ...]:
    """How many classes each column of x has, from 0 on."""
    return tuple(settings["sizes"])


MODES = "concatenate", "multi_hot", "count"


def numbers(settings: Settings) -> tuple[float, ...]:
    """The number of the mode, and the sizes."""
    return (float(MODES.index(settings["mode"])), *(float(size) for size in settings["sizes"]))
