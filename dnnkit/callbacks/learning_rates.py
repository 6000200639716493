"""Callbacks that change the learning rate between epochs."""

from collections.abc import Callable, Mapping
from typing import Any

from dnnkit.callbacks.base import CALLBACKS, Callback, Logs, print_line, takes
from dnnkit.callbacks.monitor import Best, Mode
from dnnkit.errors import ConfigurationError
from dnnkit.network.checks import check_count
from dnnkit.saves.schema import COUNT, MEASURED, record, taken
from dnnkit.schedules import Schedule
from dnnkit.settings import NOT_NEGATIVE, SHARE, or_none, shown


class _OfLearningRate(Callback):
    """Base of both: requires a numeric rate, and logs the rate that an epoch was trained with."""

    @property
    def _rate(self) -> float:
        optimizer = self.model.optimizer
        if isinstance(optimizer.learning_rate, Schedule):
            raise ConfigurationError(
                f"{type(self).__name__} sets the learning rate, but {shown(optimizer.learning_rate)} sets it for every "
                f"update: give the optimizer a number, as {type(optimizer).__name__}(learning_rate=1e-3), or leave out "
                "the callback"
            )
        return float(optimizer.learning_rate)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._rate  # noqa: B018 - refuses a schedule before training

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = self._rate


@CALLBACKS.named("ReduceLROnPlateau")
class ReduceLROnPlateau(_OfLearningRate):
    """Multiply the learning rate by `factor` after `patience` epochs without improvement of `monitor`.

    Adds "learning_rate" to the logs: the rate that the epoch was trained with.

    Arguments:
        monitor: name in the logs of the monitored quantity, default "val_loss".
        factor: factor of the reduction, in [0, 1); default 0.1.
        patience: number of epochs without improvement before a reduction; default 10.
        verbose: 1 prints a line per reduction.
        mode: "min" or "max", whether lower or higher is better; "auto" (default) asks the metric.
        min_delta: improvements of at most this much do not count; default 1e-4.
        cooldown: number of epochs after a reduction that are not counted; default 0.
        min_lr: lower bound of the rate; default 0.

    Raises:
        ConfigurationError: an argument is invalid; in `fit`, nothing of that name is measured, or the optimizer's
            learning rate is a schedule.

    Source: Keras, for the arguments and the way of counting.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: Mode = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        self._best = Best(monitor, mode, min_delta)
        self.factor = SHARE.of("factor", factor)
        self.patience = check_count("patience", patience, 0)
        self.verbose = check_count("verbose", verbose, 0)
        self.cooldown = check_count("cooldown", cooldown, 0)
        self.min_lr = NOT_NEGATIVE.of("min_lr", min_lr)

    @property
    def best(self) -> float | None:
        """The best value so far."""
        return self._best.value

    def on_train_begin(self, logs: Logs | None = None) -> None:  # noqa: D102
        super().on_train_begin(logs)
        self._best.forget()
        self._waited = self._cooling = 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: D102
        super().on_epoch_end(epoch, logs)
        value, rate = self._best.seen(self, logs), self._rate
        if value is None:
            return
        if self._cooling:
            self._cooling -= 1
            self._waited = 0
        if self._best.improves(value):
            self._waited = 0
            return
        if self._cooling:
            return
        self._waited += 1
        if self._waited >= self.patience and rate > self.min_lr:
            lower = max(rate * self.factor, self.min_lr)
            self.model.optimizer.learning_rate = lower
            if self.verbose:
                print_line(f"Epoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {lower}.")
            self._waited, self._cooling = 0, self.cooldown

    def state(self) -> dict[str, Any]:  # noqa: D102
        return {"best": self._best.value, "waited": self._waited, "cooling": self._cooling}

    def restore(self, state: Mapping[str, Any]) -> None:  # noqa: D102
        state = taken(state, record({"best": or_none(MEASURED), "waited": COUNT, "cooling": COUNT}), "the state")
        self._best.value, self._waited, self._cooling = state["best"], state["waited"], state["cooling"]


@CALLBACKS.named("LearningRateScheduler")
class LearningRateScheduler(_OfLearningRate):
    """Set the learning rate before each epoch by a function.

    Adds "learning_rate" to the logs. To set the rate for each update, at no cost, give the optimizer a schedule of
    `dnnkit.schedules`.

    Arguments:
        schedule: `schedule(epoch, rate)` or `schedule(epoch)` returns the rate; epochs are counted from 0, `rate` is
            the current rate.
        verbose: 1 prints the rate of each epoch.

    Raises:
        ConfigurationError: the function takes other arguments; in `fit`, it does not return a finite number of at least
            0, or the optimizer's learning rate is a schedule.

    Source: Keras.
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        if isinstance(schedule, Schedule):
            raise ConfigurationError(
                f"LearningRateScheduler(schedule={shown(schedule)}): this schedule counts updates, not epochs: give it "
                "to the optimizer as learning_rate"
            )
        self.schedule = schedule
        self._takes_rate = takes(schedule, 2, if_unknown=False)
        if not self._takes_rate and not takes(schedule, 1):
            raise ConfigurationError(
                f"LearningRateScheduler(schedule={shown(schedule)}): expected a function of epoch and rate, "
                "schedule(epoch, rate), or of the epoch only"
            )
        self.verbose = check_count("verbose", verbose, 0)

    def on_train_begin(self, logs: Logs | None = None) -> None:  # noqa: D102
        super().on_train_begin(logs)
        self._set_for: int | None = None

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: D102
        if self._set_for == epoch:  # resuming within an epoch must not apply the function twice
            return
        given = self.schedule(epoch, self._rate) if self._takes_rate else self.schedule(epoch)
        rate = NOT_NEGATIVE.check(f"schedule({epoch}) returns {shown(given)}", given)
        self.model.optimizer.learning_rate = rate
        self._set_for = epoch
        if self.verbose:
            print_line(f"Epoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}.")

    def state(self) -> dict[str, Any]:  # noqa: D102
        return {"set_for": self._set_for}

    def restore(self, state: Mapping[str, Any]) -> None:  # noqa: D102
        self._set_for = taken(state, record({"set_for": or_none(COUNT)}), "the state")["set_for"]
