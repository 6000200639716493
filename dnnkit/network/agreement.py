"""Whether a network's output, its loss and its metrics go together: what trains all the same, into nonsense.

What a loss takes is in its kernel (`scores`, `outputs` in kernels/registry.py), what an activation gives is asked of it
(`gives`). Of layers, losses and activations that dnnkit does not know so much about, nothing is said.
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
"""The activation whose outputs are what such a loss takes, where the loss names none."""


def warn_of_disagreement(graph: Graph, goals: Sequence[Goal]) -> None:
    """A `TrainingWarning`, with the cure, for each thing that does not go together.

    Raises:
        ConfigurationError: a metric says nothing of such outputs; of outputs that are not known yet, `build` says so.
    """
    for place, goal in enumerate(goals):
        if goal.loss is not None:
            named = graph.before_output(place)
            layers, names = [layer for _, layer in named], [name for name, _ in named]
            warn(checks_at("compile"), Parts(layers, goal.loss, goal.metrics, names))


@dataclass(frozen=True)
class Parts:
    """What `compile` puts together."""

    layers: Sequence[Layer]
    loss: Loss
    metrics: Sequence[Given]
    names: Sequence[str] = ()
    """Of the layers."""

    @cached_property
    def output(self) -> "Output | None":
        """The network's output beside its loss, where both are known and there is something to choose from."""
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
    """A last activation, what it gives, and the loss that takes it."""

    activation: str
    gives: str
    gives_negative: bool
    units: int
    loss: Loss
    kernel: registry.Loss | None
    """The kernel that computes the loss, or one of the same meaning; None for a loss of the user's own."""
    takes_over: bool
    metrics: Mapping[str, Metric]
    """By their names, where the number of outputs is known."""

    @property
    def is_one_class(self) -> bool:
        """Whether there is one class, which is always certain."""
        is_categorical = self.kernel is not None and self.kernel.outputs == "categorical"
        return self.units == 1 and (self.gives == "categorical" or is_categorical)

    @property
    def scores(self) -> str:
        """What the loss takes, where that can be wrong; empty if not."""
        return "" if self.kernel is None or self.is_one_class else self.kernel.scores

    @property
    def loss_name(self) -> str:
        """The loss, as its user knows it."""
        return repr(self.loss.kernel) if isinstance(self.loss, KernelLoss) else type(self.loss).__name__


@check("zero gradient", "compile")
def zero_gradient(parts: Parts) -> Iterator[str]:
    """An activation whose gradient is zero everywhere, so that the layers before it do not learn."""
    names = parts.names
    for index, layer in enumerate(parts.layers):
        activation = layer.activation if isinstance(layer, Dense | Activation) else None
        before = zip(names, parts.layers[: index + 1], strict=False)
        kept = [name for name, other in before if isinstance(other, Dense) and other.trainable]
        if kept and activation is not None and registry.activation(key_of(activation)).has_zero_gradient:
            yield (
                f"the activation {str(activation)!r} has gradient 0 everywhere: {', '.join(kept)} will not learn "
                "through it. Train with a smooth one, such as 'sigmoid', and round its predictions"
            )


@check("one-unit softmax", "compile")
def one_unit(parts: Parts) -> Iterator[str]:
    """A choice of one class among one: softmax or categorical cross-entropy of a single unit."""
    if parts.output is not None and parts.output.is_one_class:
        yield (
            "the last layer has one unit, so one class, which is always certain: nothing is learned. For two classes "
            "use Dense(1, activation='sigmoid') with loss='binary_crossentropy', else a unit for each class"
        )


@check("probabilities as logits", "compile")
def probabilities_as_logits(parts: Parts) -> Iterator[str]:
    """A softmax or sigmoid before a loss on logits, which applies it again."""
    output = parts.output
    if output is not None and output.scores == "logits" and not output.takes_over and output.gives != "values":
        yield (
            f"the last layer's {output.activation!r} already gives probabilities, but the loss {output.loss_name} on "
            "logits takes them for numbers before that, as if it were applied twice: leave out the activation"
            + (", or else from_logits" if output.loss.fused is not None else "")
        )


@check("no probabilities", "compile")
def no_probabilities(parts: Parts) -> Iterator[str]:
    """A cross-entropy on outputs that are no probabilities."""
    output = parts.output
    if output is None or output.scores != "probabilities" or output.gives != "values" or output.kernel is None:
        return
    fitting = output.loss.fused[0] if output.loss.fused is not None else FITTING.get(output.kernel.outputs)
    yield (
        f"the last layer's {output.activation!r} gives any numbers, but the loss {output.loss_name} takes "
        f"probabilities and is wrong for others: use activation={fitting!r} there"
        + (f", or loss=dk.losses.{output.loss_name}(from_logits=True)" if output.loss.fused is not None else "")
    )


@check("numbers below 0", "compile")
def numbers_below_zero(parts: Parts) -> Iterator[str]:
    """Outputs that may be negative, for a loss that has no value there."""
    output = parts.output
    if output is not None and output.scores == "not negative" and output.gives_negative:
        yield (
            f"the last layer's {output.activation!r} may give numbers below 0, for which the loss {output.loss_name} "
            "has no value: use activation='softplus' there"
        )


@check("sigmoid for classes", "compile")
def sigmoid_for_classes(parts: Parts) -> Iterator[str]:
    """A probability of its own for each class, where a loss takes a choice of one."""
    output = parts.output
    if output is None or output.scores != "probabilities" or output.gives != "binary" or output.kernel is None:
        return
    if output.kernel.outputs == "categorical":
        yield (
            f"the last layer's {output.activation!r} gives each output a probability of its own, and "
            f"{output.loss_name} is least where all of them are 1, whatever the class: use activation='softmax' for "
            "one class of several, or loss='binary_crossentropy' for several answers at once"
        )


@check("accuracy of logits", "compile")
def accuracy_of_logits(parts: Parts) -> Iterator[str]:
    """A metric that compares logits of classes with ½."""
    output = parts.output
    if output is None or output.takes_over or output.scores != "logits" or output.kernel is None:
        return
    for metric in _with_threshold(output) if output.kernel.outputs == "categorical" else ():
        yield (
            f"the metric {metric!r} asks whether each output is above 1/2, but the outputs are logits of classes: "
            "use 'categorical_accuracy'"
        )


@check("accuracy on a regression", "compile")
def accuracy_on_a_regression(parts: Parts) -> Iterator[str]:
    """A metric that compares one output of any value with ½."""
    output = parts.output
    if output is None or output.kernel is None or output.kernel.outputs != "values" or output.gives != "values":
        return
    for metric in _with_threshold(output) if output.units == 1 else ():
        yield (
            f"the metric {metric!r} asks whether output and target are on the same side of 1/2, which says nothing "
            "of a regression: use 'mean_absolute_error' or 'r2_score'; for two classes use Dense(1, "
            "activation='sigmoid')"
        )


def _with_threshold(output: Output) -> Iterator[str]:
    """The names of the metrics that compare with ½."""
    for name, metric in output.metrics.items():
        if isinstance(metric.kernel, str) and registry.metric(metric.kernel).has_threshold:
            yield name


def _units(layers: Sequence[Layer]) -> int:
    """The number of outputs; 0 where the layers do not tell before they see data."""
    for layer in reversed(layers):
        if isinstance(layer, Dense):
            return layer.units
        if not isinstance(layer, Activation | Dropout | Flatten | Rescaling):
            break
    return 0
