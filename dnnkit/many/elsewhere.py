"""Training networks in other processes: what is sent to a worker, how it trains, and what it returns.

A worker resumes a fit as from a checkpoint, trains for a stretch of whole epochs, and returns what a checkpoint would
contain. If a worker is lost, only a stretch is lost, and networks in this process are always consistent.
"""

import pickle
from collections.abc import Iterator, Mapping, Sequence
from math import inf
from pathlib import Path
from tempfile import mkdtemp
from time import perf_counter
from typing import Any

from dnnkit._version import __version__
from dnnkit.backends.processors import at_most
from dnnkit.backends.state import Plan, Totals
from dnnkit.callbacks.callback_list import CallbackList
from dnnkit.callbacks.early_stopping import EarlyStopping
from dnnkit.deferred import dataclass
from dnnkit.diagnosis.checks import unsaid
from dnnkit.errors import ConfigurationError, WorkersLost
from dnnkit.many.ending import Ending
from dnnkit.many.executors import Executor, Shared
from dnnkit.many.folder import Folder, checkpoints_in
from dnnkit.many.given import of_network, own_copy
from dnnkit.many.loading import SharedData
from dnnkit.network.whole import WholeNetwork
from dnnkit.saves.numbers import numbers_of, restore_numbers
from dnnkit.training import loop
from dnnkit.training.arguments import FitArguments
from dnnkit.training.history import History
from dnnkit.training.interrupts import Interrupts
from dnnkit.training.run import Standing

STRETCH = 2.0
"""Seconds that a worker trains before it returns; at most this time plus one epoch is lost with a worker."""


@dataclass(frozen=True)
class Job:
    """Information that all workers receive at the start."""

    asked: Sequence[FitArguments]
    """For each network."""
    watching: EarlyStopping | None
    version: str = __version__


@dataclass(frozen=True)
class Sent:
    """A network, the progress of its fit, and the limits of this stretch."""

    network: bytes
    """Pickled."""
    epoch: int
    first_step: int
    history: History
    callbacks: Sequence[Mapping[str, Any]]
    most_epochs: float
    most_seconds: float


@dataclass(frozen=True)
class CameBack:
    """The network's progress after a stretch, and what was measured."""

    numbers: Mapping[str, bytes]
    """As in a save."""
    epoch: int
    history: History
    callbacks: Sequence[Mapping[str, Any]]
    was_stopped: bool
    totals: Sequence[Totals]
    """For each epoch."""
    plan: Plan


def train_stretch(shared: Shared, number: int, sent: Sent) -> CameBack:
    """Train a network in a worker, as `fit_many` does in this process."""
    job: Job = shared.values
    if job.version != __version__:
        raise ConfigurationError(
            f"a worker has dnnkit {__version__}, this process {job.version}: install the same version everywhere"
        )
    with at_most(1), unsaid(), of_network(number, None):
        net: WholeNetwork = pickle.loads(sent.network)  # noqa: S301 - ours, as the call of this function is
        with net.turns.fitting():
            run = net.prepare_run(job.asked[number], None, shared.kept.setdefault("data", SharedData()))
            net.executable.prepare(run.data, run.batch_size, net.hyperparameters(), run.validation)
            net.turns.begin_training()
            ending = Ending()
            heard = CallbackList([*own_copy(job.watching), ending])
            fit = loop.begin(net, run, heard, 0, Interrupts(False))
            fit.standing = standing = Standing(sent.epoch, sent.first_step, sent.history)
            heard.restore_each(sent.callbacks, "what a worker was sent")
            last, end = min(fit.last_epoch, sent.epoch + sent.most_epochs), perf_counter() + sent.most_seconds
            totals: list[Totals] = []
            while standing.epoch < last and not net.stop_training:
                fit.run_epoch(standing.epoch)
                ending.after_epoch(fit)
                totals.append(fit.totals)
                if perf_counter() >= end:
                    break
        return CameBack(
            numbers_of(net),
            standing.epoch,
            standing.history,
            heard.state_of_each(),
            net.stop_training,
            totals,
            net.executable.plan,
        )


class Elsewhere:
    """Trains the networks of a `fit_many` with an executor's workers.

    Arguments:
        executor: the executor, opened when it is first needed.
        job: information for its workers.
        in_step: whether callbacks inspect all networks after each epoch, so that all have to finish it first.
    """

    def __init__(self, executor: Executor, job: Job, *, in_step: bool) -> None:
        self._executor, self._job, self._in_step = executor, job, in_step
        self._is_open = False
        self._out: dict[int, Any] = {}
        self._completed: Iterator[tuple[int, CameBack]] = iter(())

    def train(self, running: Sequence[Any], interrupts: Interrupts) -> list[Any]:
        """Train, and return the networks that came back: one, or all of an epoch if they are in step.

        Arguments:
            running: all networks in training; each has a number, net and fit.
            interrupts: raised while waiting.
        """
        if not self._is_open:
            with interrupts.at_once():
                self._executor.open(Shared(self._job))
            self._is_open = True
        epoch = min(one.fit.standing.epoch for one in running)
        for one in running:
            if one.number not in self._out and (not self._in_step or one.fit.standing.epoch == epoch):
                self._send(one)
        back = []
        while self._out:
            with interrupts.at_once():
                found = next(self._completed, None)
                if found is None:  # everything submitted before was returned
                    self._completed = self._executor.completed()
                    found = next(self._completed, None)
            if found is None:
                raise WorkersLost(f"{type(self._executor).__name__} did not return {len(self._out)} networks")
            number, came = found
            one = self._out.pop(number)
            _take(one, came)
            back.append(one)
            if not self._in_step:
                break
        return back

    def _send(self, one: Any) -> None:
        fit, own = one.fit, one.fit.checkpoints
        standing = fit.standing
        most: float = 1 if self._in_step else inf
        if own is not None:
            most = min(most, own.epochs_until_due(standing.epoch))
        sent = Sent(
            self._executor.pickled(one.net),
            standing.epoch,
            standing.first_step,
            standing.history,
            fit.callbacks.state_of_each(),
            most,
            STRETCH,
        )
        self._out[one.number] = one
        self._executor.submit(one.number, train_stretch, one.number, sent)


def _take(one: Any, came: CameBack) -> None:
    """Update a network and its fit to the state that the worker reached."""
    net, fit = one.net, one.fit
    restore_numbers(net, came.numbers, "what a worker sent")
    net.executable.plan = came.plan
    vars(fit.standing.history).update(vars(came.history))
    fit.standing.epoch, net.stop_training = came.epoch, came.was_stopped
    fit.callbacks.restore_each(came.callbacks, "what a worker sent")
    state = net.executable.state
    after = state.epoch
    for state.epoch, totals in enumerate(came.totals, after - len(came.totals)):
        fit.run.watch.epoch_ended(totals)  # warnings are raised here, where the user sees them
    state.epoch = after


def kept(error: WorkersLost, all_of_them: Sequence[Any], folder: Folder | None) -> WorkersLost:
    """Save the progress of all networks to their checkpoints, or to a new folder; return the error, which names it.

    Arguments:
        error: why no more results arrive.
        all_of_them: all networks; each has a net and a fit.
        folder: folder of the fits' checkpoints; None if they have none.
    """
    if folder is None:
        folder = Folder(Path(mkdtemp(prefix="dnnkit-many-")))
        made = checkpoints_in(folder, len(all_of_them), "30 s", resume=False)
        for one, own in zip(all_of_them, made or (), strict=True):
            with own:
                own.begin(one.net, one.fit.run)
                own.save(one.net, one.fit.standing, one.fit.callbacks)
    else:
        for one in all_of_them:
            one.fit.save()
    return WorkersLost(
        f"{error}. All returned results are saved: repeat the call with checkpoint={str(folder.path)!r}, resume=True "
        "to continue"
    )
