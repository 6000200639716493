"""The preset "tabular": what is good on tables without being tuned.

It begins with RealMLP-TD-S (D. Holzmüller, L. Grinsztajn, I. Steinwart, Better by default, NeurIPS 2024): a trained
scale of each feature, dense layers in the NTK parametrization, rates by kind of parameter, four cycles of the learning
rate, smoothed labels, the best epoch by rows held out. From it, it differs by narrower layers, and by several members,
each of which holds out another part; what they say of it gives the temperature. docs/default.md has the measurements.
"""

import warnings
from collections.abc import Sequence
from threading import Event
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnnkit import layers
from dnnkit.deferred import dataclass
from dnnkit.errors import TrainingWarning
from dnnkit.estimators.aims import Aim, aim_of, output_activation, targets_of
from dnnkit.estimators.budget import Budget, Clock, Spent
from dnnkit.estimators.calibration import as_classes, temperature_of
from dnnkit.estimators.data import Curve, EncodedData, Part, Progress
from dnnkit.estimators.embedding import assembled
from dnnkit.estimators.members import Members, predict
from dnnkit.estimators.parameters import NORMALIZATIONS
from dnnkit.estimators.presets import OfData, Preset
from dnnkit.estimators.settings import Settings
from dnnkit.estimators.solvers import optimizer_of
from dnnkit.estimators.sparse import fit
from dnnkit.estimators.splitting import held_out_rows
from dnnkit.estimators.watching import INTERRUPTED, BestEpoch, Deadline, Telling
from dnnkit.estimators.workers import at_once, each_in_threads
from dnnkit.initializers import RandomNormal
from dnnkit.losses import MeanSquaredError
from dnnkit.network.whole import WholeNetwork
from dnnkit.optimizers import Optimizer
from dnnkit.regularizers import L2

RATES = {"bias": {"learning_rate_factor": 0.1}, "scale": {"learning_rate_factor": 6.0}}
"""Of parameters by name, as RealMLP has them; kernels have the rate itself."""


# -- the network -----------------------------------------------------------------------------------------------------


def network_of(
    settings: Settings, data: EncodedData, aim: Aim, seed: int, threads: int | None, penalty: float
) -> WholeNetwork:
    """The network: a scale, hidden layers, and a last one that begins at zero.

    Arguments:
        settings: of the estimator.
        data: how many columns and outputs there are.
        aim: the loss, which decides the last activation.
        seed: of the weights and the order of rows.
        threads: that it may have; None for the backend's choice.
        penalty: of squared kernels, as `L2`.
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


def _optimizer(settings: Settings, aim: Aim, steps: int) -> Optimizer:
    """The solver, with rates of its own for scales and biases unless it is the user's object."""
    made = optimizer_of(settings, aim, steps)
    if not isinstance(settings.solver, Optimizer) and not made.full_batch:
        made.groups = RATES
    return made


def _metric(aim: Aim, data: EncodedData) -> str | None:
    """What the scores of rows that are held out are."""
    if data.task == "regression":
        return "r2_score" if isinstance(aim.loss, MeanSquaredError) else None
    return "accuracy"


# -- training --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Trained:
    """A member, and what it says of rows that it was not trained on."""

    net: WholeNetwork
    curve: Curve
    held_out: Part | None
    said: NDArray[Any] | None


def train(
    data: EncodedData,
    settings: Settings,
    *,
    seeds: Sequence[int],
    progress: Progress | None = None,
    start: Members | None = None,
    epochs: int | None = None,
    clock: Clock = perf_counter,
) -> Members:
    """As `train_members` says. Members have a thread each, so bits do not depend on processors.

    Arguments:
        data, settings, seeds, progress, start, epochs: as there.
        clock: gives seconds; what the time budget goes by.
    """
    aim, count = aim_of(settings, data), len(seeds)
    n_jobs = -1 if settings.n_jobs is None else settings.n_jobs
    budget, stop = Budget(settings.time_budget, count, at_once(n_jobs, count)[0], clock), Event()
    splits: list[NDArray[np.intp] | None] = [None] * count
    if settings.early_stopping and epochs is None and data.validation is None:
        labels = data.train.y if data.task in ("binary", "multiclass") else None
        splits = list(held_out_rows(labels, data.train.rows, settings.validation_fraction, count, seeds[0]))

    def make(number: int, _: int) -> _Trained | None:
        before = None if start is None else (start.networks[number], start.curves[number])
        try:
            deadline = budget.deadline()
        except Spent:
            return None if before is None else _Trained(*before, None, None)
        tell = None
        if progress is not None:
            who = f"member {number + 1} of {count}" if count > 1 else "network"
            tell = Telling(progress, who, clock, lambda: _of(budget))
        member = _Member(data, settings, aim, seeds[number], splits[number], epochs, stop)
        return member.train(before, 1, clock, deadline, tell)

    made = each_in_threads(make, range(count), n_jobs, stop)
    if stop.is_set():
        made = [member for member in made if member.curve.losses]
        if not made:
            raise KeyboardInterrupt
        warnings.warn("training was interrupted: what was learned so far is kept", TrainingWarning, stacklevel=2)
    elif progress is not None and len(made) < count:
        progress(f"time budget spent: {len(made)} of {count} members were trained")
    members = Members([each.net for each in made], [each.curve for each in made], data.task)
    if data.task == "regression":
        members.bounds = np.stack([data.train.y.min(axis=0), data.train.y.max(axis=0)])
        return members
    members.temperature = 1.0 if start is None else start.temperature
    if settings.calibration == "temperature" and epochs is None:
        members.temperature = _temperature(members, data, made)
    return members


def _of(budget: Budget) -> str:
    return f"{budget.elapsed:.1f} s" + ("" if budget.seconds is None else f" of {budget.seconds:g} s")


@dataclass(frozen=True)
class _Member:
    """One member to be trained, and the rows that it holds out."""

    data: EncodedData
    settings: Settings
    aim: Aim
    seed: int
    split: NDArray[np.intp] | None
    epochs: int | None
    stop: Event

    def train(
        self,
        before: tuple[WholeNetwork, Curve] | None,
        threads: int,
        clock: Clock,
        deadline: float | None,
        tell: Telling | None,
    ) -> _Trained:
        """Make it, unless it is there, and train it."""
        data, settings, aim = self.data, self.settings, self.aim
        part, held_out = data.train, data.validation
        if self.split is not None:
            kept = np.ones(part.rows, bool)
            kept[self.split] = False
            part, held_out = part.only(np.flatnonzero(kept)), part.only(self.split)
        epochs = settings.max_iter if self.epochs is None else self.epochs
        full_batch = settings.solver == "lbfgs" or getattr(settings.solver, "full_batch", False)
        batch = part.rows if full_batch else min(settings.batch_size, part.rows)
        steps = epochs * -(-part.rows // batch)
        if before is None:
            mean_weight = 1.0 if part.weights is None else float(part.weights.mean())
            penalty = settings.alpha / (2 * batch * mean_weight * aim.objective)
            net: WholeNetwork = network_of(settings, data, aim, self.seed, threads, penalty)
            curve = Curve()
        else:
            net, curve = before
        metric = _metric(aim, data) if held_out is not None else None
        if before is None or self.epochs is None:
            net.compile(self._optimizer(steps), aim.loss, metrics=[] if metric is None else [metric])
        patience = settings.n_iter_no_change if settings.early_stopping else np.inf
        options: dict[str, Any] = {"score": metric, "rows": part.rows, "reported": aim.reported, "tell": tell}
        watch = BestEpoch(curve, patience=patience, stop=self.stop, **options)
        watches: list[Any] = [watch]
        if deadline is not None:
            watches.append(Deadline(deadline, clock, steps, curve))
        try:
            history = fit(
                net,
                part.x,
                targets_of(aim.loss, part, data, settings.dtype),
                batch_size=None if full_batch else batch,
                epochs=epochs,
                shuffle=settings.shuffle,
                sample_weight=part.weights,
                validation_data=None if held_out is None else self._validation(held_out),
                callbacks=[*watches, *settings.callbacks],
                verbose=0,
            )
            curve.ended = curve.ended or history.ended or ""
        except KeyboardInterrupt:
            self.stop.set()
            if watch.weights is not None:
                net.set_parameters(watch.weights)
            curve.ended = INTERRUPTED
        if tell is not None:
            kept_of = "" if watch.weights is None else f", epoch {watch.best_epoch + 1} is kept"
            tell(f"ended after {curve.epochs} epochs{kept_of}", must=True)
        said = None if held_out is None or data.task == "regression" else predict(net, held_out.x)
        return _Trained(net, curve, held_out, said)

    def _optimizer(self, steps: int) -> Optimizer:
        if self.epochs is None:
            return _optimizer(self.settings, self.aim, steps)
        made = _optimizer(self.settings, self.aim, steps)  # how many will follow is not known: no schedule by name
        if isinstance(self.settings.schedule, str) and not isinstance(self.settings.solver, Optimizer):
            made.learning_rate = self.settings.learning_rate_init
        return made

    def _validation(self, part: Part) -> tuple[Any, ...]:
        targets = targets_of(self.aim.loss, part, self.data, self.settings.dtype)
        return (part.x, targets) if part.weights is None else (part.x, targets, part.weights)


def _temperature(members: Members, data: EncodedData, made: Sequence[_Trained]) -> float:
    """From what members say of rows that they have not learned from; of the user's own, all of them together."""
    if data.validation is not None:
        asked = [(data.validation, members.predict_scores(data.validation.x))]
    else:
        asked = [(each.held_out, each.said) for each in made if each.held_out is not None and each.said is not None]
    if not asked:
        return members.temperature
    said = np.concatenate([said for _, said in asked])
    y = np.concatenate([part.y for part, _ in asked])
    weights = None
    if data.train.weights is not None or asked[0][0].weights is not None:
        weights = np.concatenate([np.ones(part.rows) if part.weights is None else part.weights for part, _ in asked])
    if data.task == "multiclass":
        return temperature_of(said, y, weights)
    if weights is not None:
        weights = np.repeat(weights, said.shape[1])
    return temperature_of(as_classes(said), y.reshape(-1).astype(np.int64), weights)


# -- what is good without being tuned --------------------------------------------------------------------------------


def _batch_size(data: EncodedData) -> int:
    """32 rows; of more than 20,000 so many that an epoch has some 600 steps, up to 256."""
    rows, size = data.train.rows, 32
    while rows > 625 * size and size < 256:
        size *= 2
    return min(size, rows)


def _max_iter(data: EncodedData) -> int:
    """32 epochs; of more than 160,000 rows fewer, down to 8."""
    return max(8, min(32, 5_120_000 // data.train.rows))


TABULAR = Preset(
    name="tabular",
    train=train,
    values={
        "hidden_layer_sizes": (128, 128),
        "activation": "mish",
        "solver": "adam",
        "alpha": 0.0,
        "batch_size": OfData(_batch_size),
        "learning_rate": "constant",
        "learning_rate_init": OfData(lambda data: 0.07 if data.task == "regression" else 0.04),
        "power_t": 0.5,
        "max_iter": OfData(_max_iter),
        "shuffle": True,
        "tol": 0.0,
        "momentum": 0.9,
        "nesterovs_momentum": True,
        "early_stopping": True,
        "validation_fraction": 0.125,
        "beta_1": 0.9,
        "beta_2": 0.95,
        "epsilon": 1e-8,
        "n_iter_no_change": 16,
        "max_fun": 15000,
        "dropout": 0.0,
        "loss": OfData(lambda data: "squared_error" if data.task == "regression" else "log_loss"),
        "schedule": "CosLog4",
        "normalization": None,
        "label_smoothing": OfData(lambda data: 0.0 if data.task == "regression" else 0.1),
        "encoder": "tabular",
        "n_ensemble": 8,
        "calibration": "temperature",
        "time_budget": None,
        "dtype": "float32",
    },
    scales_targets=True,
)
