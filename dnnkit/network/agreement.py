"""Checks that output activation, loss and metrics match: combinations that would train without error, but wrongly.

What a loss expects is declared by its kernel (`scores`, `outputs` in kernels/registry.py), what an activation outputs
by its `gives`. Layers, losses and activations that do not declare these are not checked.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from dnnkit.activations import key_of
from dnnkit.backends.measures import Metric
from dnnkit.deferred import dataclass
from dnnkit.diagnosis.checks import check, checks_at, warn
from dnnkit.graph.graph import Graph
from dnnkit.kernels import registry
from dnnkit.layers import Activation, Dense, Dropout, Flatten, Layer, Rescaling
from dnnkit.losses import KernelLoss, Loss
from dnnkit.metrics import Given, lower, name_of
from dnnkit.network.goals import Goal

FITTING = {"binary": "sigmoid", "categorical": "softmax"}
"""The activation whose outputs such a loss expects, where the loss does not name one."""


def warn_of_disagreement(graph: Graph, goals: Sequence[Goal]) -> None:
    """Issue a `TrainingWarning` with a suggested fix for each mismatch.

    Raises:
        ConfigurationError: a metric is not defined for these outputs. If they are not yet known, `build` raises it.
    """
    for place, goal in enumerate(goals):
        if goal.loss is not None:
            named = graph.before_output(place)
            layers, names = [layer for _, layer in named], [name for name, _ in named]
            warn(checks_at("compile"), Parts(layers, goal.loss, goal.metrics, names))


@dataclass(frozen=True)
class Parts:
    """What `compile` combines for one output."""

    layers: Sequence[Layer]
    loss: Loss
    metrics: Sequence[Given]
    names: Sequence[str] = ()
    """Names of the layers."""

    @cached_property
    def output(self) -> "Output | None":
        """The last activation together with the loss; None if either is unknown or nothing can mismatch."""
        if not self.layers or not isinstance(self.layers[-1], Dense | Activation):
            return None
        activation = self.layers[-1].activation or "linear"
        lowered, takes_over = self.loss.lower(key_of(activation))
        kernel = lowered.kernel if isinstance(lowered.kernel, str) else self.loss.kernel
        known = None if kernel is None else registry.loss(kernel)
        asked, units = registry.activation(key_of(activation)), _units(self.layers)
        head = key_of(activation) if takes_over else "linear"
        metrics = {name_of(m): lower(m, lowered, units, head, asked.gives) for m in self.metrics if units}
        given = str(activation), asked.gives, asked.gives_negative, units
        return Output(*given, self.loss, known, takes_over, metrics)


@dataclass(frozen=True)
class Output:
    """A last activation, the range of its outputs, and the loss applied to them."""

    activation: str
    gives: str
    gives_negative: bool
    units: int
    loss: Loss
    kernel: registry.Loss | None
    """The kernel that computes the loss, or an equivalent one; None for a custom loss."""
    takes_over: bool
    metrics: Mapping[str, Metric]
    """Metrics by name, if the number of outputs is known."""

    @property
    def is_one_class(self) -> bool:
        """Whether there is only one class, whose probability is always 1."""
        is_categorical = self.kernel is not None and self.kernel.outputs == "categorical"
        return self.units == 1 and (self.gives == "categorical" or is_categorical)

    @property
    def scores(self) -> str:
        """What the loss expects, if that can mismatch; otherwise empty."""
        return "" if self.kernel is None or self.is_one_class else self.kernel.scores

    @property
    def loss_name(self) -> str:
        """Name of the loss, as users write it."""
        return repr(self.loss.kernel) if isinstance(self.loss, KernelLoss) else type(self.loss).__name__


@check("zero gradient", "compile")
def zero_gradient(parts: Parts) -> Iterator[str]:
    """An activation whose gradient is zero everywhere, which keeps the layers before it from learning."""
    names = parts.names
    for index, layer in enumerate(parts.layers):
        activation = layer.activation if isinstance(layer, Dense | Activation) else None
        before = zip(names, parts.layers[: index + 1], strict=False)
        kept = [name for name, other in before if isinstance(other, Dense) and other.trainable]
        if kept and activation is not None and registry.activation(key_of(activation)).has_zero_gradient:
            yield (
                f"the activation {str(activation)!r} has gradient 0 everywhere: {', '.join(kept)} will not learn "
                "through it. Train with a smooth activation, such as 'sigmoid', and round the predictions"
            )


@check("one-unit softmax", "compile")
def one_unit(parts: Parts) -> Iterator[str]:
    """Softmax or categorical cross-entropy with a single unit, so that there is only one class."""
    if parts.output is not None and parts.output.is_one_class:
        yield (
            "the last layer has one unit, so there is one class with probability 1 and nothing to learn. For two "
            "classes use Dense(1, activation='sigmoid') with loss='binary_crossentropy', otherwise one unit per class"
        )


@check("probabilities as logits", "compile")
def probabilities_as_logits(parts: Parts) -> Iterator[str]:
    """A softmax or sigmoid before a loss on logits, which applies it again."""
    output = parts.output
    if output is not None and output.scores == "logits" and not output.takes_over and output.gives != "values":
        yield (
            f"the last layer's {output.activation!r} already outputs probabilities, but the loss {output.loss_name} "
            "expects logits and would apply it a second time: leave out the activation"
            + (", or use from_logits=False" if output.loss.fused is not None else "")
        )


@check("no probabilities", "compile")
def no_probabilities(parts: Parts) -> Iterator[str]:
    """A cross-entropy on outputs that are not probabilities."""
    output = parts.output
    if output is None or output.scores != "probabilities" or output.gives != "values" or output.kernel is None:
        return
    fitting = output.loss.fused[0] if output.loss.fused is not None else FITTING.get(output.kernel.outputs)
    yield (
        f"the last layer's {output.activation!r} outputs arbitrary numbers, but the loss {output.loss_name} expects "
        f"probabilities and is wrong for others: use activation={fitting!r} there"
        + (f", or loss=dk.losses.{output.loss_name}(from_logits=True)" if output.loss.fused is not None else "")
    )


@check("numbers below 0", "compile")
def numbers_below_zero(parts: Parts) -> Iterator[str]:
    """Outputs that may be negative, where the loss is undefined."""
    output = parts.output
    if output is not None and output.scores == "not negative" and output.gives_negative:
        yield (
            f"the last layer's {output.activation!r} may output numbers below 0, for which the loss {output.loss_name} "
            "is undefined: use activation='softplus' there"
        )


@check("sigmoid for classes", "compile")
def sigmoid_for_classes(parts: Parts) -> Iterator[str]:
    """Independent probabilities per class, where the loss expects exactly one class."""
    output = parts.output
    if output is None or output.scores != "probabilities" or output.gives != "binary" or output.kernel is None:
        return
    if output.kernel.outputs == "categorical":
        yield (
            f"the last layer's {output.activation!r} gives each output an independent probability, and "
            f"{output.loss_name} is minimal when all of them are 1, whatever the class: use activation='softmax' for "
            "one of several classes, or loss='binary_crossentropy' for several labels at once"
        )


@check("accuracy of logits", "compile")
def accuracy_of_logits(parts: Parts) -> Iterator[str]:
    """A metric that compares class logits with ½."""
    output = parts.output
    if output is None or output.takes_over or output.scores != "logits" or output.kernel is None:
        return
    for metric in _with_threshold(output) if output.kernel.outputs == "categorical" else ():
        yield (
            f"the metric {metric!r} tests whether each output is above 1/2, but the outputs are logits of classes: "
            "use 'categorical_accuracy'"
        )


@check("accuracy on a regression", "compile")
def accuracy_on_a_regression(parts: Parts) -> Iterator[str]:
    """A metric that compares an unbounded single output with ½."""
    output = parts.output
    if output is None or output.kernel is None or output.kernel.outputs != "values" or output.gives != "values":
        return
    for metric in _with_threshold(output) if output.units == 1 else ():
        yield (
            f"the metric {metric!r} tests whether output and target are on the same side of 1/2, which is meaningless "
            "for a regression: use 'mean_absolute_error' or 'r2_score'; for two classes use Dense(1, "
            "activation='sigmoid')"
        )


def _with_threshold(output: Output) -> Iterator[str]:
    """Names of the metrics that compare with ½."""
    for name, metric in output.metrics.items():
        if isinstance(metric.kernel, str) and registry.metric(metric.kernel).has_threshold:
            yield name


def _units(layers: Sequence[Layer]) -> int:
    """Number of outputs; 0 if the layers do not determine it before they see data."""
    for layer in reversed(layers):
        if isinstance(layer, Dense):
            return layer.units
        if not isinstance(layer, Activation | Dropout | Flatten | Rescaling):
            break
    return 0
