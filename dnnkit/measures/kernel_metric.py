"""Metric kernels as metrics under their own names."""

from dnnkit.backends.measures import Metric as MetricDescription
from dnnkit.deferred import dataclass
from dnnkit.kernels import registry as kernels
from dnnkit.measures.base import Answers, Metric


@dataclass(frozen=True)
class KernelMetric(Metric):
    """A metric kernel under its own name; if it has several sums, its package's `finish` combines them."""

    kernel: str = ""

    @property
    def registered(self) -> str:  # noqa: D102
        return self.kernel

    @property
    def higher_is_better(self) -> bool:  # type: ignore[override] # an instance attribute here, a class attribute elsewhere
        """As declared by the kernel's package."""
        return kernels.metric(self.kernel).higher_is_better

    def lower(self, answers: Answers) -> MetricDescription:  # noqa: D102
        return answers.describe(self.called, self.kernel, finish=kernels.metric(self.kernel).finish)
