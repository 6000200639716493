"""Elementwise losses: each output has a loss, and the loss of a row is their mean.

Classes without additional fields are not decorated as dataclasses: creating one adds 0.4 ms to every import.
"""

from collections.abc import Sequence
from dataclasses import KW_ONLY
from typing import ClassVar

from dnnkit.base_loss import LOSSES, OUTPUT_WEIGHTS, QUANTILES, Loss
from dnnkit.deferred import dataclass
from dnnkit.settings import POSITIVE


@dataclass(frozen=True)
class OfValues(Loss):
    """Base of elementwise losses, which are averaged over outputs.

    Arguments:
        output_weights: weight of each output in the mean, which is divided by the sum of weights; default None for
            equal weights.
    """

    _: KW_ONLY
    output_weights: Sequence[float] | None = None

    expects: ClassVar = {"output_weights": OUTPUT_WEIGHTS}


@LOSSES.named("mean_squared_error", "mse")
class MeanSquaredError(OfValues):
    """(y - t)², mean over rows and outputs.

    Arguments:
        output_weights: weight of each output in the mean, which is divided by their sum; default equal weights.
    """

    kernel = "mean_squared_error"


@LOSSES.named("sum_squared_error")
class SumSquaredError(OfValues):
    """½ Σ (y - t)², summed over rows and outputs.

    Arguments:
        output_weights: factor of each output's part of the sum; default 1.
    """

    kernel = "sum_squared_error"


@LOSSES.named("mean_absolute_error", "mae")
class MeanAbsoluteError(OfValues):
    """|y - t|, mean over rows and outputs.

    Arguments:
        output_weights: weight of each output in the mean, which is divided by their sum; default equal weights.
    """

    kernel = "mean_absolute_error"


@LOSSES.named("huber")
@dataclass(frozen=True)
class Huber(OfValues):
    """½ (y - t)² where |y - t| ≤ delta, otherwise delta (|y - t| - delta / 2); mean over rows and outputs.

    Arguments:
        delta: distance from which the loss is linear, above 0; default 1.
        output_weights: weight of each output in the mean, which is divided by their sum; default equal weights.
    """

    delta: float = 1.0

    kernel = "huber"
    expects: ClassVar = {**OfValues.expects, "delta": POSITIVE}


@LOSSES.named("log_cosh", "logcosh")
class LogCosh(OfValues):
    """log cosh(y - t), mean over rows and outputs.

    Arguments:
        output_weights: weight of each output in the mean, which is divided by their sum; default equal weights.
    """

    kernel = "log_cosh"


@LOSSES.named("poisson")
class Poisson(OfValues):
    """Poisson loss y - t log(y + 1e-7), mean over rows and outputs.

    Targets t are counts, y their expected values: end the network with "softplus".

    Arguments:
        output_weights: weight of each output in the mean, which is divided by their sum; default equal weights.
    """

    kernel = "poisson"


@LOSSES.named("gamma")
class Gamma(OfValues):
    """Gamma deviance 2 (t / y - 1 - log(t / y)), mean over rows and outputs.

    Targets t must be above 0: end the network with "softplus".

    Arguments:
        output_weights: weight of each output in the mean, which is divided by their sum; default equal weights.
    """

    kernel = "gamma"


@LOSSES.named("quantile")
@dataclass(frozen=True)
class Quantile(OfValues):
    """Pinball loss, minimised by the quantile q of the targets.

    It is q (t - y) where t > y, otherwise (1 - q) (y - t); mean over rows and outputs.

    Arguments:
        quantile: q between 0 and 1, or one per output, such as [0.1, 0.5, 0.9]; default 0.5. To estimate several
            quantiles of a quantity, repeat it in the targets, one column per quantile.
        output_weights: weight of each output in the mean, which is divided by their sum; default equal weights.
    """

    quantile: float | Sequence[float] = 0.5

    kernel = "quantile"
    expects: ClassVar = {**OfValues.expects, "quantile": QUANTILES}


@LOSSES.named("hinge")
class Hinge(OfValues):
    """max(0, 1 - s y) with s = -1 or 1, mean over rows and outputs; targets are 0 and 1, or -1 and 1.

    Arguments:
        output_weights: weight of each output in the mean, which is divided by their sum; default equal weights.
    """

    kernel = "hinge"


@LOSSES.named("squared_hinge")
class SquaredHinge(OfValues):
    """max(0, 1 - s y)², mean over rows and outputs; targets as for `Hinge`.

    Arguments:
        output_weights: weight of each output in the mean, which is divided by their sum; default equal weights.
    """

    kernel = "squared_hinge"
