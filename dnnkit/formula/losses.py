"""A loss from one formula: `dk.loss("huber", "where(abs(y - t) < delta, (y - t)**2 / 2, ...)", delta=1.0)`."""

import hashlib
import json
import warnings
from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any, ClassVar, Literal

from dnnkit.backends.measures import Loss as LossDescription
from dnnkit.base_loss import LOSSES, OUTPUT_WEIGHTS, Loss
from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError, FormulaWarning
from dnnkit.formula.definition import check_name, check_parameter_name, numbers_of, pairs
from dnnkit.kernels.variants import variant
from dnnkit.settings import Expected


def _mean_or_sum(value: Any) -> str:
    if value not in ("mean", "sum"):
        raise ValueError
    return str(value)


@dataclass(frozen=True)
class FormulaLoss(Loss):
    """A loss by its formula in y, the prediction, and t, the target. It is saved with a network.

    Arguments:
        name: what stands for it.
        formula: the loss of one output.
        parameters: pairs of a name in the formula and its value.
        over_outputs: whether the loss of a row is the "mean" of its outputs' losses or their "sum".
        output_weights: the loss of each output counts so much, None for all alike; a mean is over the sum of weights.
    """

    name: str
    formula: str
    parameters: tuple[tuple[str, float], ...] = ()
    over_outputs: Literal["mean", "sum"] = "mean"
    output_weights: Sequence[float] | None = None

    expects: ClassVar = {"over_outputs": Expected("'mean' or 'sum'", _mean_or_sum), "output_weights": OUTPUT_WEIGHTS}

    def __post_init__(self) -> None:
        super().__post_init__()
        check_name(self.name, "a loss")
        if self.name.endswith("_backward"):
            raise ConfigurationError(f"a loss cannot be called {self.name!r}: dk.ops calls the gradient of a loss so")
        object.__setattr__(self, "parameters", pairs(self.name, self.parameters))
        for name, _ in self.parameters:
            check_parameter_name(name, "loss")
        from dnnkit.formula.loss_derivation import define

        define(self.key, self.formula, dict(self.parameters), self.over_outputs)

    def __str__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[Any, ...]:  # made again, for each process compiles its own
        return FormulaLoss, (self.name, self.formula, self.parameters, self.over_outputs, self.output_weights)

    @cached_property
    def key(self) -> str:
        """What kernels call it: its name and a hash of what it says."""
        content = json.dumps([self.formula, self.parameters, self.over_outputs])
        return f"{self.name}_{hashlib.sha256(content.encode()).hexdigest()[:12]}"

    def lower(self, last_activation: str) -> tuple[LossDescription, bool]:
        """The loss as backends see it."""
        return LossDescription(variant(self.key, output_weights=self.output_weights), "values", "mean"), False


LOSSES.of_formula = FormulaLoss


def loss(
    name: str,
    formula: str,
    *,
    over_outputs: Literal["mean", "sum"] = "mean",
    output_weights: Sequence[float] | None = None,
    **parameters: float,
) -> FormulaLoss:
    """A loss from its formula in y, the prediction, and t, the target: from now on its name works like a built-in one.

    `loss("asymmetric", "where(y < t, over, 1) * (y - t)**2", over=3)`; then `compile(loss="asymmetric")`,
    `dk.ops.asymmetric(y_true, y_pred)`, `dk.ops.asymmetric_backward(y_true, y_pred)`. SymPy finds the derivative; both
    run compiled, on every backend, with `sample_weight` and `class_weight`. The formula is saved with a network. What
    it is made of is in docs/formulas.md. A name that is taken, also by a built-in loss, means the new formula from now
    on; networks that are compiled keep theirs.

    Arguments:
        name: letters, digits and _.
        formula: the loss of one output of one row.
        over_outputs: a row's loss is the "mean" of its outputs' losses, as in Keras, or their "sum", as a cross-entropy
            of classes is. A batch's loss is the mean over rows.
        output_weights: the loss of each output counts so much, None for all alike; a mean is over the sum of weights.
        parameters: values of names in the formula, fixed from now on.

    Returns:
        The loss, for `compile(loss=...)`.

    Raises:
        ConfigurationError: the formula cannot be read, has no y or no t, or its derivative differs from finite
            differences.

    Warns `FormulaWarning` where loss or derivative are not finite for y from -1e4 to 1e4.
    """
    numbers = numbers_of(name, parameters)
    defined = FormulaLoss(name, formula, numbers, over_outputs, output_weights)
    from dnnkit.formula.loss_derivation import findings

    if found := findings(defined.key):
        warnings.warn(f"loss {name!r}: {'; '.join(found)}", FormulaWarning, stacklevel=2)
    named = partial(FormulaLoss, name, formula, numbers, over_outputs=over_outputs, output_weights=output_weights)
    LOSSES.named_by_formula[name] = named
    return defined
