"""The training loop: epochs, what happens before and after each, and batches of epochs in one call.

The steps of an epoch are in `stretches.py`. An epoch may take less than what happens before and after it; where no
callback, validation or checkpoint intervenes, many epochs are run with nothing in between. With a full-batch optimizer,
an epoch is a single step of perhaps a few microseconds, so these epochs are one call of the executable.
"""

from collections.abc import Mapping
from contextlib import closing
from time import perf_counter
from typing import Any

from dnnkit.backends.diagnosis import remark
from dnnkit.backends.executable import Epochs
from dnnkit.backends.state import Totals
from dnnkit.callbacks.callback_list import CallbackList
from dnnkit.callbacks.with_callbacks import after_callbacks, evaluate
from dnnkit.network.protocol import Network
from dnnkit.training.checkpoints import Checkpoints
from dnnkit.training.history import History
from dnnkit.training.interrupts import Interrupts
from dnnkit.training.progress import Progress, Verbosity, make_progress
from dnnkit.training.run import Run, Standing
from dnnkit.training.stretches import Pace, Steps

UNSEEN = 0.05
"""Duration in seconds of epochs run with nothing in between."""


def train(
    net: Network,
    run: Run,
    callbacks: CallbackList,
    verbose: Verbosity,
    interrupts: Interrupts,
    checkpoints: Checkpoints | None = None,
) -> History:
    """Train the epochs, starting at `run.first_epoch` or at the checkpoint; return their History."""
    fit = begin(net, run, callbacks, verbose, interrupts, checkpoints)
    if fit.is_over:
        return fit.standing.history
    with closing(fit.progress), interrupts.between_steps(net.executable.give_up):
        try:
            fit.begin()
            logs = fit.run_epochs()
        except BaseException as error:
            with interrupts.held():
                fit.leave(error)
            raise
        fit.end(logs, is_shown=verbose != 0)
    return fit.standing.history


def begin(
    net: Network,
    run: Run,
    callbacks: CallbackList,
    verbose: Verbosity,
    interrupts: Interrupts,
    checkpoints: Checkpoints | None = None,
) -> "Fit":
    """Return a fit at its checkpoint or its beginning; nothing is trained yet."""
    executable = net.executable
    standing = checkpoints.begin(net, run) if checkpoints is not None else None
    is_resumed = standing is not None
    if standing is None:
        standing = Standing(run.first_epoch, executable.state.step, History(net.seed, executable.plan))
    is_over = is_resumed and standing.is_over(run, executable.state)
    if not is_over:
        _begin_where_it_stopped(net, run)
    end = standing.end(run, executable.state)
    estimated = {metric.name for metric in executable.program.metrics if metric.exact}
    progress = make_progress(verbose, end, estimated, run.feed.row_bytes if run.feed is not None else 0.0)
    callbacks.attach(net, _params(net, run, end, progress))
    fit = Fit(net, run, standing, callbacks, progress, interrupts, checkpoints)
    fit.last_epoch, fit.is_resumed, fit.is_over = end, is_resumed, is_over
    if is_over:
        assert checkpoints is not None
        checkpoints.were_final = True
        checkpoints.restore(callbacks)
        return fit
    net.stop_training = False
    callbacks.on_train_begin({})
    if checkpoints is not None:
        checkpoints.restore(callbacks)
    return fit


def _params(net: Network, run: Run, end: int, progress: Progress) -> dict[str, Any]:
    """Return `Callback.params` of the run."""
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
    """Continue an incomplete epoch if batches and data are the same; otherwise begin a new one."""
    state, sums = net.executable.state, None
    if state.position:
        sums = net.executable.sums()
        is_same = state.steps == run.steps and state.schedule in ("", run.schedule)  # not recorded in format 1
        is_same = is_same and state.data in ("", run.sample_of_data())
        was_told = net.history.epoch[-1:] == [state.epoch]
        is_over = state.position >= state.steps and (sums is None or not is_same)
        if is_over or not is_same:
            state.position, sums = 0, None
            if is_over or was_told:  # otherwise the epoch begins again
                state.epoch += 1
    state.sums = sums if state.position else None
    state.steps, state.schedule, state.data = run.steps, run.schedule, ""


class Fit(Steps):
    """The state of one training and its epochs; created by `begin`."""

    last_epoch = 0
    """End of training: the number of the last epoch plus 1."""
    is_resumed = False
    """Whether it resumes from a checkpoint."""
    is_over = False
    """Whether that checkpoint is of a finished fit."""
    totals: Totals
    """Measurements of the last epoch."""

    def begin(self) -> None:
        """Called before the first epoch."""
        if not self.is_resumed:
            self.save(must=True)
        self.run.watch.begin()

    def end(self, logs: Mapping[str, float], *, is_shown: bool) -> None:
        """Called after the last epoch, with its logs."""
        standing, executable = self.standing, self.net.executable
        standing.history.plan = self.net.history.plan = executable.plan  # may have been completed while running
        self.run.watch.end(standing.history, is_shown=is_shown)
        self.callbacks.on_train_end(dict(logs))
        with self.interrupts.held():
            self.leave(None)

    def run_epochs(self) -> Mapping[str, float]:
        """Train until the last epoch, the step limit or a stop; return the last epoch's logs."""
        net, run, standing, end = self.net, self.run, self.standing, self.last_epoch
        logs: Mapping[str, float] = {}
        epoch, pace = standing.epoch, Pace(UNSEEN)
        while epoch < end:
            most = min(self._epochs_without_observer(epoch, end), pace.length)
            if most > 1:
                count, logs = self._run_without_observer(epoch, int(most), pace)
            else:
                count, logs = 1, self.run_epoch(epoch, pace)
            epoch += count
            standing.was_stopped = net.stop_training
            self.interrupts.check()
            if net.stop_training:
                break
            if self.checkpoints is not None and epoch < end:
                self.save_if_due(standing.epoch - run.first_epoch)
        return logs

    def run_epoch(self, epoch: int, pace: Pace | None = None) -> Mapping[str, float]:
        """Train one epoch, with callbacks and progress."""
        last = self.begin_epoch(epoch)
        totals, seconds = self._train_epoch(last)
        if pace is not None:
            pace.went(1, seconds)
        return self.end_epoch(epoch, totals, seconds)

    def begin_epoch(self, epoch: int) -> int:
        """Begin or continue an epoch; return the step before which it ends."""
        run, standing, state = self.run, self.standing, self.net.executable.state
        self.callbacks.on_epoch_begin(epoch, {})
        first, last = state.position, int(min(run.steps, state.position + standing.steps_left(run, state)))
        self.progress.begin_epoch(epoch, first, last, min(run.rows, last * run.batch_size))
        return last

    def end_epoch(
        self, epoch: int, totals: Totals, seconds: float, held_out: Mapping[str, float] | None = None
    ) -> Mapping[str, float]:
        """Validate after an epoch with these totals, record its results and call callbacks; return its logs.

        `held_out` are the validation results, if already measured.
        """
        net, run, standing, state = self.net, self.run, self.standing, self.net.executable.state
        self.totals = totals
        run.watch.epoch_ended(totals)
        found = self._validate(epoch) if held_out is None else held_out
        logs = {**totals.means(net.executable.program.metrics), **net.executable.counts, **found}
        self._note_end()
        standing.history.add(epoch, logs, seconds)
        net.history.add(state.epoch, logs, seconds)
        number = state.epoch
        if state.position == run.steps or net.stop_training:
            state.position, state.epoch, state.sums = 0, state.epoch + 1, None
            standing.epoch = epoch + 1
        self.progress.end_epoch(logs, seconds)
        self._show_reason_of_end()
        return self._call_epoch_end(epoch, number, logs)

    def _note_end(self) -> None:
        """Stop if the optimizer has converged."""
        if self.net.executable.ended:
            self.standing.history.ended, self.net.stop_training = self.net.executable.ended, True

    def _show_reason_of_end(self) -> None:
        if self.net.executable.ended:
            self.progress.print_line(f"ended: {self.net.executable.ended}")

    # -- several epochs with nothing in between ------------------------------------------------------------------------

    def _epochs_without_observer(self, epoch: int, end: int) -> float:
        """Return the number of epochs that can be run with nothing in between; else 1."""
        net, run, state, callbacks = self.net, self.run, self.net.executable.state, self.callbacks
        if run.feed is not None or self.draws_in_background or (net.executable.can_run_epochs and run.steps > 1):
            return 1
        if (
            state.position
            or net.stop_training
            or run.watch.records
            or callbacks.wants_epochs
            or callbacks.wants_batches
        ):
            return 1
        most = min(end - epoch, self.standing.steps_left(run, state) // run.steps)
        if (checkpoints := self.checkpoints) is not None:
            most = min(most, checkpoints.epochs_until_due(epoch - run.first_epoch))
            most = min(most, checkpoints.steps_until_due(self.standing, state.step) // run.steps)
        if run.validation is not None:
            most = next((count for count in range(int(most)) if run.is_validated(epoch + count)), most)
        return most

    def _run_without_observer(self, epoch: int, most: int, pace: Pace) -> tuple[int, Mapping[str, float]]:
        """Train at most `most` epochs with nothing in between; return their number, and the logs of the last."""
        net, run = self.net, self.run
        executable, state, start = net.executable, net.executable.state, perf_counter()
        turn = net.turns.stretch(executable, run.step_size(executable))
        most = turn.end(0, most * run.steps) // run.steps
        if not most:  # another thread reads after each step
            return 1, self.run_epoch(epoch, pace)
        with turn:
            if self.interrupts.received:
                return 0, {}
            first = state.epoch
            if executable.can_run_epochs:
                epochs = executable.run_epochs(run.data, most, net.hyperparameters(most))
            else:
                epochs = self._run_one_by_one(most)
            state.epoch += epochs.count  # within the turn: another thread may save the network next
        seconds, count, made = perf_counter() - start, epochs.count, epochs.logs
        if not count:
            return 0, {}
        pace.went(count, seconds)
        logs = self.end_epochs(epoch, first, made, epochs.last, seconds)
        self.save_if_due(0)
        return count, logs

    def _run_one_by_one(self, most: int) -> Epochs:
        """Run at most `most` epochs; after a request to stop, the next one may have begun."""
        net, run, executable, state = self.net, self.run, self.net.executable, self.net.executable.state
        metrics, passed, logs = executable.program.metrics, list[Totals](), list[Mapping[str, float]]()
        for order in self.drawn(state.epoch, most):
            executable.begin_epoch(run.data, order, run.batch_size)
            if self.interrupts.received or net.turns.is_wanted or net.stop_training:
                break  # such a request was cleared by beginning the epoch
            done = executable.run_steps(0, run.steps, net.hyperparameters(run.steps))
            if done < run.steps:
                state.position, state.sums = done, executable.sums()
                break
            passed.append(executable.totals())
            logs.append({**passed[-1].means(metrics), **executable.counts})
            if passed[-1].nan_step >= 0:
                break
        made = {name: [each[name] for each in logs] for name in logs[0]} if logs else {}
        return Epochs(len(passed), made, passed[-1] if passed else executable.totals())

    def end_epochs(
        self, epoch: int, number: int, made: Mapping[str, list[float]], totals: Totals, seconds: float
    ) -> Mapping[str, float]:
        """Record epochs that were run with nothing in between; return the logs of the last, with these totals.

        The first is `epoch` in this fit, and `number` across all fits. `made` has one number per epoch by name.
        """
        net, run, standing, state = self.net, self.run, self.standing, self.net.executable.state
        count = len(made["loss"])
        self.totals = totals
        run.watch.epochs_ended(number, made["loss"], totals)
        self._note_end()
        standing.history.extend(epoch, made, seconds)
        net.history.extend(number, made, seconds)
        state.epoch, standing.epoch = number + count, epoch + count
        if self.progress.verbosity:
            for place, values in enumerate(zip(*made.values(), strict=True)):
                logs = dict(zip(made, values, strict=True))
                self.progress.show_epoch(epoch + place, run.steps, run.rows, logs, seconds / count)
        self._show_reason_of_end()
        return {name: values[-1] for name, values in made.items()}

    def _call_epoch_end(self, epoch: int, number: int, logs: Mapping[str, float]) -> Mapping[str, float]:
        """Call `on_epoch_end` and return the logs with its additions; `number` counts epochs across all fits."""
        told = after_callbacks(lambda given: self.callbacks.on_epoch_end(epoch, given), logs)
        if told != logs:
            self.standing.history.add(epoch, told, 0.0)
            self.net.history.add(number, told, 0.0)
        return told

    def _validate(self, epoch: int) -> dict[str, float]:
        """Return validation loss and metrics as `val_...`; empty if this epoch is not validated."""
        run, callbacks = self.run, self.callbacks
        if not run.is_validated(epoch):
            return {}
        rows = min(run.batch_size, run.validation_rows) if callbacks.wants_test_batches else run.validation_rows
        with self.interrupts.at_once():  # if interrupted, the next fit validates and records the epoch
            means = evaluate(self.net, self.net.executable, run.validation, rows, callbacks)
        return {f"val_{name}": value for name, value in means.items()}

    def leave(self, error: BaseException | None) -> None:
        """Record the data of an incomplete epoch; save, unless an error may have left a step incomplete."""
        state, interrupts = self.net.executable.state, self.interrupts
        if state.position:
            state.data = self.run.sample_of_data()
        if error is None or (interrupts.received and not interrupts.is_forced):
            self.save(must=True)
            if error is not None and self.checkpoints is not None and self.checkpoints.hint:
                remark(f"interrupted, saved in {self.checkpoints.folder}: {self.checkpoints.hint}")
