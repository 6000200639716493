"""Callbacks for one member: its curve, its best epoch, its deadline."""

from collections.abc import Callable
from math import inf, isfinite
from threading import Event
from typing import Any

from dnnkit.callbacks.base import Callback, Logs
from dnnkit.estimators.budget import Clock, Hurried
from dnnkit.estimators.data import Curve, Progress
from dnnkit.schedules import Schedule

INTERRUPTED = "it was interrupted"
SLOWER = 1.05
"""Ratio of estimated to remaining time above which a member's schedule is sped up."""


class BestEpoch(Callback):
    """Callback that records a member's curve and the weights of the epoch with the smallest held-out loss.

    Arguments:
        curve: the curve to extend.
        score: name of the metric for `curve.scores`; None for none.
        rows: rows per epoch.
        reported: factor from dnnkit's loss to the reported one.
        patience: epochs without a better one after which training ends.
        stop: event that ends training after the current epoch.
        print_line: accepts lines of text, or None.
    """

    def __init__(
        self,
        curve: Curve,
        *,
        score: str | None,
        rows: int,
        reported: float,
        patience: float,
        stop: Event,
        print_line: Callable[[str], None] | None,
    ) -> None:
        self.curve, self.score, self.rows, self.reported = curve, score, rows, reported
        self.patience, self.stop, self.print_line = patience, stop, print_line
        self.best, self.best_epoch = inf, -1
        self.weights: dict[str, Any] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:  # noqa: D102
        self.curve.epochs, self.curve.waited, self.curve.ended = 0, 0, ""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: D102
        curve, logs = self.curve, logs or {}
        loss = float(logs["loss"]) * self.reported
        curve.losses.append(loss)
        curve.epochs += 1
        curve.rows_seen += self.rows
        curve.best_loss = loss if curve.best_loss is None else min(curve.best_loss, loss)
        line = f"epoch {curve.epochs}, loss {loss:.4f}"
        if "val_loss" in logs:
            line += self._note(epoch, float(logs["val_loss"]), logs)
        if self.print_line is not None:
            self.print_line(line)
        if self.stop.is_set():
            curve.ended, self.model.stop_training = INTERRUPTED, True

    def _note(self, epoch: int, held_out: float, logs: Logs) -> str:
        curve, score = self.curve, logs.get(f"val_{self.score}")
        if score is not None:
            curve.scores = [*curve.scores, float(score)] if curve.scores else [float(score)]
        curve.waited += 1
        if held_out < self.best:
            self.best, self.best_epoch, curve.waited, curve.best_score = held_out, epoch, 0, score
            self.weights = dict(self.model.predicting_parameters)
        elif curve.waited >= self.patience:
            curve.ended = f"no better epoch in {curve.waited}"
            self.model.stop_training = True
        return f", held out {held_out * self.reported:.4f}, best {self.best * self.reported:.4f}"

    def on_train_end(self, logs: Logs | None = None) -> None:  # noqa: D102
        if self.weights is not None:
            self.model.set_parameters(self.weights)


class Deadline(Callback):
    """Callback that ends a training in time, and speeds up its schedule so that it completes.

    Arguments:
        at: time at which training has to end.
        clock: returns the time in seconds.
        steps: total number of steps without a deadline.
        curve: records why training ended.
    """

    def __init__(self, at: float, clock: Clock, steps: int, curve: Curve) -> None:
        self.at, self.clock, self.steps, self.curve = at, clock, steps, curve
        self._done, self._begin, self._looks = 0, clock(), 1

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:  # noqa: D102
        self._done += 1
        now = self.clock()
        if now >= self.at:
            self.curve.ended = f"time budget spent after {self._done} of {self.steps} steps"
            self.model.stop_training = True
        elif self._done >= self._looks:  # after 1, 2, 4, ... steps, later after each 1/64 of the training
            self._looks += max(1, min(self._looks, self.steps // 64))
            self._hurry(now)

    def _hurry(self, now: float) -> None:
        optimizer: Any = self.model.optimizer
        schedule, done = optimizer.learning_rate, self._done
        if not isinstance(schedule, Schedule) or now <= self._begin:
            return
        hurried = isinstance(schedule, Hurried)
        place = schedule.place(done) if isinstance(schedule, Hurried) else float(done)
        left = (self.at - now) * done / (now - self._begin)  # remaining steps at the speed so far
        pace = (self.steps - place) / max(left, 1.0)
        before = schedule.pace if isinstance(schedule, Hurried) else 1.0
        if isfinite(pace) and pace > 0 and (pace > SLOWER * before or (hurried and pace * SLOWER < before)):
            inner = schedule.schedule if isinstance(schedule, Hurried) else schedule
            optimizer.learning_rate = Hurried(inner, done, place, max(1.0, pace))


class ProgressLines:
    """Prints a member's lines, at most one per second.

    Arguments:
        progress: accepts the lines.
        who: prefix of each line.
        clock: returns the time in seconds.
        elapsed: returns the elapsed time as text.
    """

    def __init__(self, progress: Progress, who: str, clock: Clock, elapsed: Callable[[], str]) -> None:
        self.progress, self.who, self.clock, self.elapsed = progress, who, clock, elapsed
        self._next = clock() + 1.0

    def __call__(self, line: str, *, always: bool = False) -> None:
        """Print the line if the last one is a second old, or `always`."""
        now = self.clock()
        if always or now >= self._next:
            self._next = now + 1.0
            self.progress(f"{self.who}: {line}, {self.elapsed()}")
