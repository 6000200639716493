"""Checks that targets are in the range of their loss: others would train without error, but wrongly."""

from dnnkit.errors import DataError
from dnnkit.kernels import registry
from dnnkit.kernels.array import Array, namespace

EXPECTED = {
    "shares": "a binary cross-entropy expects targets in [0, 1]",
    "signs": "a hinge loss expects targets 0 and 1, or -1 and 1, and no others",
    "not negative": "the loss expects targets of 0 or more, such as counts or probabilities",
    "positive": "the loss expects targets above 0: leave out the other rows, or choose another loss",
}
"""Error text by the target range of a loss."""


def check_range(y: Array, kernel: registry.Loss, name: str = "y") -> None:
    """Raise `DataError` unless the targets are in the range of the loss; NaN is reported elsewhere."""
    if kernel.target_range == "any":
        return
    xp = namespace(y)
    y = xp.astype(y, xp.float64) if xp.isdtype(y.dtype, "bool") else y
    least, most = float(xp.min(y)), float(xp.max(y))
    if least == least and not kernel.is_made_for(y, least, most):
        raise DataError(f"{name} goes from {least:g} to {most:g}: {EXPECTED[kernel.target_range]}")
