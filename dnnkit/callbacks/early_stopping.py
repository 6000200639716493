"""Early stopping."""

from collections.abc import Mapping
from typing import Any

from dnnkit.callbacks.base import CALLBACKS, Callback, Logs, print_line
from dnnkit.callbacks.monitor import Best, Mode
from dnnkit.network.checks import check_count
from dnnkit.saves.schema import ANYTHING, COUNT, MEASURED, by_name, record, taken
from dnnkit.settings import FINITE, or_none

STATE = record(
    {
        "best": or_none(MEASURED),
        "best_epoch": or_none(COUNT),
        "stopped_epoch": or_none(COUNT),
        "waited": COUNT,
        "weights": or_none(by_name(ANYTHING)),
    }
)


@CALLBACKS.named("EarlyStopping")
class EarlyStopping(Callback):
    """End training after `patience` epochs without improvement of `monitor`.

    `best`, `best_epoch` and `stopped_epoch` (None if training was not stopped) hold the outcome.

    Arguments:
        monitor: name in the logs of the monitored quantity, default "val_loss".
        min_delta: improvements of at most this much do not count; default 0.
        patience: number of epochs without improvement after which training ends; default 0.
        verbose: 1 prints a line on stopping, and which weights are restored.
        mode: "min" or "max", whether lower or higher is better; "auto" (default) asks the metric.
        baseline: value to beat as well: until it is beaten, improvements do not reset the count.
        restore_best_weights: restore the parameters of the best epoch at the end, also if training ran to its last
            epoch. Default True, unlike in Keras.
        start_from_epoch: ignore earlier epochs; default 0.

    Raises:
        ConfigurationError: an argument is invalid; in `fit`, nothing of that name is measured.

    Source: L. Prechelt, Early stopping - but when?, 1998; arguments as in Keras.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: int = 0,
        mode: Mode = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = True,
        start_from_epoch: int = 0,
    ) -> None:
        self._best = Best(monitor, mode, min_delta)
        self.patience = check_count("patience", patience, 0)
        self.verbose = check_count("verbose", verbose, 0)
        self.baseline = or_none(FINITE).of("baseline", baseline)
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = check_count("start_from_epoch", start_from_epoch, 0)
        self.best_epoch: int | None = None
        self.stopped_epoch: int | None = None

    @property
    def best(self) -> float | None:
        """The best value so far."""
        return self._best.value

    def on_train_begin(self, logs: Logs | None = None) -> None:  # noqa: D102
        self._best.forget()
        self._weights: Mapping[str, Any] | None = None
        self._waited = 0
        self.best_epoch = self.stopped_epoch = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: D102
        value = self._best.seen(self, logs)
        if value is None or epoch < self.start_from_epoch:
            return
        self._waited += 1
        if self._best.improves(value):
            self.best_epoch = epoch
            if self.restore_best_weights:
                self._weights = dict(self.model.predicting_parameters)  # those that validation used
            if self.baseline is None or self._best.is_better(value, self.baseline):
                self._waited = 0
                return
        if self._waited >= self.patience and epoch > 0:  # the first epoch has no predecessor to improve on
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def state(self) -> dict[str, Any]:  # noqa: D102
        return {
            "best": self._best.value,
            "best_epoch": self.best_epoch,
            "stopped_epoch": self.stopped_epoch,
            "waited": self._waited,
            "weights": self._weights,
        }

    def restore(self, state: Mapping[str, Any]) -> None:  # noqa: D102
        state = taken(state, STATE, "the state")
        self._best.value, self._waited, self._weights = state["best"], state["waited"], state["weights"]
        self.best_epoch, self.stopped_epoch = state["best_epoch"], state["stopped_epoch"]

    def on_train_end(self, logs: Logs | None = None) -> None:  # noqa: D102
        if self.verbose and self.stopped_epoch is not None:
            print_line(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self._weights is not None:
            if self.verbose and self.best_epoch is not None:
                print_line(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_parameters(self._weights)
