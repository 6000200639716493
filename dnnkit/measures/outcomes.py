"""What is found and what is missed: precision, recall, F1, balanced accuracy, the area under the ROC curve."""

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
    """A share of true positives. Of classes, the predicted one is that of the largest output."""

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
                raise self._unsuitable(f"of {outputs} outputs has no average 'binary': use 'micro' or 'macro'")
            found = average or ("binary" if of == "one" else "micro")
            finish = finishing.Outcomes(self.share, found, of)
            share = checked_share(self, self.threshold, answers)
            return answers.describe(self.called, "outcomes", share=share, finish=finish)
        if self.threshold != 0.5:
            raise self._unsuitable(
                f"has threshold={self.threshold:g}, but the class of the largest output is predicted, however large "
                "that is: leave out the threshold"
            )
        if average in (None, "binary") and outputs != 2:
            raise self._unsuitable(
                f"of {outputs} classes is one number per class: say how to average them, such as "
                f"dk.metrics.{type(self).__name__}(average='macro')"
            )
        finish = finishing.Outcomes(self.share, average or "binary", "classes")
        return answers.describe(self.called, "class_outcomes", finish=finish)


@METRICS.named("precision")
class Precision(_OfOutcomes):
    """The share of what is predicted that is so.

    Arguments:
        threshold: above which an output predicts "yes".
        average: None for one output, or for the second of two classes; of several outputs with answers of their own,
            None is "micro", as in Keras: of all answers together. "macro" is the mean over classes or outputs,
            "weighted" that weighted by how often they occur, as in scikit-learn; for one output, over both classes.
        name: what logs call it.
    """

    share = "precision"


@METRICS.named("recall")
class Recall(_OfOutcomes):
    """The share of what is so that is predicted; arguments as those of `Precision`."""

    share = "recall"


@METRICS.named("f1_score", "f1")
class F1Score(_OfOutcomes):
    """The harmonic mean of precision and recall; arguments as those of `Precision`."""

    share = "f1"


@METRICS.named("balanced_accuracy")
@dataclass(frozen=True)
class BalancedAccuracy(Metric):
    """The mean recall of the classes that occur, as in scikit-learn: ½ or 1/C for who guesses, however rare one is."""

    threshold: float = 0.5

    expects: ClassVar = {"threshold": FINITE}
    kernels = ("outcomes", "class_outcomes")

    def lower(self, answers: Answers) -> MetricDescription:  # noqa: D102
        from dnnkit.measures import finishing

        if answers.are_classes:
            return answers.describe(self.called, "class_outcomes", finish=finishing.BalancedRecall("classes"))
        if answers.outputs > 1:
            raise self._unsuitable(
                f"is one of classes, but the {answers.outputs} outputs are answers of their own: use "
                "dk.metrics.Recall(average='macro')"
            )
        share = checked_share(self, self.threshold, answers)
        return answers.describe(self.called, "outcomes", share=share, finish=finishing.BalancedRecall("one"))


@METRICS.named("auc")
class AUC(Metric):
    """The area under the ROC curve: how often a row that is so has a higher score than one that is not.

    Of several outputs, the mean over outputs, of classes each against the rest (scikit-learn's `average="macro"`,
    `multi_class="ovr"`). NaN where rows of one kind are missing. `evaluate` and validation compute it from all
    predictions. While training, it is an estimate from histograms of 512 bins, equally wide in log odds, and shown as
    "auc ≈ 0.93".
    """

    kernels = ("score_histogram",)

    def lower(self, answers: Answers) -> MetricDescription:  # noqa: D102
        from dnnkit.measures import finishing

        kernel, outputs = answers.kernel, answers.outputs
        if answers.are_classes and kernel is not None and kernel.scores == "logits" and answers.head == "linear":
            raise self._unsuitable(
                "compares probabilities between rows, but the outputs are logits of classes: use activation='softmax' "
                "in the last layer, and leave out from_logits"
            )
        if answers.are_classes and outputs == 1:
            raise self._unsuitable("needs rows of two classes, but there is one: use a unit for each class")
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
