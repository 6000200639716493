"""Save while training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from dnnkit.callbacks.base import CALLBACKS, Best, Callback, Logs
from dnnkit.errors import ConfigurationError
from dnnkit.files import as_path
from dnnkit.saves.schema import MEASURED, record, taken
from dnnkit.settings import or_none


@CALLBACKS.named("ModelCheckpoint")
class ModelCheckpoint(Callback):
    """Save the network after every epoch, or only after the best so far.

    `path` may name the epoch (from 1) and the logs: `"runs/{epoch:03d}-{val_loss:.3f}"`. The save is whole at any
    moment; the same path is replaced by each new one.
    """

    def __init__(
        self,
        path: str | Path,
        monitor: str = "val_loss",
        *,
        save_best_only: bool = False,
        mode: Literal["auto", "min", "max"] = "auto",
    ) -> None:
        self.path = str(as_path(path))
        self.save_best_only = save_best_only
        self._best = Best(monitor, mode)

    def state(self) -> dict[str, Any]:  # noqa: D102
        return {"best": self._best.value}

    def restore(self, state: Mapping[str, Any]) -> None:  # noqa: D102
        self._best.value = taken(state, record({"best": or_none(MEASURED)}), "the state")["best"]

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:  # noqa: D102
        if self.save_best_only and not self._best.improves(logs):
            return
        try:
            path = self.path.format(epoch=epoch + 1, **logs)
        except (KeyError, ValueError, IndexError, AttributeError) as error:
            raise ConfigurationError(
                f"ModelCheckpoint path {self.path!r} cannot be filled in ({error!r}); it may name epoch, "
                f"{', '.join(logs)}"
            ) from error
        self.model.save(path)
