"""Losses of values: each output has a loss of its own, and a row's is their mean.

Classes without fields of their own are no dataclasses of their own: to make one takes 0.4 ms of each import.
"""

from collections.abc import Sequence
from dataclasses import KW_ONLY
from typing import ClassVar

from dnnkit.base_loss import LOSSES, OUTPUT_WEIGHTS, QUANTILES, Loss
from dnnkit.deferred import dataclass
from dnnkit.settings import POSITIVE


@dataclass(frozen=True)
class OfValues(Loss):
    """A loss of values: each output has a loss of its own, and they are averaged.

    Arguments:
        output_weights: the loss of each output counts so much, None for all alike. The average is over the sum of
            weights.
    """

    _: KW_ONLY
    output_weights: Sequence[float] | None = None

    expects: ClassVar = {"output_weights": OUTPUT_WEIGHTS}


@LOSSES.named("mean_squared_error", "mse")
class MeanSquaredError(OfValues):
    """Mean over rows and outputs of (y - t)². `output_weights` as in all losses of values."""

    kernel = "mean_squared_error"


@LOSSES.named("sum_squared_error")
class SumSquaredError(OfValues):
    """½ Σ (y - t)², over outputs and rows; `output_weights` multiply each output's part."""

    kernel = "sum_squared_error"


@LOSSES.named("mean_absolute_error", "mae")
class MeanAbsoluteError(OfValues):
    """Mean over rows and outputs of |y - t|."""

    kernel = "mean_absolute_error"


@LOSSES.named("huber")
@dataclass(frozen=True)
class Huber(OfValues):
    """½ (y - t)² within the distance `delta`, else delta (|y - t| - delta / 2); mean over rows and outputs."""

    delta: float = 1.0

    kernel = "huber"
    expects: ClassVar = {**OfValues.expects, "delta": POSITIVE}


@LOSSES.named("log_cosh", "logcosh")
class LogCosh(OfValues):
    """log cosh(y - t), mean over rows and outputs."""

    kernel = "log_cosh"


@LOSSES.named("poisson")
class Poisson(OfValues):
    """y - t log(y + 1e-7), mean over rows and outputs: counts t, expected y. End with "softplus"."""

    kernel = "poisson"


@LOSSES.named("gamma")
class Gamma(OfValues):
    """The gamma deviance 2 (t / y - 1 - log(t / y)), mean over rows and outputs: t above 0. End with "softplus"."""

    kernel = "gamma"


@LOSSES.named("quantile")
@dataclass(frozen=True)
class Quantile(OfValues):
    """Least for the quantile q of the targets: q (t - y) above y, (1 - q) (y - t) below; mean over rows and outputs.

    Arguments:
        quantile: between 0 and 1, or one for each output, such as [0.1, 0.5, 0.9]. What is to be estimated with several
            quantiles is repeated in the targets, a column for each.
    """

    quantile: float | Sequence[float] = 0.5

    kernel = "quantile"
    expects: ClassVar = {**OfValues.expects, "quantile": QUANTILES}


@LOSSES.named("hinge")
class Hinge(OfValues):
    """max(0, 1 - s y) with s = -1 for no, 1 for yes, mean over rows and outputs; targets are 0 and 1, or -1 and 1."""

    kernel = "hinge"


@LOSSES.named("squared_hinge")
class SquaredHinge(OfValues):
    """max(0, 1 - s y)², as `Hinge`."""

    kernel = "squared_hinge"
