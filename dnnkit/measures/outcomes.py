"""Metrics of binary and class decisions: precision, recall, F1, balanced accuracy, area under the ROC curve."""

from typing import Any, ClassVar, Literal, get_args

from dnnkit.backends.measures import Metric as MetricDescription
from dnnkit.deferred import dataclass
from dnnkit.measures.base import METRICS, Answers, Average, Metric, checked_share
from dnnkit.settings import FINITE, Expected


def _average(value: Any) -> str | None:
    if value is not None and (not isinstance(value, str) or value not in get_args(Average)):
        raise ValueError
    return value


AVERAGE = Expected("'binary', 'micro', 'macro', 'weighted' or None", _average)


@dataclass(frozen=True)
class _OfOutcomes(Metric):
    """Ratio of true positives. With classes, the predicted class is that of the largest output."""

    threshold: float = 0.5
    average: Average | None = None

    expects: ClassVar = {"threshold": FINITE, "average": AVERAGE}
    kernels = ("outcomes", "class_outcomes")
    share: ClassVar[Literal["precision", "recall", "f1"]]

    def lower(self, answers: Answers) -> MetricDescription:
        from dnnkit.measures import finishing

        outputs, average = answers.outputs, self.average
        if not answers.are_classes:
            of: Literal["one", "answers"] = "one" if outputs == 1 else "answers"
            if average == "binary" and of == "answers":
                raise self._unsuitable(
                    f"with {outputs} outputs does not support average='binary': use 'micro' or 'macro'"
                )
            found = average or ("binary" if of == "one" else "micro")
            finish = finishing.Outcomes(self.share, found, of)
            share = checked_share(self, self.threshold, answers)
            return answers.describe(self.called, "outcomes", share=share, finish=finish)
        if self.threshold != 0.5:
            raise self._unsuitable(
                f"has threshold={self.threshold:g}, but the predicted class is that of the largest output, whatever "
                "its value: leave out the threshold"
            )
        if average in (None, "binary") and outputs != 2:
            raise self._unsuitable(
                f"with {outputs} classes has one number per class: choose how to average them, such as "
                f"dk.metrics.{type(self).__name__}(average='macro')"
            )
        finish = finishing.Outcomes(self.share, average or "binary", "classes")
        return answers.describe(self.called, "class_outcomes", finish=finish)


@METRICS.named("precision")
class Precision(_OfOutcomes):
    """Precision: fraction of predicted positives that are correct.

    Arguments:
        threshold: outputs above it predict "yes"; default 0.5.
        average: None (default) for one output, for the second of two classes, and, as in Keras, "micro" for several
            independent outputs, which pools all answers. "macro" is the mean over classes or outputs, "weighted" is
            weighted by their frequency, as in scikit-learn; for one output, both average over the two classes.
        name: name in logs, default "precision".
    """

    share = "precision"


@METRICS.named("recall")
class Recall(_OfOutcomes):
    """Recall: fraction of actual positives that are predicted.

    Arguments:
        threshold, average: as for `Precision`.
        name: name in logs, default "recall".
    """

    share = "recall"


@METRICS.named("f1_score", "f1")
class F1Score(_OfOutcomes):
    """F1 score: harmonic mean of precision and recall.

    Arguments:
        threshold, average: as for `Precision`.
        name: name in logs, default "f1_score".
    """

    share = "f1"


@METRICS.named("balanced_accuracy")
@dataclass(frozen=True)
class BalancedAccuracy(Metric):
    """Mean recall over the classes that occur, as in scikit-learn: ½ or 1/C for guessing, however rare a class is.

    Arguments:
        threshold: a single output above it predicts class 1; default 0.5.
        name: name in logs, default "balanced_accuracy".
    """

    threshold: float = 0.5

    expects: ClassVar = {"threshold": FINITE}
    kernels = ("outcomes", "class_outcomes")

    def lower(self, answers: Answers) -> MetricDescription:  # noqa: D102
        from dnnkit.measures import finishing

        if answers.are_classes:
            return answers.describe(self.called, "class_outcomes", finish=finishing.BalancedRecall("classes"))
        if answers.outputs > 1:
            raise self._unsuitable(
                f"needs classes, but the {answers.outputs} outputs are independent answers: use "
                "dk.metrics.Recall(average='macro')"
            )
        share = checked_share(self, self.threshold, answers)
        return answers.describe(self.called, "outcomes", share=share, finish=finishing.BalancedRecall("one"))


@METRICS.named("auc")
class AUC(Metric):
    """Area under the ROC curve: the probability that a positive row has a higher score than a negative one.

    With several outputs, it is the mean over outputs, for classes each against the rest (scikit-learn's
    `average="macro"`, `multi_class="ovr"`). NaN if there are rows of only one kind. `evaluate` and validation compute
    it exactly, from all predictions. During training, it is estimated from histograms with 512 bins of equal width in
    log odds, and shown as "auc ≈ 0.93".

    Arguments:
        name: name in logs, default "auc".
    """

    kernels = ("score_histogram",)

    def lower(self, answers: Answers) -> MetricDescription:  # noqa: D102
        from dnnkit.measures import finishing

        kernel, outputs = answers.kernel, answers.outputs
        if answers.are_classes and kernel is not None and kernel.scores == "logits" and answers.head == "linear":
            raise self._unsuitable(
                "compares probabilities between rows, but the outputs are logits of classes: use activation='softmax' "
                "in the last layer, without from_logits"
            )
        if answers.are_classes and outputs == 1:
            raise self._unsuitable("needs rows of two classes, but there is one: use one unit per class")
        has_probabilities = (
            answers.gives != "values"
            or answers.head != "linear"
            or (kernel is not None and kernel.scores == "probabilities")
        )
        found = answers.describe(
            self.called, "score_histogram", finish=finishing.AreaOfHistograms(outputs), exact=finishing.Area()
        )
        if not has_probabilities and found.threshold:
            return MetricDescription(found.name, found.kernel, 0.0, False, found.sums, found.finish, found.exact)
        return found
