"""A callback that saves the network during training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from dnnkit.callbacks.base import CALLBACKS, Callback, Logs, print_line
from dnnkit.callbacks.monitor import Best, Mode
from dnnkit.errors import ConfigurationError
from dnnkit.files import as_path
from dnnkit.network.checks import check_count
from dnnkit.saves.schema import COUNT, MEASURED, record, taken
from dnnkit.settings import FINITE, or_none, shown


@CALLBACKS.named("ModelCheckpoint")
class ModelCheckpoint(Callback):
    """Save the network after every epoch, or only after the best so far.

    Saves are atomic: a save at the same path is replaced only once the new one is complete. To resume a fit exactly,
    pass `checkpoint` to `fit` instead.

    Arguments:
        filepath: folder of the save; may contain the epoch (from 1) and logs as format fields:
            `"runs/{epoch:02d}-{val_loss:.2f}"`.
        monitor: name in the logs of the monitored quantity, used with `save_best_only`.
        verbose: 1 prints a line per save.
        save_best_only: save only on improvement.
        save_weights_only: write only the parameters, as a safetensors file (`save_weights`).
        mode: "min" or "max", whether lower or higher is better; "auto" (default) asks the metric.
        save_freq: "epoch" (default), or a number of batches; training then runs step by step, and the path may contain
            `{batch}`.
        initial_value_threshold: value that the first save must beat, used with `save_best_only`.

    Raises:
        ConfigurationError: an argument is invalid; in `fit`, the path contains an unknown field, or nothing of the
            monitor's name is measured.
        CheckpointError: the save cannot be written.

    Source: Keras.
    """

    def __init__(
        self,
        filepath: str | Path,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: Mode = "auto",
        save_freq: Literal["epoch"] | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        self.filepath = str(as_path(filepath))
        self.verbose = check_count("verbose", verbose, 0)
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        if isinstance(save_freq, str) and save_freq != "epoch":
            raise ConfigurationError(f"save_freq is {shown(save_freq)}: expected 'epoch', or a number of batches")
        self.save_freq = save_freq if isinstance(save_freq, str) else check_count("save_freq", save_freq)
        self._best = Best(monitor, mode, value=or_none(FINITE).of("initial_value_threshold", initial_value_threshold))
        self._epoch = self._batches = 0
        if self.save_freq != "epoch":
            self.on_train_batch_end = self._count  # type: ignore[method-assign] # overridden only if needed

    def on_train_begin(self, logs: Logs | None = None) -> None:  # noqa: D102
        self._batches = 0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: D102
        self._epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: D102
        if self.save_freq == "epoch":
            self._save({"epoch": epoch + 1}, logs or {})

    def _count(self, batch: int, logs: Logs | None = None) -> None:
        self._batches += 1
        if self._batches == self.save_freq:
            self._batches = 0
            self._save({"epoch": self._epoch + 1, "batch": batch + 1}, logs or {})

    def _save(self, numbers: dict[str, int], logs: Logs) -> None:
        """Save, unless `save_best_only` is set and this is not an improvement."""
        when, what = f"Epoch {numbers['epoch']}", ""
        if self.save_best_only:
            value, best = self._best.seen(self, logs), self._best.value
            if value is None:
                return
            if not self._best.improves(value):
                if self.verbose:
                    print_line(f"{when}: {self._best.monitor} did not improve from {best}")
                return
            what = f" {self._best.monitor} improved from {best} to {value},"
        try:
            path = self.filepath.format(**{**logs, **numbers})
        except (KeyError, ValueError, IndexError, AttributeError) as error:
            raise ConfigurationError(
                f"ModelCheckpoint filepath {self.filepath!r} cannot be formatted ({error!r}); it may contain the "
                f"fields {', '.join([*numbers, *logs])}"
            ) from error
        if self.save_weights_only:
            self.model.save_weights(path)
        else:
            self.model.save(path)
        if self.verbose:
            print_line(f"{when}:{what} saving model to {path}")

    def state(self) -> dict[str, Any]:  # noqa: D102
        return {"best": self._best.value, "batches": self._batches}

    def restore(self, state: Mapping[str, Any]) -> None:  # noqa: D102
        state = taken(state, record({"best": or_none(MEASURED), "batches": COUNT}), "the state")
        self._best.value, self._batches = state["best"], state["batches"]
