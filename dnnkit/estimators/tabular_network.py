"""The network and optimizer of the preset "tabular": RealMLP's, with narrower layers."""

from typing import Any

from dnnkit import layers
from dnnkit.estimators.aims import Aim, output_activation
from dnnkit.estimators.data import EncodedData
from dnnkit.estimators.embedding import assembled
from dnnkit.estimators.parameters import NORMALIZATIONS
from dnnkit.estimators.settings import Settings
from dnnkit.estimators.solvers import optimizer_of
from dnnkit.initializers import RandomNormal
from dnnkit.losses import MeanSquaredError
from dnnkit.network.whole import WholeNetwork
from dnnkit.optimizers import Optimizer
from dnnkit.regularizers import L2

RATES = {"bias": {"learning_rate_factor": 0.1}, "scale": {"learning_rate_factor": 6.0}}
"""Learning-rate factors by parameter name, as in RealMLP; kernels have factor 1."""


def network_of(
    settings: Settings, data: EncodedData, aim: Aim, seed: int, threads: int | None, penalty: float
) -> WholeNetwork:
    """Return the network: a scale, hidden layers, and a last layer whose kernel starts at zero.

    Arguments:
        settings: settings of the estimator.
        data: the encoded data, for the number of columns and outputs.
        aim: the loss, which determines the last activation.
        seed: seed of the weights and the order of rows.
        threads: maximum number of threads; None for the backend's choice.
        penalty: L2 penalty of kernels.
    """
    regularizer = L2(penalty) if penalty else None
    made: list[Any] = [layers.Scale()]
    for units in settings.hidden_layer_sizes:
        normalize = NORMALIZATIONS.get(settings.normalization or "")
        made.append(
            layers.Dense(
                units,
                activation=settings.activation if normalize is None else None,
                bias_initializer=RandomNormal(1.0),
                kernel_regularizer=regularizer,
                parametrization="ntk",
            )
        )
        if normalize is not None:
            made += [normalize(), layers.Activation(settings.activation)]
        if settings.dropout:
            made.append(layers.Dropout(settings.dropout))
    made.append(
        layers.Dense(
            data.outputs,
            activation=output_activation(aim.loss, data),
            kernel_initializer="zeros",
            kernel_regularizer=regularizer,
            parametrization="ntk",
        )
    )
    options: dict[str, Any] = {"dtype": settings.dtype, "backend": settings.backend, "num_threads": threads}
    return assembled(made, data.columns, data.train.x.shape[1], seed=seed, **options)


def tabular_optimizer(settings: Settings, aim: Aim, steps: int) -> Optimizer:
    """Return the solver, with separate rates for scales and biases unless it is an optimizer object."""
    made = optimizer_of(settings, aim, steps)
    if not isinstance(settings.solver, Optimizer) and not made.full_batch:
        made.groups = RATES
    return made


def metric_of(aim: Aim, data: EncodedData) -> str | None:
    """Return the metric that is computed on held-out rows, or None."""
    if data.task == "regression":
        return "r2_score" if isinstance(aim.loss, MeanSquaredError) else None
    return "accuracy"
