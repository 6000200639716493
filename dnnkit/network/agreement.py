"""Whether a network's output, its loss and its metrics go together: what trains all the same, into nonsense.

What a loss takes is in its kernel (`scores`, `outputs` in kernels/registry.py), what an activation gives is asked of it
(`gives`). Of layers, losses and activations that dnnkit does not know so much about, nothing is said.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence

from dnnkit.activations import key_of
from dnnkit.backends.program import Loss as LossDescription
from dnnkit.backends.program import Metric
from dnnkit.errors import TrainingWarning
from dnnkit.kernels import registry
from dnnkit.layers import Activation, Dense, Dropout, Flatten, Layer, Rescaling
from dnnkit.losses import KernelLoss, Loss
from dnnkit.metrics import Given, lower, name_of

FITTING = {"binary": "sigmoid", "categorical": "softmax"}
"""The activation whose outputs are what such a loss takes, where the loss names none."""


def warn_of_disagreement(layers: Sequence[Layer], loss: Loss, metrics: Sequence[Given]) -> None:
    """A `TrainingWarning`, with the cure, for each thing that does not go together.

    Raises:
        ConfigurationError: a metric says nothing of such outputs; of outputs that are not known yet, `build` says so.
    """
    if layers and isinstance(layers[-1], Dense | Activation) and (units := _units(layers)):
        activation = key_of(layers[-1].activation or "linear")
        lowered, takes_over = loss.lower(activation)
        head, gives = activation if takes_over else "linear", registry.activation(activation).gives
        for metric in metrics:
            lower(metric, lowered, units, head, gives)
    for doubt in doubts(layers, loss, metrics):
        warnings.warn(doubt, TrainingWarning, stacklevel=3)


def doubts(layers: Sequence[Layer], loss: Loss, metrics: Sequence[Given]) -> Iterator[str]:
    """What does not go together, and what to do."""
    if not layers or not isinstance(layers[-1], Dense | Activation):
        return
    activation, units = layers[-1].activation or "linear", _units(layers)
    gives = registry.activation(key_of(activation)).gives
    lowered, takes_over = loss.lower(key_of(activation))
    kernel = _kernel(lowered, loss)
    if units == 1 and (gives == "categorical" or (kernel is not None and kernel.outputs == "categorical")):
        yield (
            "the last layer has one unit, so one class, which is always certain: nothing is learned. For two classes "
            "use Dense(1, activation='sigmoid') with loss='binary_crossentropy', else a unit for each class"
        )
        return
    if kernel is None:
        return
    name = repr(loss.kernel) if isinstance(loss, KernelLoss) else type(loss).__name__
    fitting = loss.fused[0] if loss.fused is not None else FITTING.get(kernel.outputs)
    if kernel.scores == "logits" and not takes_over and gives != "values":
        yield (
            f"the last layer's {str(activation)!r} already gives probabilities, but the loss {name} on logits takes "
            "them for numbers before that, as if it were applied twice: leave out the activation"
            + (", or else from_logits" if loss.fused is not None else "")
        )
    elif kernel.scores == "probabilities" and gives == "values":
        yield (
            f"the last layer's {str(activation)!r} gives any numbers, but the loss {name} takes probabilities and is "
            f"wrong for others: use activation={fitting!r} there"
            + (f", or loss=dk.losses.{name}(from_logits=True)" if loss.fused is not None else "")
        )
    elif kernel.scores == "not negative" and registry.activation(key_of(activation)).gives_negative:
        yield (
            f"the last layer's {str(activation)!r} may give numbers below 0, for which the loss {name} has no value: "
            "use activation='softplus' there"
        )
    elif kernel.scores == "probabilities" and kernel.outputs == "categorical" and gives == "binary":
        yield (
            f"the last layer's {str(activation)!r} gives each output a probability of its own, and {name} is least "
            "where all of them are 1, whatever the class: use activation='softmax' for one class of several, or "
            "loss='binary_crossentropy' for several answers at once"
        )
    if units:
        head = key_of(activation) if takes_over else "linear"
        of_each = {name_of(metric): lower(metric, lowered, units, head, gives) for metric in metrics}
        yield from _of_metrics(of_each, kernel, takes_over, gives, units)


def _of_metrics(
    metrics: Mapping[str, Metric], kernel: registry.Loss, takes_over: bool, gives: str, units: int
) -> Iterator[str]:
    for name, metric in metrics.items():
        measured = metric.kernel
        if not isinstance(measured, str) or not registry.metric(measured).has_threshold:
            continue
        if kernel.scores == "logits" and kernel.outputs == "categorical" and not takes_over:
            yield (
                f"the metric {name!r} asks whether each output is above 1/2, but the outputs are logits of classes: "
                "use 'categorical_accuracy'"
            )
        elif kernel.outputs == "values" and gives == "values" and units == 1:
            yield (
                f"the metric {name!r} asks whether output and target are on the same side of 1/2, which says nothing "
                "of a regression: use 'mean_absolute_error' or 'r2_score'; for two classes use Dense(1, "
                "activation='sigmoid')"
            )


def _kernel(lowered: LossDescription, loss: Loss) -> registry.Loss | None:
    """The kernel that computes the loss, or one of the same meaning; None for a loss of the user's own."""
    name = lowered.kernel if isinstance(lowered.kernel, str) else loss.kernel
    return None if name is None else registry.loss(name)


def _units(layers: Sequence[Layer]) -> int:
    """The number of outputs; 0 where the layers do not tell before they see data."""
    for layer in reversed(layers):
        if isinstance(layer, Dense):
            return layer.units
        if not isinstance(layer, Activation | Dropout | Flatten | Rescaling):
            break
    return 0
