"""The training loop: epochs, and within an epoch stretches of steps that the executable runs in one call each.

By default a stretch is the whole epoch. It is shorter only where something looks in between: a live progress bar (ten
times per second), or a callback with a batch's method (each step). Ctrl-C ends a stretch between two steps.
"""

import signal
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from math import inf, prod
from time import perf_counter
from typing import Any

from dnnkit.backends.executable import Executable
from dnnkit.backends.program import Totals, TrainingState
from dnnkit.callbacks.base import Callback, CallbackList
from dnnkit.errors import TrainingWarning
from dnnkit.network.protocol import Network
from dnnkit.training.epoch_order import Shuffle, epoch_order
from dnnkit.training.history import History
from dnnkit.training.progress import REFRESH, Progress, Verbosity, make_progress

LONG = 1 << 26
"""Rows times parameters of a step that takes some 10 ms on a fast machine, and 0.1 s on a slow one."""


@dataclass(frozen=True)
class Run:
    """What `fit` was asked for, after its arguments were checked and the data handed to the executable."""

    data: Any
    samples: int
    validation: Any | None
    batch_size: int
    first_epoch: int
    epochs: int
    shuffle: Shuffle
    steps_per_epoch: int | None = None
    limit: int | None = None
    """Steps after which training ends, perhaps within an epoch."""

    @property
    def steps(self) -> int:
        """Batches per epoch; the last of a single pass over the samples may be smaller."""
        return self.steps_per_epoch or -(-self.samples // self.batch_size)

    @property
    def rows(self) -> int:
        """Samples per epoch."""
        single_pass = self.steps_per_epoch is None and self.shuffle != "with_replacement"
        return self.samples if single_pass else self.steps * self.batch_size

    def has_long_steps(self, executable: Executable) -> bool:
        """Whether a step may take longer than readers beside it shall wait, or see old parameters."""
        size = sum(prod(parameter.shape) for parameter in executable.program.parameters)
        return self.batch_size * size > LONG

    def end(self, position: int) -> int:
        """The epoch before which training ends, if its first epoch begins at step `position`."""
        if self.limit is None:
            return self.epochs
        return self.first_epoch + -(-(position + self.limit) // self.steps)


def train(
    net: Network, run: Run, callbacks: Callback | str | Sequence[Callback | str] | None, verbose: Verbosity
) -> History:
    """Run the epochs, from `run.first_epoch` on, and return what they measured."""
    executable, state = net.executable, net.executable.state
    history = History(net.seed, executable.plan)
    _resume(state, run.steps)
    left, epochs = inf if run.limit is None else run.limit, run.end(state.position)
    progress = make_progress(verbose, epochs)
    callback_list = CallbackList(callbacks)
    callback_list.attach(
        net,
        {"epochs": epochs, "steps": run.steps, "samples": run.samples, "batch_size": run.batch_size},
    )
    logs: dict[str, float] = {}
    net.stop_training = warned = False
    callback_list.on_train_begin(logs)
    with closing(progress), _stopping_on_interrupt(executable) as interrupted:
        for epoch in range(run.first_epoch, epochs):
            callback_list.on_epoch_begin(epoch, {})
            first, end = state.position, int(min(run.steps, state.position + left))
            progress.begin_epoch(epoch, first, end, min(run.rows, end * run.batch_size))
            logs, seconds, nan_step = _train_epoch(net, run, end, callback_list, progress, interrupted)
            left -= end - first
            if nan_step >= 0 and not warned:
                warned = True
                warnings.warn(_lost(state.epoch, nan_step), TrainingWarning, stacklevel=3)
            logs |= _validate(net, run)
            history.add(epoch, logs, seconds)
            net.history.add(state.epoch - 1, logs, seconds)
            progress.end_epoch(logs, seconds)
            callback_list.on_epoch_end(epoch, logs)
            if interrupted:
                raise KeyboardInterrupt
            if net.stop_training:
                break
    history.plan = net.history.plan = executable.plan  # how it ran is known once it ran
    callback_list.on_train_end(logs)
    return history


def _resume(state: TrainingState, steps: int) -> None:
    """Begin where an interrupted epoch of that many steps stopped, else at the start of an epoch."""
    if state.position >= state.steps > 0:  # interrupted after its last step: it is over
        state.position, state.epoch = 0, state.epoch + 1
    if state.steps != steps:  # another length: begin the epoch again
        state.position, state.steps = 0, steps


def _validate(net: Network, run: Run) -> dict[str, float]:
    """Loss and metrics of the validation data, as `val_...`; {} without any."""
    if run.validation is None:
        return {}
    executable, batch_size = net.executable, max(run.batch_size, 256)
    totals = net.turns.read(executable, lambda given: executable.evaluate(run.validation, batch_size, given))
    return {f"val_{name}": value for name, value in totals.means(executable.program.metrics).items()}


def _train_epoch(
    net: Network, run: Run, end: int, callbacks: CallbackList, progress: Progress, interrupted: list[int]
) -> tuple[dict[str, float], float, int]:
    """Loss and metrics of an epoch, the seconds it took, and the first step whose loss was not a number, or -1.

    The epoch begins at the state's position and ends before step `end`.
    """
    executable, state = net.executable, net.executable.state
    order = epoch_order(run.shuffle, run.samples, run.rows, net.seed, state.epoch)
    start = perf_counter()
    with net.turns:
        executable.begin_epoch(run.data, order, run.batch_size)
    if interrupted:  # before: what begins an epoch forgets that it was asked to stop
        raise KeyboardInterrupt
    logs: Mapping[str, float] = {}
    is_long = run.has_long_steps(executable)
    one_by_one = callbacks.wants_batches or is_long
    for last in _stretches(state.position, end, one_by_one, progress.wants_updates):
        callbacks.on_batch_begin(state.position, logs)
        totals = _run_stretch(net, last, is_long, interrupted)
        if interrupted and state.position < end:
            raise KeyboardInterrupt
        if callbacks.wants_batches or progress.wants_updates:
            logs = totals.means(executable.program.metrics)
            progress.advance(state.position, logs)
        callbacks.on_batch_end(state.position - 1, logs)
        if net.stop_training:
            break
    seconds = perf_counter() - start
    state.position, state.epoch = 0, state.epoch + 1
    return totals.means(executable.program.metrics), seconds, totals.nan_step


def _run_stretch(net: Network, last: int, is_long: bool, interrupted: list[int]) -> Totals:
    """Run the steps before `last`, letting other threads have their turn between two; the epoch's totals so far."""
    executable, state, may_pause = net.executable, net.executable.state, True
    while True:
        first = state.position
        with net.turns.stretch(executable, is_long=is_long, may_pause=may_pause):
            hyperparameters = net.optimizer.hyperparameters(state.step, last - first)
            state.position = executable.run_steps(first, last, hyperparameters)
            if state.position == last or interrupted:
                return executable.totals()  # within the turn: a step of another thread has an epoch of its own
        may_pause = state.position > first  # who waits all the time does not stop it altogether


def _lost(epoch: int, nan_step: int) -> str:
    return (
        f"the loss is not a number since epoch {epoch}, step {nan_step + 1}: the parameters are lost. "
        "Try a smaller learning rate, global_clipnorm, or scaled inputs"
    )


def _stretches(first: int, steps: int, one_by_one: bool, in_view: bool) -> Iterator[int]:
    """The end of each stretch: every step, the whole epoch, or as many steps as fit between two refreshes."""
    if one_by_one:
        yield from range(first + 1, steps + 1)
    elif in_view:
        length, position = 1, first
        while position < steps:
            start = perf_counter()
            position = min(steps, position + length)
            yield position
            elapsed = max(perf_counter() - start, 1e-9)
            length = max(1, min(int(length * REFRESH / elapsed), 8 * length))
    elif first < steps:
        yield steps


@contextmanager
def _stopping_on_interrupt(executable: Executable) -> Iterator[list[int]]:
    """Ctrl-C stops the executable between two steps; the list is then no longer empty.

    Without this an interrupt could leave half an update behind; a second Ctrl-C does not wait for that. Only Python's
    own handler is replaced, and only in the main thread, which alone may.
    """
    received: list[int] = []

    def stop(number: int, frame: Any) -> None:
        received.append(number)
        executable.request_stop()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield received
        return
    signal.signal(signal.SIGINT, stop)
    try:
        yield received
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
