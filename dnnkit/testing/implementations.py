"""Implementations: objects that perform dnnkit's operations on host arrays."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from dnnkit.backends.state import HostArray
from dnnkit.deferred import dataclass
from dnnkit.own_metrics import Function


@dataclass(frozen=True)
class Given:
    """How an operation receives its arrays.

    Attributes:
        name: description for messages.
        layout: memory layout of inputs; "misaligned" is contiguous, one element after an aligned address.
        into: whether the operation allocates its result, is given memory for it, or overwrites its first input.
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
    """Performs the operations of `dnnkit.backends.operations.Operations`; subclasses override some of them.

    Attributes:
        name: name for messages.
        operations: names of the supported operations.
        largest: maximum number of elements for which it is fast enough.
        variations: supported ways of passing arrays.
        sources: supported dtypes of data to gather.
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
        """Return f(x)."""
        raise NotImplementedError

    def activation_backward(self, name: str, dy: HostArray, saved: HostArray, given: Given = PLAIN) -> HostArray:
        """Return the gradient in x, from what the activation saved."""
        raise NotImplementedError

    def dense(
        self, activation: str, x: HostArray, w: HostArray, b: HostArray | None, given: Given = PLAIN
    ) -> tuple[HostArray, HostArray]:
        """Return (y, what the backward pass needs)."""
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
        """Return (dx, dw, db)."""
        raise NotImplementedError

    def dense_backward_input(
        self, activation: str, dy: HostArray, w: HostArray, saved: HostArray, given: Given = PLAIN
    ) -> HostArray:
        """Return dx only, for a frozen layer."""
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
        """Return (y, gradient in each x that has one, in each trained parameter); layer 1, seed 2, step 3."""
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
        """Return (weighted sum of the rows' losses, `scale` times its gradient)."""
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
        """Return the weighted sum over rows, (), or all sums of a kernel that has several, (S,)."""
        raise NotImplementedError

    def own_metric(
        self, function: Function, scores: HostArray, targets: HostArray, weights: HostArray | None = None
    ) -> float:
        """Return the weighted sum over rows of a custom metric."""
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
        """Return (parameters, slots) after a step; `numbers` are the learning rate and the hyperparameters."""
        raise NotImplementedError

    def gather(
        self, data: HostArray, rows: HostArray, scale: float, offset: float, dtype: str, given: Given = PLAIN
    ) -> HostArray:
        """Return rows of the data, converted and rescaled."""
        raise NotImplementedError

    def affine(self, x: HostArray, scale: float, offset: float, given: Given = PLAIN) -> HostArray:
        """Return x · scale + offset."""
        raise NotImplementedError

    def dropout_mask(
        self, shape: tuple[int, ...], rate: float, seed: int, layer: int, step: int, given: Given = PLAIN
    ) -> HostArray:
        """Return the mask of kept elements."""
        raise NotImplementedError

    def dropout(self, x: HostArray, keep: HostArray, rate: float, given: Given = PLAIN) -> HostArray:
        """Return the kept elements, scaled; 0 for the others."""
        raise NotImplementedError

    def clip_norm(self, x: HostArray, bound: float, given: Given = PLAIN) -> HostArray:
        """Return x, scaled down to the norm `bound` if its norm is larger."""
        raise NotImplementedError

    def interpolate(self, x: HostArray, y: HostArray, share: float, given: Given = PLAIN) -> HostArray:
        """Return (1 - share) · x + share · y."""
        raise NotImplementedError

    def clip_value(self, x: HostArray, bound: float, given: Given = PLAIN) -> HostArray:
        """Return x with each element clipped to the bound."""
        raise NotImplementedError
