"""Whether targets are numbers that a loss is made for: with others it trains all the same, into nonsense."""

from dnnkit.errors import DataError
from dnnkit.kernels import registry
from dnnkit.kernels.array import Array, namespace


def check_range(y: Array, kernel: registry.Loss) -> None:
    """Raise `DataError` unless targets, as an array of numbers, are in the range of the loss; NaN others find."""
    if kernel.target_range == "any":
        return
    xp = namespace(y)
    y = xp.astype(y, xp.float64) if xp.isdtype(y.dtype, "bool") else y
    least, most = float(xp.min(y)), float(xp.max(y))
    if least != least:
        return
    given = f"y goes from {least:g} to {most:g}: "
    if kernel.target_range == "shares" and (least < 0 or most > 1):
        raise DataError(f"{given}a binary cross-entropy expects targets in [0, 1]")
    no = -1 if least == -1 else 0
    if kernel.target_range == "signs" and not bool(xp.all((y == no) | (y == 1))):
        raise DataError(f"{given}a hinge loss expects targets that are 0 and 1, or -1 and 1, and no others")
    if kernel.target_range == "not negative" and least < 0:
        raise DataError(f"{given}the loss expects targets of 0 or more, such as counts or probabilities")
    if kernel.target_range == "positive" and least <= 0:
        raise DataError(f"{given}the loss expects targets above 0: leave out rows without, or choose another loss")
