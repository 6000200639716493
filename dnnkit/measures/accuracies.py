"""How often predictions are right."""

from typing import ClassVar

from dnnkit.backends.measures import Metric as MetricDescription
from dnnkit.deferred import dataclass
from dnnkit.measures.base import METRICS, Answers, Metric, checked_share
from dnnkit.settings import FINITE, whole


@METRICS.named("accuracy", "acc")
class Accuracy(Metric):
    """The accuracy that suits the loss: categorical for class labels and for several outputs, else binary.

    Under a binary cross-entropy, several outputs are answers of their own: then it is binary, too.
    """

    kernels = ("binary_accuracy", "categorical_accuracy")

    def lower(self, answers: Answers) -> MetricDescription:  # noqa: D102
        return answers.describe(self.called, "categorical_accuracy" if answers.are_classes else "binary_accuracy")


@METRICS.named("binary_accuracy")
@dataclass(frozen=True)
class BinaryAccuracy(Metric):
    """The share of outputs that are above the threshold where their targets are above ½."""

    threshold: float = 0.5

    expects: ClassVar = {"threshold": FINITE}
    kernels = ("binary_accuracy",)

    def lower(self, answers: Answers) -> MetricDescription:  # noqa: D102
        return answers.describe(self.called, "binary_accuracy", share=checked_share(self, self.threshold, answers))


@METRICS.named("categorical_accuracy")
class CategoricalAccuracy(Metric):
    """The share of rows whose largest output is that of their class, which targets say as a label or as a row."""

    kernels = ("categorical_accuracy",)

    def lower(self, answers: Answers) -> MetricDescription:  # noqa: D102
        return answers.describe(self.called, "categorical_accuracy")


@METRICS.named("sparse_categorical_accuracy")
class SparseCategoricalAccuracy(CategoricalAccuracy):
    """The same under the name that Keras has where targets are labels."""


@METRICS.named("top_k_categorical_accuracy")
@dataclass(frozen=True)
class TopKCategoricalAccuracy(Metric):
    """The share of rows whose class is among those of their k largest outputs; of equal ones, the first is larger."""

    k: int = 5

    expects: ClassVar = {"k": whole(1, 1 << 20)}
    kernels = ("top_k_categorical_accuracy",)

    def lower(self, answers: Answers) -> MetricDescription:  # noqa: D102
        if not answers.are_classes:
            raise self._unsuitable("asks which class is right, but the outputs are no classes: use 'binary_accuracy'")
        if self.k >= answers.outputs:
            raise self._unsuitable(
                f"of k={self.k} among {answers.outputs} classes is always right: use "
                "dk.metrics.TopKCategoricalAccuracy(k=...) with fewer"
            )
        return answers.describe(self.called, "top_k_categorical_accuracy", share=float(self.k))


@METRICS.named("sparse_top_k_categorical_accuracy")
class SparseTopKCategoricalAccuracy(TopKCategoricalAccuracy):
    """The same under the name that Keras has where targets are labels."""
