"""Stop when it no longer gets better."""

from collections.abc import Mapping
from typing import Any, Literal

from dnnkit.callbacks.base import CALLBACKS, Best, Callback, Logs
from dnnkit.network.checks import check_count
from dnnkit.saves.schema import ANYTHING, COUNT, MEASURED, by_name, record, taken
from dnnkit.settings import or_none

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
    """End training after `patience` epochs without improvement of `monitor` by more than `min_delta`.

    The parameters of the best epoch are put back at the end, also when training ran to its last epoch, unless
    `restore_best_weights` is false. `best_epoch` and `stopped_epoch` (None if it ran to the end) tell what happened.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        *,
        min_delta: float = 0.0,
        patience: int = 0,
        mode: Literal["auto", "min", "max"] = "auto",
        restore_best_weights: bool = True,
    ) -> None:
        self._best = Best(monitor, mode, min_delta)
        self.patience = check_count("patience", patience, 0)
        self.restore_best_weights = restore_best_weights
        self.best_epoch: int | None = None
        self.stopped_epoch: int | None = None

    @property
    def best(self) -> float | None:
        """The best value seen."""
        return self._best.value

    def on_train_begin(self, logs: Logs) -> None:  # noqa: D102
        self._best.forget()
        self._weights: Mapping[str, Any] | None = None
        self._waited = 0
        self.best_epoch = self.stopped_epoch = None

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:  # noqa: D102
        if self._best.improves(logs):
            self.best_epoch, self._waited = epoch, 0
            if self.restore_best_weights:
                self._weights = dict(self.model.parameters)
            return
        self._waited += 1
        if self._waited >= self.patience:
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

    def on_train_end(self, logs: Logs) -> None:  # noqa: D102
        if self._weights is not None:
            self.model.set_parameters(self._weights)
