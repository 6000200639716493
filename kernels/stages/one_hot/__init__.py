"""One-hot: expand each column of class numbers to one column per class, 1 for the row's class, else 0.

Maths:    y[i, start_k + c] = 1 if x[i, k] = c, else 0, start_k = Σ sizes before k; or, with one block for all columns,
          which then share their number of classes, the sum over k ("count"), or 1 if any is 1 ("multi_hot")
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
    """Return the number of classes of each column of x, numbered from 0."""
    return tuple(settings["sizes"])


MODES = "concatenate", "multi_hot", "count"


def numbers(settings: Settings) -> tuple[float, ...]:
    """Return the number of the mode, then the sizes."""
    return (float(MODES.index(settings["mode"])), *(float(size) for size in settings["sizes"]))
