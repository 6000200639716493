"""Checks of the loss from epoch to epoch: a loss that became NaN, and a loss that grows from the start."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import isfinite
from typing import Any

import numpy as np

from dnnkit.backends.program import Program
from dnnkit.backends.registry import get_backend
from dnnkit.backends.stagewise.executable import StagewiseExecutable
from dnnkit.backends.state import Snapshot, TrainingState
from dnnkit.deferred import dataclass
from dnnkit.diagnosis.checks import check
from dnnkit.diagnosis.first_look import ENOUGH, FirstLook
from dnnkit.kernels import registry
from dnnkit.network.protocol import Network

FIRST = 3
"""Number of epochs after which a growing loss is no longer reported, because it did not grow from the start."""

GROWN = 1.5
"""Ratio of an epoch's loss to the first's from which the loss has grown."""

STEPS, WORK = 24, 1e9
"""Number of updates of a rehearsal, and the maximum cost of all updates in rows times parameters."""

FACTORS = (1.0, 0.3, 0.1, 0.03, 0.01, 1e-3, 1e-4)
"""Factors of the learning rate, in the order in which they are tried."""


@dataclass(frozen=True)
class Rehearsal:
    """Effect of some updates on the loss of a sample of rows, starting at the network's initial parameters."""

    before: float
    after: float
    rate: float
    """The learning rate of the fit."""
    lower: float | None
    """The highest tried learning rate with which the loss falls; None if there is none."""

    @property
    def fails(self) -> bool:
        """Whether the loss does not fall with the learning rate of the fit."""
        return not _falls(self.before, self.after)


@dataclass(frozen=True)
class Course:
    """What the epochs of a fit have measured so far."""

    epoch: int
    """Number of the network's epoch, counted from 1."""
    losses: list[float]
    """Losses of the epochs of this fit."""
    nan_step: int
    """The first step of the epoch with a NaN loss, or -1."""
    is_start: bool
    """Whether the network was untrained at the beginning of the fit."""
    rows: int
    """Samples per epoch."""
    usual: float | None
    """The loss if all outputs are 0, as a baseline; None if unknown."""
    rehearse: Callable[[], Rehearsal | None]
    """Tries lower learning rates from the start; returns None if that would take too long."""


@check("lost parameters", "epoch")
def lost_parameters(course: Course) -> Iterator[str]:
    """A loss that has become NaN."""
    if course.nan_step >= 0:
        tried = course.rehearse() if len(course.losses) == 1 else None
        cure = "Try a smaller learning rate, global_clipnorm, or scaled inputs"
        if tried is not None and tried.fails:
            cure = _cure(tried)
        since = f"epoch {course.epoch}, step {course.nan_step + 1}"
        yield f"the loss has been NaN since {since}: the parameters are lost. {cure}"


@check("growing loss", "epoch")
def growing_loss(course: Course) -> Iterator[str]:
    """A loss that grows from the start, because the learning rate is too high."""
    losses = course.losses
    if not course.is_start or len(losses) > FIRST or course.rows < ENOUGH:
        return  # later, or on few rows, a loss may grow for other reasons
    if course.nan_step >= 0 or not all(map(isfinite, losses)):
        return
    first, last = losses[0], losses[-1]
    grows = last > GROWN * first > 0
    is_high = len(losses) == 1 and course.usual is not None and first > 2 * course.usual > 0
    if not grows and not is_high:
        return
    tried = course.rehearse()
    if not grows and (tried is None or not tried.fails or not first > GROWN * tried.before):
        return  # it was as high at the beginning
    went = f"from {first:.4g} in the first epoch to {last:.4g} in epoch {len(losses)}"
    if not grows and tried is not None:
        went = f"from {tried.before:.4g} at the start to {first:.4g} in the first epoch"
    cure = "Divide the learning rate by ten" if tried is None or not tried.fails else _cure(tried)
    yield f"the loss goes {went}, which suggests that the steps are too large. {cure}"


def _cure(tried: Rehearsal) -> str:
    if tried.lower is None:
        return f"Lower learning rates, down to {tried.rate * FACTORS[-1]:.1g}, are no better: check x and y"
    return (
        f"The learning rate, {tried.rate:.3g}, is too high: on a sample of rows the loss falls with {tried.lower:.3g}"
    )


def usual_loss(program: Program, look: FirstLook) -> float | None:
    """Return the mean loss if all outputs are 0, or, for probabilities, all equal."""
    loss, outputs = program.loss, program.output_features
    if loss is None or not isinstance(loss.kernel, str):
        return None
    kernel = registry.loss(loss.kernel)
    if kernel.reduction != "mean":
        return None
    targets = look.y if loss.targets == "labels" else look.y.astype(np.float64).reshape(len(look.y), -1)
    value = 0.0
    if kernel.scores == "probabilities":
        value = 1 / outputs if kernel.outputs == "categorical" else 0.5
    with np.errstate(all="ignore"):
        total, _ = kernel.loss_and_gradient(np.full((len(look.y), outputs), value), targets, None, 1.0)
    return float(total) / len(look.y)


def rehearse(net: Network, parameters: dict[str, Any], look: FirstLook, batch_size: int) -> Rehearsal | None:
    """Run a few updates from these parameters, on the sample, with decreasing learning rates, on NumPy."""
    program = replace(net.executable.program, metrics=())
    if program.custom_parts:  # custom code runs only in the user's own training
        return None
    rows = len(look.x)
    batch = min(batch_size, rows)
    if program.size * STEPS * (batch + 2 * rows) * len(FACTORS) > WORK:
        return None
    numpy = get_backend("numpy")
    executable = StagewiseExecutable(numpy, program, numpy.plan(program, "stage by stage"))
    data = executable.load(look.x, look.y, None)
    order = np.concatenate([np.random.default_rng(turn).permutation(rows) for turn in range(-(-STEPS * batch // rows))])
    rates = net.optimizer.hyperparameters(0, STEPS, net.executable.program.groups)
    found = list[tuple[float, float]]()
    for factor in FACTORS:
        executable.restore(Snapshot(parameters, {}, TrainingState()))
        before = executable.evaluate(data, rows).mean_loss
        executable.begin_epoch(data, order[: STEPS * batch], batch)
        executable.run_steps(0, STEPS, rates.with_rates(factor))
        after = executable.evaluate(data, rows).mean_loss
        found.append((before, after))
        if _falls(before, after):
            break
    rate = float(rates.learning_rates.max())
    lower = rate * FACTORS[len(found) - 1] if _falls(*found[-1]) else None
    return Rehearsal(*found[0], rate, lower)


def _falls(before: float, after: float) -> bool:
    return after < before - 0.02 * abs(before)
