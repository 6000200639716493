"""What L-BFGS remembers of a step."""

from dnnkit.deferred import dataclass
from dnnkit.kernels.array import Array


@dataclass(eq=False)
class Pair:
    """A step, what it changed in the gradient, both (n,), and the product of the two, which is above 0.

    `places` are their addresses, for who wants to know them again and again.
    """

    step: Array
    change: Array
    curvature: float
    places: tuple[int, int] | None = None
