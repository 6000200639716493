"""Losses from formulas: `dk.loss("huber", "where(abs(y - t) < delta, (y - t)**2 / 2, ...)", delta=1.0)`."""

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
    """Loss given by a formula in y, the prediction, and t, the target; saved with the network.

    Arguments:
        name: its name.
        formula: the loss of one output.
        parameters: pairs of a parameter's name and its value.
        over_outputs: whether the loss of a row is the "mean" or the "sum" of its outputs' losses.
        output_weights: weight of each output's loss, default None for equal weights; a mean is divided by their sum.
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
            raise ConfigurationError(f"a loss cannot be called {self.name!r}: dk.ops uses such names for gradients")
        object.__setattr__(self, "parameters", pairs(self.name, self.parameters))
        for name, _ in self.parameters:
            check_parameter_name(name, "loss")
        from dnnkit.formula.loss_derivation import define

        define(self.key, self.formula, dict(self.parameters), self.over_outputs)

    def __str__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[Any, ...]:  # each process compiles it for itself
        return FormulaLoss, (self.name, self.formula, self.parameters, self.over_outputs, self.output_weights)

    @cached_property
    def key(self) -> str:
        """Name for kernels: the name and a hash of the definition."""
        content = json.dumps([self.formula, self.parameters, self.over_outputs])
        return f"{self.name}_{hashlib.sha256(content.encode()).hexdigest()[:12]}"

    def lower(self, last_activation: str) -> tuple[LossDescription, bool]:
        """Return the loss as backends see it."""
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
    """Define a loss by a formula in y (prediction) and t (target); its name can then be used like a built-in one.

    `loss("asymmetric", "where(y < t, over, 1) * (y - t)**2", over=3)`; then `compile(loss="asymmetric")`,
    `dk.ops.asymmetric(y_true, y_pred)`, `dk.ops.asymmetric_backward(y_true, y_pred)`. SymPy derives the derivative;
    both are compiled, on every backend, and support `sample_weight` and `class_weight`. The formula is saved with the
    network. docs/formulas.md describes the syntax.

    An existing name, also of a built-in loss, is redefined from now on; compiled networks keep its previous meaning.

    Arguments:
        name: letters, digits and _, at most 40.
        formula: the loss of one output of one row, a text in y, t and the parameters.
        over_outputs: whether the loss of a row is the "mean" of its outputs' losses, as in Keras (default), or their
            "sum", as in a categorical cross-entropy. The loss of a batch is the mean over rows.
        output_weights: weight of each output's loss, default None for equal weights; a mean is divided by their sum.
        parameters: values of the parameters in the formula.

    Returns:
        The loss, for `compile(loss=...)`.

    Raises:
        ConfigurationError: the formula cannot be parsed, lacks y or t, or its derivative differs from finite
            differences.

    Warns `FormulaWarning` if loss or derivative are not finite for some y from -1e4 to 1e4.
    """
    numbers = numbers_of(name, parameters)
    defined = FormulaLoss(name, formula, numbers, over_outputs, output_weights)
    from dnnkit.formula.loss_derivation import findings

    if found := findings(defined.key):
        warnings.warn(f"loss {name!r}: {'; '.join(found)}", FormulaWarning, stacklevel=2)
    named = partial(FormulaLoss, name, formula, numbers, over_outputs=over_outputs, output_weights=output_weights)
    LOSSES.named_by_formula[name] = named
    return defined
