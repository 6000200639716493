"""What a metric is, and what it must know of a network."""

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
"""Classes of `Metric`, and functions that were registered."""


@dataclass(frozen=True)
class Answers:
    """What a metric must know of a network's outputs and its loss.

    Attributes:
        loss: as backends see it.
        outputs: how many there are.
        head: the activation that the loss has taken over.
        gives: what the last activation gives, in the words of `kernels.registry.Activation.gives`.
    """

    loss: Loss
    outputs: int
    head: str = "linear"
    gives: str = "values"

    @property
    def kernel(self) -> kernels.Loss | None:
        """That of the loss; None of your own."""
        return kernels.loss(self.loss.kernel) if isinstance(self.loss.kernel, str) else None

    @property
    def is_binary(self) -> bool:
        """Whether the loss takes each output for the answer to a question of its own."""
        return self.kernel is not None and self.kernel.outputs == "binary"

    @property
    def are_classes(self) -> bool:
        """Whether the outputs are a choice of one class."""
        return self.loss.targets == "labels" or (self.outputs > 1 and not self.is_binary)

    @property
    def are_logits(self) -> bool:
        """Whether a number among the scores means ½ of each prediction, which is 0."""
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
        """A metric of that name and kernel; `share` is what a kernel with a threshold compares predictions with."""
        found, threshold, on_predictions = kernels.metric(kernel), share, False
        if found.has_threshold:
            threshold = log(share / (1 - share)) if self.are_logits else share
            on_predictions = not self.are_logits and self.head != "linear"
        sums = found.number_of_sums(self.outputs)
        return MetricDescription(name, kernel, threshold, on_predictions, sums, finish, exact)


@dataclass(frozen=True)
class Metric(Settings):
    """Base of dnnkit's metrics. `name` is what logs and History call it, by default its name in lists of metrics.

    Classes without fields of their own are no dataclasses of their own: to make one takes 0.4 ms of each import.
    """

    name: str | None = field(default=None, kw_only=True)

    higher_is_better: ClassVar[bool] = True
    kernels: ClassVar[tuple[str, ...]] = ()
    """The metric kernels that it is computed by, which are no metrics by their own names."""

    @property
    def called(self) -> str:
        """Its name in logs."""
        return self.name or self.registered

    @property
    def registered(self) -> str:
        """The first name that stands for its class; else the class's in small letters."""
        found = (name for name in METRICS if METRICS[name] is type(self))
        return next(found, re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(self).__name__).lower())

    def lower(self, answers: Answers) -> MetricDescription:
        """As backends see it; raises `ConfigurationError` where it says nothing of such outputs."""
        raise NotImplementedError(f"{type(self).__name__} has no lower")

    def _unsuitable(self, why: str) -> ConfigurationError:
        return ConfigurationError(f"the metric {self.called!r} {why}")


def checked_share(metric: Metric, threshold: float, answers: Answers) -> float:
    """The threshold, if predictions can be on both sides of it."""
    if answers.is_binary and not 0 < threshold < 1:
        raise ConfigurationError(
            f"the metric {metric.called!r} has threshold={threshold:g}: expected a probability between 0 and 1, also "
            "where the outputs are logits"
        )
    return threshold
