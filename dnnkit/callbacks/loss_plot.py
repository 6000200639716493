"""A plot of the loss, updated during training."""

from collections.abc import Mapping
from math import nan
from pathlib import Path
from typing import Any

from dnnkit.callbacks.base import CALLBACKS, Callback, Logs
from dnnkit.files import as_path
from dnnkit.network.checks import check_count
from dnnkit.saves.schema import COUNT, MEASURED, by_name, list_of, record, taken
from dnnkit.training.notebook import Cell, in_notebook


@CALLBACKS.named("LossPlot")
class LossPlot(Callback):
    """Plot training and validation loss by epoch, live in a notebook, and to a file if `path` is given.

    As a callback, it needs no further calls. In a custom training loop, call `init()`, then `add(epoch, loss,
    val_loss)` any number of times, then `finish()`.

    Arguments:
        path: image file to write; None writes none.
        every: update the plot every this many epochs, and at the end.
        label: label of the horizontal axis, if it does not count epochs.
    """

    def __init__(self, path: str | Path | None = None, *, every: int = 1, label: str = "epoch") -> None:
        self.path = None if path is None else as_path(path)
        self.every = check_count("every", every)
        self.label = label
        self.init()

    def init(self) -> None:
        """Start an empty plot."""
        self._epochs: list[int] = []
        self._losses: dict[str, list[float]] = {}
        self._cell = Cell() if in_notebook() else None

    def add(self, epoch: int, loss: float, val_loss: float | None = None) -> None:
        """Append a point to the curves.

        Arguments:
            epoch: horizontal position.
            loss: training loss.
            val_loss: validation loss, or None if it was not measured.
        """
        self._epochs.append(epoch)
        self._losses.setdefault("training", []).append(float(loss))
        if val_loss is not None:
            self._losses.setdefault("validation", [nan] * (len(self._epochs) - 1)).append(float(val_loss))
        elif "validation" in self._losses:
            self._losses["validation"].append(nan)
        if len(self._epochs) % self.every == 0:
            self._draw()

    def finish(self) -> None:
        """Draw the complete plot."""
        if self._epochs:
            self._draw()

    def on_train_begin(self, logs: Logs | None = None) -> None:  # noqa: D102
        self.init()

    def state(self) -> dict[str, Any]:  # noqa: D102
        return {"epochs": self._epochs, "losses": self._losses}

    def restore(self, state: Mapping[str, Any]) -> None:  # noqa: D102
        kind = record({"epochs": list_of(COUNT), "losses": by_name(list_of(MEASURED))})
        state = taken(state, kind, "the state")
        self._epochs, self._losses = state["epochs"], state["losses"]

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: D102
        if logs is not None:
            self.add(epoch + 1, logs["loss"], logs.get("val_loss"))

    def on_train_end(self, logs: Logs | None = None) -> None:  # noqa: D102
        self.finish()

    def _draw(self) -> None:
        from dnnkit.plots import plot_curves, save_figure

        figure = plot_curves({"loss": self._losses}, self._epochs, self.label)
        if self.path is not None:
            save_figure(figure, self.path)
        if self._cell is not None:
            self._cell.show(figure)
