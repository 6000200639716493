"""What is asked: something that performs dnnkit's operations, on host arrays in and host arrays out."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from dnnkit.backends.state import HostArray
from dnnkit.deferred import dataclass
from dnnkit.own_metrics import Function


@dataclass(frozen=True)
class Given:
    """How an operation gets its arrays.

    Attributes:
        name: in words, for messages.
        layout: how inputs lie in memory; "misaligned" is contiguous, one element behind an aligned address.
        into: whether the operation makes its result, is given memory for it, or writes it over its first input.
    """

    name: str
    layout: Literal["contiguous", "strided", "fortran", "misaligned"] = "contiguous"
    into: Literal["new", "out", "in place"] = "new"


PLAIN = Given("plain")
VARIATIONS = (
    PLAIN,
    Given("into out", into="out"),
    Given("strided", "strided"),
    Given("in place", into="in place"),
    Given("Fortran order, into out", "fortran", "out"),
    Given("misaligned, into out", "misaligned", "out"),
)


class Implementation:
    """What performs the operations of `dnnkit.backends.operations.Operations`; subclass it and override some.

    Attributes:
        name: for messages.
        operations: the names of those that it performs.
        largest: elements up to which it is fast enough to be asked.
        variations: the ways in which it takes arrays.
        sources: the dtypes of data that it gathers.
    """

    name: str
    operations: frozenset[str] = frozenset(
        (
            "activation", "dense", "dense_backward_input", "stage", "loss", "metric", "own_metric", "update",
            "gather", "affine", "dropout_mask", "dropout", "clip_norm", "clip_value", "interpolate",
        )
    )  # fmt: skip
    largest: int = 50_000
    variations: tuple[Given, ...] = (PLAIN,)
    sources: tuple[str, ...] = ("float32", "float64")

    def activation(self, name: str, x: HostArray, given: Given = PLAIN) -> HostArray:
        """f(x)."""
        raise NotImplementedError

    def activation_backward(self, name: str, dy: HostArray, saved: HostArray, given: Given = PLAIN) -> HostArray:
        """The gradient in x, from what the activation saves."""
        raise NotImplementedError

    def dense(
        self, activation: str, x: HostArray, w: HostArray, b: HostArray | None, given: Given = PLAIN
    ) -> tuple[HostArray, HostArray]:
        """(y, what the backward pass needs)."""
        raise NotImplementedError

    def dense_backward(
        self,
        activation: str,
        dy: HostArray,
        x: HostArray,
        w: HostArray,
        saved: HostArray,
        needs_dx: bool = True,
        given: Given = PLAIN,
    ) -> tuple[HostArray | None, HostArray, HostArray]:
        """(dx, dw, db)."""
        raise NotImplementedError

    def dense_backward_input(
        self, activation: str, dy: HostArray, w: HostArray, saved: HostArray, given: Given = PLAIN
    ) -> HostArray:
        """dx alone, of a layer that is frozen."""
        raise NotImplementedError

    def stage(
        self,
        name: str,
        xs: Sequence[HostArray],
        parameters: Sequence[HostArray],
        settings: Mapping[str, Any],
        dy: HostArray,
        training: bool,
        needs_dx: bool = True,
    ) -> tuple[HostArray, list[HostArray], list[HostArray]]:
        """(y, gradient in each x that has one, in each trained parameter) of a kind; layer 1, seed 2, step 3."""
        raise NotImplementedError

    def loss(
        self,
        name: str,
        scores: HostArray,
        targets: HostArray,
        weights: HostArray | None = None,
        scale: float = 1.0,
        given: Given = PLAIN,
    ) -> tuple[float, HostArray]:
        """(weighted sum of the rows' losses, `scale` times its gradient)."""
        raise NotImplementedError

    def metric(
        self,
        name: str,
        scores: HostArray,
        targets: HostArray,
        weights: HostArray | None = None,
        threshold: float = 0.5,
        given: Given = PLAIN,
    ) -> HostArray:
        """The weighted sum over rows, (), or all sums of a kernel that has several, (S,)."""
        raise NotImplementedError

    def own_metric(
        self, function: Function, scores: HostArray, targets: HostArray, weights: HostArray | None = None
    ) -> float:
        """The weighted sum over rows of what a user's function gives."""
        raise NotImplementedError

    def update(
        self,
        rule: str,
        step: int,
        p: HostArray,
        g: HostArray,
        slots: Sequence[HostArray],
        numbers: Sequence[float],
        given: Given = PLAIN,
    ) -> tuple[HostArray, list[HostArray]]:
        """(parameters, slots) after a step of the rule; `numbers` are the learning rate and the hyperparameters."""
        raise NotImplementedError

    def gather(
        self, data: HostArray, rows: HostArray, scale: float, offset: float, dtype: str, given: Given = PLAIN
    ) -> HostArray:
        """The rows of the data, converted and rescaled."""
        raise NotImplementedError

    def affine(self, x: HostArray, scale: float, offset: float, given: Given = PLAIN) -> HostArray:
        """x · scale + offset."""
        raise NotImplementedError

    def dropout_mask(
        self, shape: tuple[int, ...], rate: float, seed: int, layer: int, step: int, given: Given = PLAIN
    ) -> HostArray:
        """Which elements are kept."""
        raise NotImplementedError

    def dropout(self, x: HostArray, keep: HostArray, rate: float, given: Given = PLAIN) -> HostArray:
        """The kept elements, scaled; else 0."""
        raise NotImplementedError

    def clip_norm(self, x: HostArray, bound: float, given: Given = PLAIN) -> HostArray:
        """x, scaled down to the norm `bound` if its own is larger."""
        raise NotImplementedError

    def interpolate(self, x: HostArray, y: HostArray, share: float, given: Given = PLAIN) -> HostArray:
        """(1 - share) of x, and share of y."""
        raise NotImplementedError

    def clip_value(self, x: HostArray, bound: float, given: Given = PLAIN) -> HostArray:
        """x, each element within the bound."""
        raise NotImplementedError
