"""The training loop: epochs, and within an epoch stretches of steps that the executable runs in one call each.

By default a stretch is the whole epoch. It is shorter only where something looks in between: a live progress bar (ten
times per second), checkpoints, or a callback with a batch's method (each step). Ctrl-C ends a stretch between two
steps.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing
from math import inf
from time import perf_counter
from typing import Any

from dnnkit.backends.diagnosis import remark
from dnnkit.backends.executable import Executable
from dnnkit.backends.state import HostArray, Totals
from dnnkit.background import in_background
from dnnkit.callbacks.callback_list import CallbackList
from dnnkit.callbacks.hearing import after_callbacks, evaluate
from dnnkit.deferred import dataclass
from dnnkit.network.protocol import Network
from dnnkit.network.turns import Stretch
from dnnkit.training.checkpoints import Checkpoints
from dnnkit.training.epoch_order import epoch_order
from dnnkit.training.history import History
from dnnkit.training.interrupts import Interrupts
from dnnkit.training.progress import REFRESH, Progress, Verbosity, make_progress
from dnnkit.training.run import Run, Standing

CLOCK = 1.0
"""Seconds between two looks at the clock, where checkpoints are due by time and nothing else ends a stretch."""

MANY = 1 << 22
"""Rows whose order is drawn in a thread, so that Ctrl-C is heard meanwhile."""


def train(
    net: Network,
    run: Run,
    callbacks: CallbackList,
    verbose: Verbosity,
    interrupts: Interrupts,
    checkpoints: Checkpoints | None = None,
) -> History:
    """Run the epochs, from `run.first_epoch` on or from where the checkpoint stands; return what they measured."""
    executable = net.executable
    standing = checkpoints.begin(net, run) if checkpoints is not None else None
    goes_on = standing is not None
    if standing is None:
        standing = Standing(run.first_epoch, executable.state.step, History(net.seed, executable.plan))
    is_over = goes_on and standing.is_over(run, executable.state)
    if not is_over:
        _begin_where_it_stopped(net, run)
    end = standing.end(run, executable.state)
    progress = make_progress(verbose, end, {metric.name for metric in executable.program.metrics if metric.exact})
    callbacks.attach(net, _params(net, run, end, progress))
    if is_over:
        assert checkpoints is not None
        checkpoints.were_final = True
        checkpoints.restore(callbacks)
        return standing.history
    net.stop_training = False
    callbacks.on_train_begin({})
    if checkpoints is not None:
        checkpoints.restore(callbacks)
    fit = _Fit(net, run, standing, callbacks, progress, interrupts, checkpoints)
    with closing(progress), interrupts.between_steps(executable.give_up):
        logs: Mapping[str, float] = {}
        try:
            if not goes_on:
                fit.save(must=True)
            run.watch.begin()
            logs = fit.run_epochs(end)
        except BaseException as error:
            with interrupts.held():
                fit.leave(error)
            raise
        standing.history.plan = net.history.plan = executable.plan  # how it ran is known once it ran
        run.watch.end(standing.history, is_shown=verbose != 0)
        callbacks.on_train_end(dict(logs))
        with interrupts.held():
            fit.leave(None)
    return standing.history


def _params(net: Network, run: Run, end: int, progress: Progress) -> dict[str, Any]:
    """What callbacks know of the run."""
    measured = ["loss", *(metric.name for metric in net.executable.program.metrics)]
    held_out = [f"val_{name}" for name in measured] if run.validation is not None else []
    return {
        "epochs": end,
        "steps": run.steps,
        "samples": run.samples,
        "batch_size": run.batch_size,
        "verbose": progress.verbosity,
        "metrics": measured + held_out,
    }


def _begin_where_it_stopped(net: Network, run: Run) -> None:
    """Go on with an epoch that has not ended, if batches and data are the same; else begin a new one."""
    state, sums = net.executable.state, None
    if state.position:
        sums = net.executable.sums()
        is_same = state.steps == run.steps and state.schedule in ("", run.schedule)  # format 1 had no schedule
        is_same = is_same and state.data in ("", run.sample_of_data())
        was_told = net.history.epoch[-1:] == [state.epoch]
        is_over = state.position >= state.steps and (sums is None or not is_same)
        if is_over or not is_same:
            state.position, sums = 0, None
            if is_over or was_told:  # else it begins again
                state.epoch += 1
    state.sums = sums if state.position else None
    state.steps, state.schedule, state.data = run.steps, run.schedule, ""


@dataclass
class _Fit:
    """All that takes part in one training."""

    net: Network
    run: Run
    standing: Standing
    callbacks: CallbackList
    progress: Progress
    interrupts: Interrupts
    checkpoints: Checkpoints | None

    def run_epochs(self, end: int) -> Mapping[str, float]:
        """Train to the end of the epoch before `end`, to the limit, or until it is stopped; the last epoch's logs."""
        net, run, standing, state = self.net, self.run, self.standing, self.net.executable.state
        logs: Mapping[str, float] = {}
        for epoch in range(standing.epoch, end):
            self.callbacks.on_epoch_begin(epoch, {})
            first, last = state.position, int(min(run.steps, state.position + standing.steps_left(run, state)))
            self.progress.begin_epoch(epoch, first, last, min(run.rows, last * run.batch_size))
            totals, seconds = self._train_epoch(last)
            run.watch.epoch_ended(totals)
            logs = {**totals.means(net.executable.program.metrics), **net.executable.counts}
            logs |= self._validate(epoch)
            if net.executable.ended:
                standing.history.ended, net.stop_training = net.executable.ended, True
            standing.history.add(epoch, logs, seconds)
            net.history.add(state.epoch, logs, seconds)
            number = state.epoch
            if state.position == run.steps or net.stop_training:
                state.position, state.epoch, state.sums = 0, state.epoch + 1, None
                standing.epoch = epoch + 1
            self.progress.end_epoch(logs, seconds)
            if net.executable.ended:
                self.progress.say(f"ended: {net.executable.ended}")
            logs = self._tell_of_epoch(epoch, number, logs)
            standing.was_stopped = net.stop_training
            self.interrupts.check()
            if net.stop_training:
                break
            if self.checkpoints is not None and epoch + 1 < end:
                self._save_if_due(standing.epoch - run.first_epoch)
        return logs

    def _tell_of_epoch(self, epoch: int, number: int, logs: Mapping[str, float]) -> Mapping[str, float]:
        """The logs, with what callbacks add to them; `number` counts the epochs of all fits."""
        told = after_callbacks(lambda given: self.callbacks.on_epoch_end(epoch, given), logs)
        if told != logs:
            self.standing.history.add(epoch, told, 0.0)
            self.net.history.add(number, told, 0.0)
        return told

    def _validate(self, epoch: int) -> dict[str, float]:
        """Loss and metrics of the validation data, as `val_...`; {} without any, or if it is not their turn."""
        run, callbacks = self.run, self.callbacks
        if not run.is_validated(epoch):
            return {}
        rows = min(run.batch_size, run.validation_rows) if callbacks.wants_test_batches else run.validation_rows
        with self.interrupts.at_once():  # the epoch is logged when it is validated, by the next fit if not by this one
            means = evaluate(self.net, self.net.executable, run.validation, rows, callbacks)
        return {f"val_{name}": value for name, value in means.items()}

    def _train_epoch(self, end: int) -> tuple[Totals, float]:
        """What was measured of an epoch from its first step on, and the seconds since the state's position.

        The epoch goes on from there, and ends before step `end`.
        """
        net, run, executable, state = self.net, self.run, self.net.executable, self.net.executable.state
        order = self._order()
        start = perf_counter()
        with net.turns:
            executable.begin_epoch(run.data, order, run.batch_size)
            if state.sums is not None:
                executable.go_on_from(state.sums)
        self.interrupts.check()  # before: what begins an epoch forgets that it was asked to stop
        logs: dict[str, float] = {}
        totals = None
        turn = net.turns.stretch(executable, run.step_size(executable))
        callbacks, progress, interrupts, checkpoints = self.callbacks, self.progress, self.interrupts, self.checkpoints
        metrics, someone_looks = executable.program.metrics, callbacks.wants_batches or progress.wants_updates
        for last in self._stretches(end):
            callbacks.on_train_batch_begin(state.position, logs)
            totals = self._run_stretch(executable, last, turn)
            if interrupts.received and state.position < end:
                raise interrupts.error()
            if someone_looks:
                logs = totals.means(metrics)
                progress.advance(state.position, logs)
            callbacks.on_train_batch_end(state.position - 1, logs)
            if net.stop_training:
                break
            if checkpoints is not None:
                self._save_if_due(0)
        return totals or executable.totals(), perf_counter() - start

    def _order(self) -> HostArray:
        run, net, epoch = self.run, self.net, self.net.executable.state.epoch
        if run.rows < MANY:
            return epoch_order(run.shuffle, run.samples, run.rows, net.seed, epoch)
        with self.interrupts.at_once():
            return in_background(lambda: epoch_order(run.shuffle, run.samples, run.rows, net.seed, epoch))

    def _run_stretch(self, executable: Executable, last: int, turn: Stretch) -> Totals:
        """Run the steps before `last`, other threads having their turn between two; the epoch's totals so far."""
        net, state, turn.may_pause = self.net, executable.state, True
        first = state.position
        while True:
            end = turn.end(first, last)
            with turn:
                if self.interrupts.received:  # while it came to its turn: nobody has asked these steps to stop
                    return executable.totals()
                hyperparameters = net.hyperparameters(end - first)
                done = state.position = executable.run_steps(first, end, hyperparameters)
                if done == last or self.interrupts.received:
                    return executable.totals()  # within the turn: a step of another thread has an epoch of its own
            turn.may_pause = done > first  # who waits all the time does not stop it altogether
            first = done

    def _stretches(self, end: int) -> Iterator[int]:
        """The end of each stretch: every step, or as many as fit until somebody looks, or all until `end`."""
        state, checkpoints = self.net.executable.state, self.checkpoints
        if self.callbacks.wants_batches:
            yield from range(state.position + 1, end + 1)
            return
        period = REFRESH if self.progress.wants_updates else inf
        if checkpoints is not None and checkpoints.is_timed:
            period = min(period, CLOCK)
        length = 1.0 if period < inf else inf
        while state.position < end:
            longest = checkpoints.steps_until_due(self.standing, state.step) if checkpoints is not None else inf
            first, start = state.position, perf_counter()
            yield int(min(end, first + length, first + longest))
            if period < inf:
                elapsed, done = max(perf_counter() - start, 1e-9), state.position - first
                length = max(1, min(int(done * period / elapsed), 8 * length))

    # -- checkpoints -------------------------------------------------------------------------------------------------

    def save(self, must: bool = False) -> None:
        """Write a checkpoint, if there are any."""
        if self.checkpoints is not None:
            with self.interrupts.held():
                self.checkpoints.save(self.net, self.standing, self.callbacks, must=must)

    def _save_if_due(self, epochs_ended: int) -> None:
        assert self.checkpoints is not None
        if self.checkpoints.is_due(self.standing, self.net.executable.state.step, epochs_ended):
            self.save()
            self.interrupts.check()

    def leave(self, error: BaseException | None) -> None:
        """Note of an epoch that has not ended which data it had; save, unless an error may have left half a step."""
        state, interrupts = self.net.executable.state, self.interrupts
        if state.position:
            state.data = self.run.sample_of_data()
        if error is None or (interrupts.received and not interrupts.is_forced):
            self.save(must=True)
            if error is not None and self.checkpoints is not None and self.checkpoints.hint:
                remark(f"interrupted, saved in {self.checkpoints.folder}: {self.checkpoints.hint}")
