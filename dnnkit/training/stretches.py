"""Steps of an epoch, run in stretches of one call of the executable each.

By default, a stretch is the whole epoch, or the part of it whose data is loaded. Stretches are shorter only where
something happens in between: updates of a live progress bar (ten per second), checkpoints, or a callback's batch
methods (every step). Ctrl-C ends a stretch between two steps.
"""

from collections.abc import Iterator
from math import inf
from time import perf_counter

import numpy as np

from dnnkit.backends.executable import Executable
from dnnkit.backends.many import DrawnOrders
from dnnkit.backends.state import EpochSums, HostArray, Totals
from dnnkit.background import in_background
from dnnkit.callbacks.callback_list import CallbackList
from dnnkit.deferred import dataclass
from dnnkit.network.protocol import Network
from dnnkit.network.turns import Stretch
from dnnkit.training.checkpoints import Checkpoints
from dnnkit.training.interrupts import Interrupts
from dnnkit.training.parts import Part
from dnnkit.training.progress import REFRESH, Progress
from dnnkit.training.run import Run, Standing

CLOCK = 1.0
"""Seconds between checks of the clock, if checkpoints are due by time and nothing else ends a stretch."""

ANY_ORDER = np.empty(0, np.int64)
"""For executables that use all rows in each step, in any order."""

MANY = 1 << 22
"""Number of rows from which their order is drawn in a thread, so that Ctrl-C is handled meanwhile."""


class Pace:
    """Number of steps or epochs that take about `seconds`: initially one, then extrapolated from previous ones."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self.length = seconds, 1.0 if seconds < inf else inf

    def went(self, done: int, seconds: float) -> None:
        """Record that `done` of them took `seconds`."""
        if self._seconds < inf:
            self.length = max(1, min(int(done * self._seconds / max(seconds, 1e-9)), 8 * self.length))


@dataclass(eq=False)
class Steps:
    """The steps of one training, and its checkpoints."""

    net: Network
    run: Run
    standing: Standing
    callbacks: CallbackList
    progress: Progress
    interrupts: Interrupts
    checkpoints: Checkpoints | None

    def _train_epoch(self, end: int) -> tuple[Totals, float]:
        """Train the epoch up to step `end`, from the state's position.

        Returns what was measured since the epoch's first step, and the seconds taken now.
        """
        net, run, executable, state = self.net, self.run, self.net.executable, self.net.executable.state
        start = perf_counter()
        parts = self._parts()
        part, made = self._next(parts), perf_counter()
        if run.feed is None:  # drawing an order does not count as training time, waiting for data does
            start = made
        with net.turns:
            if part.first == 0:
                executable.begin_epoch(part.data, part.order, part.batch_size)
                if state.sums is not None:
                    executable.go_on_from(state.sums)
            else:
                self._turn_to(part, state.sums)
        part.begun()
        self._part, self._rest = part, parts
        self.interrupts.check()  # the stop request was cleared by beginning the epoch
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
                self.save_if_due(0)
        return totals or executable.totals(), perf_counter() - start

    def _parts(self) -> Iterator[Part]:
        """Return the parts of the epoch from the state's position on."""
        run, net, state = self.run, self.net, self.net.executable.state
        if run.feed is None:
            return iter((Part(run.data, self.order(), run.batch_size),))
        return run.feed.parts(net.seed, state.epoch, state.position, state.step - self.standing.first_step)

    def _next(self, parts: Iterator[Part]) -> Part:
        """Return the next part, which may have to be waited for."""
        if self.run.feed is None:
            return next(parts)
        with self.interrupts.at_once():
            return next(parts)

    def _turn_to(self, part: Part, sums: EpochSums | None) -> None:
        executable = self.net.executable
        step = executable.state.position - part.first
        executable.turn_to(part.data, part.order, part.batch_size, sums, step)

    def order(self) -> HostArray:
        """Return the rows of the data that the epoch trains on, in order."""
        epoch = self.net.executable.state.epoch
        if self.net.executable.can_run_epochs:
            return ANY_ORDER
        if not self.draws_in_background:
            return next(self.drawn(epoch, 1))
        with self.interrupts.at_once():
            return in_background(lambda: next(self.drawn(epoch, 1)))

    @property
    def draws_in_background(self) -> bool:
        """Whether an order takes so long to draw that a thread does it."""
        return self.run.rows >= MANY

    def drawn(self, epoch: int, count: int) -> Iterator[HostArray]:
        """Yield the orders of `count` epochs, each drawn when it is needed if possible."""
        orders = self.run.orders_to_draw(self.net.seed, epoch, count)
        if not isinstance(orders, DrawnOrders):
            yield from orders
            return
        for words in orders.entropy:
            yield self.net.executable.permutation(words, orders.rows)

    def _run_stretch(self, executable: Executable, last: int, turn: Stretch) -> Totals:
        """Run the steps before `last`, giving other threads turns in between; return the epoch's totals so far."""
        net, state, turn.may_pause = self.net, executable.state, True
        first, part = state.position, self._part
        while True:
            is_new = first >= part.end
            if is_new:
                self._part = part = self._next(self._rest)
            end = turn.end(first, last if last < part.end else int(part.end))
            with turn:
                if is_new:
                    self._turn_to(part, executable.sums())
                    part.begun()
                if self.interrupts.received:  # arrived while waiting for the turn, when no steps could be stopped
                    return executable.totals()
                hyperparameters = net.hyperparameters(end - first)
                done = executable.run_steps(first - part.first, end - part.first, hyperparameters) + part.first
                state.position = done
                if done == last or self.interrupts.received:
                    return executable.totals()  # within the turn, before another thread's step replaces them
            turn.may_pause = done > first  # continuous requests by other threads must not prevent progress
            first = done

    def _stretches(self, end: int) -> Iterator[int]:
        """Yield the end of each stretch: every step, the whole epoch, or as many steps as fit a refresh."""
        state, checkpoints = self.net.executable.state, self.checkpoints
        if self.callbacks.wants_batches:
            yield from range(state.position + 1, end + 1)
            return
        period = REFRESH if self.progress.wants_updates else inf
        if checkpoints is not None and checkpoints.is_timed:
            period = min(period, CLOCK)
        pace = Pace(period)
        while state.position < end:
            longest = checkpoints.steps_until_due(self.standing, state.step) if checkpoints is not None else inf
            first, start = state.position, perf_counter()
            yield int(min(end, first + pace.length, first + longest))
            pace.went(state.position - first, perf_counter() - start)

    def save(self, must: bool = False) -> None:
        """Write a checkpoint, if enabled."""
        if self.checkpoints is not None:
            with self.interrupts.held():
                self.checkpoints.save(self.net, self.standing, self.callbacks, must=must)

    def save_if_due(self, epochs_ended: int) -> None:
        """Write a checkpoint if one is due: after a step, or after `epochs_ended` epochs."""
        if self.checkpoints is not None and self.checkpoints.is_due(
            self.standing, self.net.executable.state.step, epochs_ended
        ):
            self.save()
            self.interrupts.check()
