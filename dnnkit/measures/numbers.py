"""Errors of numerical predictions."""

from dnnkit.backends.measures import Metric as MetricDescription
from dnnkit.measures.base import METRICS, Answers, Metric


class _OfNumbers(Metric):
    """A metric of numerical predictions and targets."""

    higher_is_better = False

    def _check(self, answers: Answers) -> None:
        if answers.loss.targets == "labels":
            raise self._unsuitable(
                "compares numbers, but the targets are class labels: use 'accuracy', or one-hot rows with "
                "loss='categorical_crossentropy'"
            )


@METRICS.named("mean_absolute_error", "mae")
class MeanAbsoluteError(_OfNumbers):
    """|y - t|, mean over rows and outputs."""

    kernels = ("absolute_error",)

    def lower(self, answers: Answers) -> MetricDescription:  # noqa: D102
        self._check(answers)
        return answers.describe(self.called, "absolute_error")


@METRICS.named("mean_squared_error", "mse")
class MeanSquaredError(_OfNumbers):
    """(y - t)², mean over rows and outputs."""

    kernels = ("squared_error",)

    def lower(self, answers: Answers) -> MetricDescription:  # noqa: D102
        self._check(answers)
        return answers.describe(self.called, "squared_error")


@METRICS.named("root_mean_squared_error", "rmse")
class RootMeanSquaredError(_OfNumbers):
    """Square root of the mean squared error over all rows and outputs, as in Keras."""

    kernels = ("squared_error",)

    def lower(self, answers: Answers) -> MetricDescription:  # noqa: D102
        from dnnkit.measures import finishing

        self._check(answers)
        return answers.describe(self.called, "squared_error", finish=finishing.RootOfMean())


@METRICS.named("r2_score", "r2")
class R2Score(_OfNumbers):
    """Coefficient of determination 1 - Σ(y - t)² / Σ(t - mean)², mean over outputs: 1 is best, 0 is as the mean."""

    higher_is_better = True
    kernels = ("variation",)

    def lower(self, answers: Answers) -> MetricDescription:  # noqa: D102
        from dnnkit.measures import finishing

        self._check(answers)
        return answers.describe(self.called, "variation", finish=finishing.Determination())
