"""The preset "mlp": the networks and training of scikit-learn's MLPClassifier and MLPRegressor."""

import warnings
from collections.abc import Sequence
from itertools import pairwise
from math import sqrt
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnnkit import layers
from dnnkit.errors import ConfigurationError, TrainingWarning
from dnnkit.estimators.aims import SCORES, Aim, aim_of, output_activation, targets_of
from dnnkit.estimators.budget import Budget, Spent
from dnnkit.estimators.convergence import Convergence
from dnnkit.estimators.data import Curve, EncodedData, Part, Progress
from dnnkit.estimators.embedding import SIZE, assembled, inputs_of
from dnnkit.estimators.members import Members
from dnnkit.estimators.parameters import NORMALIZATIONS
from dnnkit.estimators.presets import OfData, OfParameters, Preset
from dnnkit.estimators.settings import Settings
from dnnkit.estimators.solvers import optimizer_of
from dnnkit.estimators.sparse import fit
from dnnkit.estimators.workers import at_once, each_in_threads
from dnnkit.initializers import RandomUniform, VarianceScaling
from dnnkit.metrics import name_of
from dnnkit.network.whole import WholeNetwork
from dnnkit.regularizers import L2

# -- networks --------------------------------------------------------------------------------------------------------


def network_of(
    settings: Settings,
    data: EncodedData,
    aim: Aim,
    seed: int,
    threads: int | None,
    penalty: float,
    *,
    name: str | None = None,
) -> WholeNetwork:
    """Return the network of scikit-learn's MLP: Glorot uniform kernels and biases, L2 penalty on kernels."""
    codes = len(data.columns.embedded)
    sizes = (data.train.x.shape[1] + (SIZE - 1) * codes, *settings.hidden_layer_sizes, data.outputs)
    last = output_activation(aim.loss, data)
    factor = 1 / 3 if settings.activation == "sigmoid" else 1.0
    made: list[Any] = []
    for number, (inputs, units) in enumerate(pairwise(sizes)):
        is_last = number == len(sizes) - 2
        bound = sqrt(6 * factor / (inputs + units))
        normalize = None if is_last else NORMALIZATIONS.get(settings.normalization or "")
        activation = last if is_last else settings.activation
        made.append(
            layers.Dense(
                units,
                activation=activation if normalize is None else None,
                kernel_initializer=VarianceScaling(factor, average=True, uniform=True),
                bias_initializer=RandomUniform(-bound, bound),
                kernel_regularizer=L2(penalty) if penalty else None,
            )
        )
        if normalize is not None:
            made += [normalize(), layers.Activation(activation)]
        if settings.dropout and not is_last:
            made.append(layers.Dropout(settings.dropout))
    options: dict[str, Any] = {"dtype": settings.dtype, "backend": settings.backend, "num_threads": threads}
    return assembled(made, data.columns, data.train.x.shape[1], seed=seed, name=name, **options)


# -- training --------------------------------------------------------------------------------------------------------


def train(
    data: EncodedData,
    settings: Settings,
    *,
    seeds: Sequence[int],
    progress: Progress | None = None,
    start: Members | None = None,
    epochs: int | None = None,
) -> Members:
    """Train members; see `train_members`."""
    aim, count = aim_of(settings, data), len(seeds)
    if settings.calibration is not None:
        raise ConfigurationError(
            f"calibration is {settings.calibration!r}, which the preset 'mlp' does not support: leave it out, use the "
            "preset 'tabular', or wrap the estimator in scikit-learn's CalibratedClassifierCV"
        )
    budget = Budget(settings.time_budget, count, at_once(settings.n_jobs, count)[0], perf_counter)

    def make(number: int, threads: int) -> tuple[WholeNetwork, Curve] | None:
        before = None if start is None else (start.networks[number], start.curves[number])
        try:
            deadline = budget.deadline()
        except Spent:
            return before
        return _train_one(data, settings, aim, seeds[number], threads, progress, before, epochs, deadline)

    made = each_in_threads(make, range(count), settings.n_jobs)
    if epochs is None and not all(curve.ended for _, curve in made):
        from sklearn.exceptions import ConvergenceWarning

        warnings.warn(
            f"{settings.max_iter} iterations (max_iter) reached and the training has not converged",
            ConvergenceWarning,
            stacklevel=2,
        )
    return Members([net for net, _ in made], [curve for _, curve in made], data.task)


def _train_one(
    data: EncodedData,
    settings: Settings,
    aim: Aim,
    seed: int,
    threads: int,
    progress: Progress | None,
    before: tuple[WholeNetwork, Curve] | None,
    epochs: int | None,
    deadline: float | None,
) -> tuple[WholeNetwork, Curve]:
    part, held_out = data.train, data.validation
    if settings.early_stopping and epochs is None and held_out is None:
        part, held_out = hold_out(part, data.task, settings.validation_fraction, seed)
    full_batch = settings.solver == "lbfgs" or getattr(settings.solver, "full_batch", False)
    batch = part.rows if full_batch else min(settings.batch_size, part.rows)
    mean_weight = 1.0 if part.weights is None else float(part.weights.mean())
    penalty = settings.alpha / (2 * batch * mean_weight * aim.objective)
    steps = settings.max_iter * -(-part.rows // batch)
    if before is None:
        net: WholeNetwork = network_of(settings, data, aim, seed, threads, penalty)
        curve = Curve()
    else:
        net, curve = before
    metric = None if held_out is None else SCORES[data.task]
    if before is None or epochs is None:
        net.compile(optimizer_of(settings, aim, steps), aim.loss, metrics=[] if metric is None else [metric])
    watch = Convergence(
        settings,
        curve,
        rows=part.rows,
        reported=aim.reported,
        rate=aim.objective if settings.solver == "sgd" else 1.0,
        score=None if metric is None else f"val_{name_of(metric)}",
        stops=epochs is None and not full_batch,
        progress=progress,
        deadline=deadline,
    )
    targets = targets_of(aim.loss, part, data, settings.dtype)
    limit = settings.max_iter if epochs is None else epochs
    try:
        if held_out is None and not full_batch and is_little(part, batch) and not settings.callbacks:
            train_on_little(net, part.x, targets, batch, limit, settings.shuffle, watch)
        else:
            validation: tuple[Any, ...] | None = None
            if held_out is not None:
                validation = (held_out.x, targets_of(aim.loss, held_out, data, settings.dtype))
                validation = validation if held_out.weights is None else (*validation, held_out.weights)
            history = fit(
                net,
                part.x,
                targets,
                validation_data=validation,
                batch_size=None if full_batch else batch,
                epochs=limit,
                shuffle=settings.shuffle,
                sample_weight=part.weights,
                callbacks=[watch, *settings.callbacks],
                verbose=0,
            )
            curve.ended = curve.ended or history.ended
    except KeyboardInterrupt:
        if not curve.losses:
            raise
        curve.ended = "it was interrupted"
        warnings.warn("training was interrupted: the networks trained so far are kept", TrainingWarning, stacklevel=2)
    return net, curve


FEW_STEPS = 4
"""Largest number of steps per epoch for which `fit`'s overhead per epoch exceeds the steps themselves."""


def is_little(part: Part, batch: int) -> bool:
    """Return whether epochs are so short that they are run step by step."""
    return isinstance(part.x, np.ndarray) and part.weights is None and part.rows <= FEW_STEPS * batch


def train_on_little(
    net: WholeNetwork, x: NDArray[Any], y: NDArray[Any], batch: int, epochs: int, shuffle: bool, watch: Convergence
) -> None:
    """Train like `fit`, but with `train_step`: an epoch of 150 rows takes a third of the time."""
    rows, order = len(x), np.random.default_rng(net.seed)
    watch.set_model(net)
    watch.on_train_begin()
    net.stop_training = False
    for epoch in range(epochs):
        if rows <= batch:
            loss = net.train_step(inputs_of(net, x), y)
        else:
            numbers, total = order.permutation(rows) if shuffle else np.arange(rows), 0.0
            for first in range(0, rows, batch):
                which = numbers[first : first + batch]
                total += net.train_step(inputs_of(net, x[which]), y[which]) * len(which)
            loss = total / rows
        watch.on_epoch_end(epoch, {"loss": loss})
        if net.stop_training:
            break
    watch.on_train_end()


def hold_out(part: Part, task: str, share: float, seed: int) -> tuple[Part, Part]:
    """Split off a share of the rows, stratified by class; return both parts."""
    from sklearn.model_selection import train_test_split

    rows = np.arange(part.rows)
    stratify = part.y if task in ("binary", "multiclass") else None
    kept, held_out = train_test_split(rows, test_size=share, random_state=seed, stratify=stratify)
    if len(held_out) < 2:
        raise ConfigurationError(
            f"validation_fraction={share} of {part.rows} rows holds out {len(held_out)} rows: expected 2 or more; "
            "increase validation_fraction, or give validation data"
        )
    return part.only(np.sort(kept)), part.only(np.sort(held_out))


MLP = Preset(
    name="mlp",
    train=train,
    values={
        "hidden_layer_sizes": (100,),
        "activation": "relu",
        "solver": "adam",
        "alpha": 1e-4,
        "batch_size": OfData(lambda data: min(200, data.train.rows)),
        "learning_rate": "constant",
        "learning_rate_init": 1e-3,
        "power_t": 0.5,
        "max_iter": 200,
        "shuffle": True,
        "tol": 1e-4,
        "momentum": 0.9,
        "nesterovs_momentum": True,
        "early_stopping": False,
        "validation_fraction": 0.1,
        "beta_1": 0.9,
        "beta_2": 0.999,
        "epsilon": 1e-8,
        "n_iter_no_change": 10,
        "max_fun": 15000,
        "dropout": 0.0,
        "loss": OfData(lambda data: "squared_error" if data.task == "regression" else "log_loss"),
        "schedule": None,
        "normalization": None,
        "label_smoothing": 0.0,
        "encoder": None,
        "n_ensemble": 1,
        "calibration": None,
        "time_budget": None,
        "dtype": OfParameters(lambda given: "float64" if given["solver"] == "lbfgs" else "float32"),
    },
)
