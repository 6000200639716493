"""Base class of metrics, and what they need to know about a network."""

import re
from collections.abc import Callable
from dataclasses import field
from math import log
from typing import Any, ClassVar, Literal, TypeAlias

from dnnkit.backends.measures import Exact, Finish, Loss
from dnnkit.backends.measures import Metric as MetricDescription
from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError
from dnnkit.kernels import registry as kernels
from dnnkit.own_metrics import FORM
from dnnkit.registry import Registry
from dnnkit.settings import Settings

Average: TypeAlias = Literal["binary", "micro", "macro", "weighted"]

METRICS: Registry[Callable[..., Any]] = Registry("metric", FORM, callable)
"""Classes of `Metric`, and registered functions."""


@dataclass(frozen=True)
class Answers:
    """What a metric needs to know about a network's outputs and its loss.

    Attributes:
        loss: the loss as backends see it.
        outputs: number of outputs.
        head: the activation fused with the loss.
        gives: what the last activation outputs, as in `kernels.registry.Activation.gives`.
    """

    loss: Loss
    outputs: int
    head: str = "linear"
    gives: str = "values"

    @property
    def kernel(self) -> kernels.Loss | None:
        """The kernel of the loss; None for a custom loss."""
        return kernels.loss(self.loss.kernel) if isinstance(self.loss.kernel, str) else None

    @property
    def is_binary(self) -> bool:
        """Whether the loss treats each output as an independent binary answer."""
        return self.kernel is not None and self.kernel.outputs == "binary"

    @property
    def are_classes(self) -> bool:
        """Whether the outputs are scores of classes, of which one is right."""
        return self.loss.targets == "labels" or (self.outputs > 1 and not self.is_binary)

    @property
    def are_logits(self) -> bool:
        """Whether scores are logits, so that 0 corresponds to the probability ½."""
        return self.is_binary and self.kernel is not None and self.kernel.scores == "logits"

    def describe(
        self,
        name: str,
        kernel: str,
        *,
        share: float = 0.5,
        finish: Finish | None = None,
        exact: Exact | None = None,
    ) -> MetricDescription:
        """Describe a metric by name and kernel; `share` is the threshold for predictions, if the kernel has one."""
        found, threshold, on_predictions = kernels.metric(kernel), share, False
        if found.has_threshold:
            threshold = log(share / (1 - share)) if self.are_logits else share
            on_predictions = not self.are_logits and self.head != "linear"
        sums = found.number_of_sums(self.outputs)
        return MetricDescription(name, kernel, threshold, on_predictions, sums, finish, exact)


@dataclass(frozen=True)
class Metric(Settings):
    """Base class of dnnkit's metrics.

    Classes without additional fields are not decorated as dataclasses: creating one adds 0.4 ms to every import.

    Arguments:
        name: name in logs and History; default the registered name.
    """

    name: str | None = field(default=None, kw_only=True)

    higher_is_better: ClassVar[bool] = True
    kernels: ClassVar[tuple[str, ...]] = ()
    """Metric kernels that compute it; these are then not metrics by their own names."""

    @property
    def called(self) -> str:
        """Name in logs."""
        return self.name or self.registered

    @property
    def registered(self) -> str:
        """First registered name of the class; otherwise the class name in snake case."""
        found = (name for name in METRICS if METRICS[name] is type(self))
        return next(found, re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(self).__name__).lower())

    def lower(self, answers: Answers) -> MetricDescription:
        """Return the metric as backends see it; raise `ConfigurationError` if not defined for such outputs."""
        raise NotImplementedError(f"{type(self).__name__} has no lower")

    def _unsuitable(self, why: str) -> ConfigurationError:
        return ConfigurationError(f"the metric {self.called!r} {why}")


def checked_share(metric: Metric, threshold: float, answers: Answers) -> float:
    """Return the threshold; raise if predictions cannot be on both sides of it."""
    if answers.is_binary and not 0 < threshold < 1:
        raise ConfigurationError(
            f"the metric {metric.called!r} has threshold={threshold:g}: expected a probability between 0 and 1, even "
            "if the outputs are logits"
        )
    return threshold
