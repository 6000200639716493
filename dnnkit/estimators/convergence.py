"""scikit-learn's stopping rule for MLPs: no better loss, or held-out score, for some epochs."""

from math import inf
from time import perf_counter
from typing import Any

from dnnkit.callbacks.base import Callback, Logs
from dnnkit.estimators.data import Curve, Progress
from dnnkit.estimators.settings import Settings

SMALLEST_RATE = 1e-6
"""Learning rate below which "adaptive" no longer reduces it."""


class Convergence(Callback):
    """Callback that records a member's curve and stops its training by `tol` and `n_iter_no_change`.

    Arguments:
        settings: settings of the estimator.
        curve: the curve to extend.
        rows: rows per epoch.
        reported: factor from dnnkit's loss to the one that scikit-learn reports.
        rate: factor from scikit-learn's learning rate to the optimizer's.
        score: name of the held-out score in the logs; None without one.
        stops: whether it may stop the training.
        progress: accepts a line per epoch, or None.
        deadline: time at which training ends, after the current epoch; None for no limit.
    """

    def __init__(
        self,
        settings: Settings,
        curve: Curve,
        *,
        rows: int,
        reported: float,
        rate: float,
        score: str | None,
        stops: bool,
        progress: Progress | None,
        deadline: float | None = None,
    ) -> None:
        self.settings, self.curve, self.rows, self.reported, self.rate = settings, curve, rows, reported, rate
        self.score, self.stops, self.progress, self.deadline = score, stops, progress, deadline
        self.best_weights: dict[str, Any] | None = None
        self.by_score = settings.early_stopping and score is not None

    def on_train_begin(self, logs: Logs | None = None) -> None:  # noqa: D102
        self.curve.epochs, self.curve.ended = 0, ""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: D102
        curve, settings = self.curve, self.settings
        loss = float((logs or {})["loss"]) * self.reported
        curve.losses.append(loss)
        curve.epochs += 1
        curve.rows_seen += self.rows
        if self.progress is not None:
            self.progress(f"Iteration {curve.epochs}, loss = {loss:.8f}")
        if self.score is not None:
            self._note_score(float((logs or {})[self.score]))
        if not self.by_score:
            best = inf if curve.best_loss is None else curve.best_loss
            curve.waited = curve.waited + 1 if loss > best - settings.tol else 0
            curve.best_loss = min(best, loss)
        optimizer: Any = self.model.optimizer
        if settings.solver == "sgd" and settings.learning_rate == "invscaling" and settings.schedule is None:
            optimizer.learning_rate = (
                self.rate * settings.learning_rate_init / (curve.rows_seen + 1) ** settings.power_t
            )
        if self.stops and curve.waited > settings.n_iter_no_change:
            self._converged(optimizer)
        elif self.deadline is not None and perf_counter() >= self.deadline:
            curve.ended, self.model.stop_training = f"time budget spent after {curve.epochs} epochs", True

    def _note_score(self, score: float) -> None:
        curve = self.curve
        curve.scores = [*(curve.scores or ()), score]
        best = -inf if curve.best_score is None else curve.best_score
        if self.progress is not None:
            self.progress(f"Validation score: {score:f}")
        if self.by_score:
            curve.waited = curve.waited + 1 if score < best + self.settings.tol else 0
        if score > best:
            curve.best_score = score
            if self.by_score:
                self.best_weights = dict(self.model.predicting_parameters)

    def _converged(self, optimizer: Any) -> None:
        settings, curve = self.settings, self.curve
        what = "validation score" if self.by_score else "training loss"
        why = (
            f"{what} did not improve more than tol={settings.tol:g} for {settings.n_iter_no_change} consecutive epochs"
        )
        if settings.solver == "sgd" and settings.learning_rate == "adaptive" and settings.schedule is None:
            if optimizer.learning_rate / self.rate > SMALLEST_RATE:
                optimizer.learning_rate = optimizer.learning_rate / 5
                curve.waited = 0
                if self.progress is not None:
                    self.progress(f"{why}: learning rate {optimizer.learning_rate / self.rate:g}")
                return
            why = f"{why}, and the learning rate is too small to continue"
        curve.ended, self.model.stop_training = why, True
        if self.progress is not None:
            self.progress(f"{why}: stopping")

    def on_train_end(self, logs: Logs | None = None) -> None:  # noqa: D102
        if self.best_weights is not None:
            self.model.set_parameters(self.best_weights)
