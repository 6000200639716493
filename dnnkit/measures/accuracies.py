"""Accuracies."""

from typing import ClassVar

from dnnkit.backends.measures import Metric as MetricDescription
from dnnkit.deferred import dataclass
from dnnkit.measures.base import METRICS, Answers, Metric, checked_share
from dnnkit.settings import FINITE, whole


@METRICS.named("accuracy", "acc")
class Accuracy(Metric):
    """Accuracy that fits the loss: categorical for classes and for several outputs, otherwise binary.

    With a binary cross-entropy, several outputs are independent answers, so it is binary too.

    Arguments:
        name: name in logs, default "accuracy".
    """

    kernels = ("binary_accuracy", "categorical_accuracy")

    def lower(self, answers: Answers) -> MetricDescription:  # noqa: D102
        return answers.describe(self.called, "categorical_accuracy" if answers.are_classes else "binary_accuracy")


@METRICS.named("binary_accuracy")
@dataclass(frozen=True)
class BinaryAccuracy(Metric):
    """Fraction of outputs that are above the threshold if and only if their targets are above ½.

    Arguments:
        threshold: default 0.5; a probability also if the outputs are logits.
        name: name in logs, default "binary_accuracy".
    """

    threshold: float = 0.5

    expects: ClassVar = {"threshold": FINITE}
    kernels = ("binary_accuracy",)

    def lower(self, answers: Answers) -> MetricDescription:  # noqa: D102
        return answers.describe(self.called, "binary_accuracy", share=checked_share(self, self.threshold, answers))


@METRICS.named("categorical_accuracy")
class CategoricalAccuracy(Metric):
    """Fraction of rows whose largest output is that of their class; targets are labels or one-hot rows.

    Arguments:
        name: name in logs.
    """

    kernels = ("categorical_accuracy",)

    def lower(self, answers: Answers) -> MetricDescription:  # noqa: D102
        return answers.describe(self.called, "categorical_accuracy")


@METRICS.named("sparse_categorical_accuracy")
class SparseCategoricalAccuracy(CategoricalAccuracy):
    """Keras's name of `CategoricalAccuracy` for targets that are labels."""


@METRICS.named("top_k_categorical_accuracy")
@dataclass(frozen=True)
class TopKCategoricalAccuracy(Metric):
    """Fraction of rows whose class is among their k largest outputs; of equal outputs, the first ranks higher.

    Arguments:
        k: number of outputs, less than there are classes; default 5.
        name: name in logs.
    """

    k: int = 5

    expects: ClassVar = {"k": whole(1, 1 << 20)}
    kernels = ("top_k_categorical_accuracy",)

    def lower(self, answers: Answers) -> MetricDescription:  # noqa: D102
        if not answers.are_classes:
            raise self._unsuitable("needs outputs that are classes, but they are not: use 'binary_accuracy'")
        if self.k >= answers.outputs:
            raise self._unsuitable(
                f"with k={self.k} for {answers.outputs} classes is always right: use "
                "dk.metrics.TopKCategoricalAccuracy(k=...) with a smaller k"
            )
        return answers.describe(self.called, "top_k_categorical_accuracy", share=float(self.k))


@METRICS.named("sparse_top_k_categorical_accuracy")
class SparseTopKCategoricalAccuracy(TopKCategoricalAccuracy):
    """Keras's name of `TopKCategoricalAccuracy` for targets that are labels."""
