"""The training loop: epochs, and within an epoch stretches of steps that the executable runs in one call each.

By default a stretch is the whole epoch. It is shorter only where someone wants to look in between: a live progress
bar (a tenth of a second), a callback that hears of batches (one step). Ctrl-C ends a stretch between two steps.
"""

import signal
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from time import perf_counter
from typing import TYPE_CHECKING, Any

from dnnkit.backends.executable import Executable
from dnnkit.callbacks.base import Callback, CallbackList
from dnnkit.errors import TrainingWarning
from dnnkit.training.epoch_order import Shuffle, epoch_order
from dnnkit.training.history import History
from dnnkit.training.progress import REFRESH, Progress, Verbosity, make_progress

if TYPE_CHECKING:
    from dnnkit.network.sequential import Sequential


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
    """Steps in all, after which training ends, perhaps within an epoch."""

    @property
    def steps(self) -> int:
        """Batches an epoch; the last of a single pass over the samples may be smaller."""
        return self.steps_per_epoch or -(-self.samples // self.batch_size)

    @property
    def rows(self) -> int:
        """Samples that an epoch shows."""
        single_pass = self.steps_per_epoch is None and self.shuffle != "with_replacement"
        return self.samples if single_pass else self.steps * self.batch_size


def train(
    net: "Sequential", run: Run, callbacks: Callback | str | Sequence[Callback | str], verbose: Verbosity
) -> History:
    """Run the epochs first_epoch … epochs - 1 and return what they measured."""
    executable = net.executable
    history, counter = History(net.seed, executable.plan), executable.state
    if counter.position >= counter.steps > 0:  # interrupted after the epoch's last step
        counter.position, counter.epoch = 0, counter.epoch + 1
    if counter.steps != run.steps:  # not the epoch that was interrupted, if any was
        counter.position, counter.steps = 0, run.steps
    left, epochs = inf, run.epochs
    if run.limit is not None:
        left, epochs = run.limit, run.first_epoch + -(-(counter.position + run.limit) // run.steps)
    progress = make_progress(verbose, epochs)
    watchers = CallbackList(callbacks)
    watchers.attach(
        net,
        {"epochs": epochs, "steps": run.steps, "samples": run.samples, "batch_size": run.batch_size},
    )
    logs: dict[str, float] = {}
    net.stop_training = warned = False
    watchers.on_train_begin(logs)
    try:
        with _stopping_on_interrupt(executable) as interrupted:
            for epoch in range(run.first_epoch, epochs):
                watchers.on_epoch_begin(epoch, {})
                first, end = counter.position, int(min(run.steps, counter.position + left))
                progress.begin_epoch(epoch, first, end, min(run.rows, end * run.batch_size))
                logs, seconds, nan_step = _train_epoch(net, run, end, watchers, progress, interrupted)
                left -= end - first
                if nan_step >= 0 and not warned:
                    warned = True
                    warnings.warn(_lost(counter.epoch, nan_step), TrainingWarning, stacklevel=3)
                if run.validation is not None:
                    totals = executable.evaluate(run.validation, max(run.batch_size, 256))
                    measured = totals.means(executable.program.metrics)
                    logs |= {f"val_{name}": value for name, value in measured.items()}
                history.add(epoch, logs, seconds)
                net.history.add(counter.epoch - 1, logs, seconds)
                progress.end_epoch(logs, seconds)
                watchers.on_epoch_end(epoch, logs)
                if interrupted:
                    raise KeyboardInterrupt
                if net.stop_training:
                    break
    finally:
        progress.close()
    history.plan = net.history.plan = executable.plan  # how it ran is known once it ran
    watchers.on_train_end(logs)
    return history


def _train_epoch(
    net: "Sequential", run: Run, end: int, watchers: CallbackList, progress: Progress, interrupted: list[int]
) -> tuple[dict[str, float], float, int]:
    """Loss and metrics of an epoch, the seconds it took, and the first step whose loss was not a number, or -1.

    The executable's state says where it stands; the epoch is over before step `end`.
    """
    executable, state = net.executable, net.executable.state
    order = epoch_order(run.shuffle, run.samples, run.rows, net.seed, state.epoch)
    start = perf_counter()
    executable.begin_epoch(run.data, order, run.batch_size)
    logs: Mapping[str, float] = {}
    for last in _stretches(state.position, end, watchers.wants_batches, progress.wants_updates):
        watchers.on_batch_begin(state.position, logs)
        hyperparameters = net.optimizer.hyperparameters(state.step, last - state.position)
        state.position = executable.run_steps(state.position, last, hyperparameters)
        if interrupted and state.position < end:
            raise KeyboardInterrupt
        if watchers.wants_batches or progress.wants_updates:
            logs = executable.totals().means(executable.program.metrics)
            progress.advance(state.position, logs)
        watchers.on_batch_end(state.position - 1, logs)
        if net.stop_training:
            break
    totals = executable.totals()
    seconds = perf_counter() - start
    state.position, state.epoch = 0, state.epoch + 1
    return totals.means(executable.program.metrics), seconds, totals.nan_step


def _lost(epoch: int, nan_step: int) -> str:
    return (
        f"the loss is not a number since epoch {epoch}, step {nan_step + 1}: the parameters are lost. "
        "Try a smaller learning rate, global_clipnorm, or scaled inputs"
    )


def _stretches(first: int, steps: int, one_by_one: bool, in_view: bool) -> Iterator[int]:
    """The ends of the stretches of an epoch: steps / all at once / as many as fit between two looks."""
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
