"""Epochs of several networks in one call of their backend."""

from collections.abc import Sequence
from contextlib import ExitStack
from math import inf
from time import perf_counter

from dnnkit.backends.many import Many, Passed, Work
from dnnkit.backends.measures import Metric
from dnnkit.backends.state import Totals
from dnnkit.training.interrupts import Interrupts
from dnnkit.training.loop import Fit

STRETCH = 1.0
"""Target seconds per call if no callback needs each epoch; progress is shown, and checkpoints saved, between calls."""

READABLE = 0.2
"""Target seconds per call once another thread has read a network: it may have to wait for the end of a call."""

CAUTION = 4.0
"""Factor by which the first call may take longer than estimated."""

GROWTH = 8
"""Maximum ratio of the epochs of two consecutive calls."""

MOST_ROWS = 1 << 21
"""Maximum number of rows of the orders passed to a call of several epochs as arrays: 16 MiB."""


class Together:
    """Trains fits with a backend's support for many networks."""

    def __init__(self, many: Many, interrupts: Interrupts, workers: int) -> None:
        self._many, self._interrupts, self._workers = many, interrupts, workers
        self._seconds, self._most = 0.0, inf
        """Expected seconds per epoch of all networks, and maximum number of epochs of the next call."""
        self._stalled = set[Fit]()
        """Fits that made no step in the last call, because another thread was using their networks."""

    def takes(self, fit: Fit) -> bool:
        """Return whether a network can be trained with others, after doing all slow preparation."""
        net, run = fit.net, fit.run
        if not self._many.takes(net.executable, run.data, run.batch_size):
            return False
        work = self._work(fit, 0)
        self._many.prepare(work)
        self._seconds += CAUTION * self._many.seconds_of_epoch(work) / self._workers
        return True

    def epochs(self, fits: Sequence[Fit], epoch: int, patience: float) -> int:
        """Return the number of epochs, at least one, that can be run in one call without callbacks in between.

        Arguments:
            fits: the fits to be run.
            epoch: their next epoch.
            patience: seconds for which the display can do without an update.
        """
        is_read = any(fit.net.turns.has_readers for fit in fits)
        most = min(self._most, min(patience, READABLE if is_read else STRETCH) / self._seconds)
        for fit in fits:
            if fit.callbacks.wants_epochs or (fit.run.validation is not None and not self._measures(fit)):
                return 1
            most = min(most, fit.last_epoch - epoch)
            if fit.checkpoints is not None:
                most = min(most, fit.checkpoints.epochs_until_due(fit.standing.epoch))
        rows = sum(fit.run.rows for fit in fits if not fit.run.is_permuted)
        return max(1, int(min(most, MOST_ROWS // max(1, rows))))

    def run(self, fits: Sequence[Fit], epoch: int, count: int) -> None:
        """Train up to `count` epochs of each, unless stopped earlier, and report what was measured."""
        works = dict[Fit, Work]()
        start = perf_counter()
        with ExitStack() as turns:
            for fit in fits:
                net, run, state = fit.net, fit.run, fit.net.executable.state
                turn = net.turns.stretch(net.executable, run.step_size(net.executable))
                turn.may_pause = fit not in self._stalled
                if turn.end(state.position, run.steps) == run.steps:  # else other threads read after each step
                    if fit.callbacks.wants_epochs:
                        fit.begin_epoch(epoch)
                    turns.enter_context(turn)
                    works[fit] = self._work(fit, count)
            self._interrupts.check()
            self._many.run(list(works.values()))
        self._seconds, self._most = max((perf_counter() - start) / count, 1e-9), GROWTH * count
        self._stalled = {fit for fit, work in works.items() if not work.passed}
        whole = {fit: _advance(fit, work) for fit, work in works.items()}  # update all states before any callback runs
        for fit, passed in whole.items():
            if passed:
                _record(fit, epoch, passed, is_rest=len(passed) < len(works[fit].passed))
        self._interrupts.check()
        for fit in fits:
            if fit not in works:
                fit.run_epoch(epoch)

    def _measures(self, fit: Fit) -> bool:
        return self._many.evaluates(fit.net.executable)

    def _work(self, fit: Fit, count: int) -> Work:
        """Return the work of `count` epochs from the current position; for 0, a description of it for preparation."""
        net, run, state = fit.net, fit.run, fit.net.executable.state
        steps = run.steps * count - state.position if count else 1
        held_out = run.validation if self._measures(fit) else None
        return Work(
            net.executable,
            run.data,
            run.batch_size,
            run.orders_to_draw(net.seed, state.epoch, count),
            net.hyperparameters(steps) if steps > 0 else net.hyperparameters(1),
            run.rows,
            run.steps,
            state.sums,
            held_out,
            run.validation_rows,
        )


def _advance(fit: Fit, work: Work) -> list[Passed]:
    """Record the network's progress; return the epochs that are complete, including validation."""
    executable, steps = fit.net.executable, fit.run.steps
    state, passed = executable.state, work.passed
    whole = [one for one in passed if one.last == steps and (work.held_out is None or one.held_out is not None)]
    if len(whole) < len(passed):
        state.position, state.sums = passed[-1].last, executable.sums()
    elif passed:
        state.position, state.sums = steps, None
    return whole


def _record(fit: Fit, epoch: int, passed: list[Passed], *, is_rest: bool) -> None:
    """Report completed epochs, starting with `epoch`; `is_rest`: another epoch is in progress."""
    executable = fit.net.executable
    metrics, totals, state = executable.program.metrics, passed[-1].totals, executable.state
    found = [one.totals.means(metrics) for one in passed]
    held_out = [{} if one.held_out is None else _held_out(one.held_out, metrics) for one in passed]
    if len(passed) == 1 and not is_rest:
        fit.end_epoch(epoch, totals, passed[0].seconds, held_out[0] or None)
        return
    logs = [{**one, **other} for one, other in zip(found, held_out, strict=True)]
    made = {name: [log[name] for log in logs] for name in logs[0]}
    fit.end_epochs(epoch, state.epoch, made, totals, sum(one.seconds for one in passed))
    if not is_rest:
        state.position, state.sums = 0, None


def _held_out(totals: Totals, metrics: Sequence[Metric]) -> dict[str, float]:
    return {f"val_{name}": value for name, value in totals.means(metrics).items()}
