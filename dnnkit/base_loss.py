"""Base of all losses, and their registry.

Parameters of a loss, label smoothing and output weights are compiled into its kernel on every backend
(`kernels/variants.py`).
"""

from collections.abc import Callable
from functools import partial
from numbers import Real
from typing import Any, ClassVar, Literal

from dnnkit.backends.measures import Loss as LossDescription
from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError
from dnnkit.kernels import registry
from dnnkit.kernels.array import Array, Namespace
from dnnkit.kernels.variants import Numbers, variant
from dnnkit.registry import Lazy, Registry
from dnnkit.settings import NOT_NEGATIVE, Expected, Settings, numbers, plain


def _each(one: Expected) -> Callable[[Any], tuple[Any, ...]]:
    """Return a converter for a list of one or more numbers."""

    def take(values: Any) -> tuple[Any, ...]:
        taken = tuple(one.take(plain(value)) for value in values)
        if not taken or isinstance(values, str):
            raise ValueError
        return taken

    return take


def _one_or_each(one: Expected) -> Callable[[Any], Any]:
    return lambda value: one.take(value) if isinstance(value, Real) else _each(one)(value)


def _weights(given: Any) -> tuple[float, ...] | None:
    weights = None if given is None else _each(NOT_NEGATIVE)(given)
    if weights is not None and not any(weights):
        raise ValueError
    return weights


OUTPUT_WEIGHTS = Expected("one number per output, 0 or more and not all 0, such as [1, 0.5], or None", _weights)
QUANTILES = Expected(
    "a number between 0 and 1, or one per output, such as [0.1, 0.5, 0.9]",
    _one_or_each(numbers("a number between 0 and 1", lambda number: 0 < number < 1)),
)


class Loss(Settings):
    """Base class of all losses, also of custom ones.

    A custom loss is a frozen dataclass with `loss_and_gradient`. Set `targets` to "labels" if it takes integer classes
    (N,), or to "any" if it takes targets of any shape (N, ...) unchecked; set `reduction` to "sum" if it is not a mean
    over rows.
    """

    kernel: ClassVar[str | None] = None
    """Name of the loss kernel applied to the network's outputs."""
    fused: ClassVar[tuple[str, str] | None] = None
    """(activation, kernel): the fused kernel on logits that replaces this activation and the loss."""
    targets: ClassVar[Literal["labels", "values", "any"]] = "values"
    reduction: ClassVar[Literal["mean", "sum"]] = "mean"
    from_logits: bool = False

    def lower(self, last_activation: str) -> tuple[LossDescription, bool]:
        """Return the loss as backends see it, and whether it is fused with the network's last activation."""
        if self.kernel is None:
            return LossDescription(self, self.targets, self.reduction), False
        takes_over = self.fused is not None and last_activation == self.fused[0] and not self.from_logits
        on_logits = takes_over or self.from_logits
        kernel = self.fused[1] if self.fused is not None and on_logits else self.kernel
        return LossDescription(self._variant(kernel), self.targets, registry.loss(kernel).reduction), takes_over

    def _variant(self, kernel: str) -> str:
        """Return the kernel with this loss's parameters."""
        parameters: dict[str, Numbers] = {
            name: getattr(self, name, default) for name, default in registry.loss(kernel).parameters.items()
        }
        smoothing, weights = getattr(self, "label_smoothing", 0.0), getattr(self, "output_weights", None)
        return variant(kernel, parameters, smoothing, weights)

    def loss_and_gradient(
        self, predictions: Array, targets: Array, weights: Array | None, scale: float, xp: Namespace
    ) -> tuple[Array, Array]:
        """Return the weighted sum of row losses, and `scale` times its gradient with respect to predictions (B, K).

        Overridden by custom losses.

        Arguments:
            predictions: (B, K), the network's outputs.
            targets: as `targets` says.
            weights: (B,), or None if all rows have weight 1.
            scale: factor of the gradient, such as 1 / sum of weights.
            xp: the backend's array namespace.
        """
        raise NotImplementedError(f"{type(self).__name__} has no loss_and_gradient")


@dataclass(frozen=True)
class KernelLoss(Loss):
    """A loss given by the name of a kernel, applied to the network's outputs."""

    kernel: str  # type: ignore[misc] # an instance attribute here, a class attribute elsewhere


def _is_loss(thing: object) -> bool:
    kind = thing.func if isinstance(thing, partial) else thing
    return isinstance(thing, str) or (isinstance(kind, type) and issubclass(kind, Loss))


class _Losses(Registry[Callable[..., Loss]]):
    """Registry of losses, in which names defined by `dk.loss` take precedence."""

    def __init__(self) -> None:
        super().__init__("loss", "a subclass of Loss, or a formula in y and t", _is_loss, plural="losses")
        self.named_by_formula: dict[str, Callable[..., Loss]] = {}
        self.of_formula: Callable[..., Loss]
        """Makes a loss from a name and a formula; set by `dnnkit.formula`, which is imported later."""

    def __getitem__(self, name: str) -> Callable[..., Loss]:
        thing: Any = super().__getitem__(name)
        return partial(self.of_formula, name, thing) if isinstance(thing, str) else thing

    @property
    def _all(self) -> dict[str, Callable[..., Loss] | Lazy]:
        return {**super()._all, **self.named_by_formula}


LOSSES = _Losses()


def check_outputs(loss: LossDescription, outputs: int, of: str) -> None:
    """Raise `ConfigurationError` if a loss has numbers per output, but for another number of outputs."""
    columns = registry.loss(loss.kernel).columns if isinstance(loss.kernel, str) else None
    if columns is not None and columns != outputs:
        raise ConfigurationError(
            f"the loss has numbers for {columns} outputs (output_weights, or a list of quantiles), but {of} has "
            f"{outputs}: give one number per output"
        )
