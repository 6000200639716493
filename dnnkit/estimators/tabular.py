"""The preset "tabular": good results on tables without tuning.

It is based on RealMLP-TD-S (D. Holzmüller, L. Grinsztajn, I. Steinwart, Better by default, NeurIPS 2024): a trained
scale per feature, dense layers in the NTK parametrization, learning rates by kind of parameter, four cycles of the
learning rate, smoothed labels, and the best epoch chosen on held-out rows. It differs by narrower layers and by an
ensemble, each member of which holds out another part; the held-out predictions determine the temperature.
docs/default.md has the measurements.
"""

import warnings
from collections.abc import Sequence
from threading import Event
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from dnnkit.errors import TrainingWarning
from dnnkit.estimators.aims import aim_of
from dnnkit.estimators.budget import Budget, Clock, Spent
from dnnkit.estimators.calibration import as_classes, temperature_of
from dnnkit.estimators.data import EncodedData, Progress
from dnnkit.estimators.members import Members
from dnnkit.estimators.presets import OfData, Preset
from dnnkit.estimators.settings import Settings
from dnnkit.estimators.splitting import held_out_rows
from dnnkit.estimators.tabular_member import Member, Trained, can_be_together, train_together
from dnnkit.estimators.watching import ProgressLines
from dnnkit.estimators.workers import at_once, each_in_threads


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
    """Train members; see `train_members`. Each has one thread, so results do not depend on the number of processors.

    Arguments:
        data, settings, seeds, progress, start, epochs: see `train_members`.
        clock: returns the time in seconds, for the time budget.
    """
    aim, count = aim_of(settings, data), len(seeds)
    n_jobs = -1 if settings.n_jobs is None else settings.n_jobs
    budget, stop = Budget(settings.time_budget, count, at_once(n_jobs, count)[0], clock), Event()
    splits: list[NDArray[np.intp] | None] = [None] * count
    if settings.early_stopping and epochs is None and data.validation is None:
        labels = data.train.y if data.task in ("binary", "multiclass") else None
        splits = list(held_out_rows(labels, data.train.rows, settings.validation_fraction, count, seeds[0]))

    def member(number: int) -> Member:
        before = None if start is None else (start.networks[number], start.curves[number])
        print_line = None
        if progress is not None:
            who = f"member {number + 1} of {count}" if count > 1 else "network"
            print_line = ProgressLines(progress, who, clock, lambda: _of(budget))
        return Member(data, settings, aim, seeds[number], splits[number], epochs, stop, before, print_line)

    def train_alone(member: Member, _: int) -> Trained | None:
        try:
            deadline = budget.deadline()
        except Spent:
            return None if member.before is None else Trained(*member.before, None, None)
        return member.train(clock, deadline)

    them = [member(number) for number in range(count)]
    if can_be_together(them):
        made = train_together(them, at_once(n_jobs, count)[0])
    else:
        made = each_in_threads(train_alone, them, n_jobs, stop)
    if stop.is_set():
        made = [member for member in made if member.curve.losses]
        if not made:
            raise KeyboardInterrupt
        warnings.warn("training was interrupted: the networks trained so far are kept", TrainingWarning, stacklevel=2)
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


def _temperature(members: Members, data: EncodedData, made: Sequence[Trained]) -> float:
    """Fit the temperature to the members' predictions on their held-out rows, or on the user's validation data."""
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

    # -- defaults that depend on the data ----------------------------------------------------------------------------


def _batch_size(data: EncodedData) -> int:
    """Return 32 rows; for more than 20,000 rows, enough for about 600 steps per epoch, up to 256."""
    rows, size = data.train.rows, 32
    while rows > 625 * size and size < 256:
        size *= 2
    return min(size, rows)


def _max_iter(data: EncodedData) -> int:
    """Return 32 epochs; for more than 160,000 rows fewer, down to 8."""
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
