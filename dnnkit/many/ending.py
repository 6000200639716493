"""Reason why a network's training ended; saved with its checkpoint."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from dnnkit.callbacks.base import Callback
from dnnkit.saves.schema import record, taken, text
from dnnkit.training.loop import Fit

STATE = record({"why": text(words="text, of at most 200 letters", most=200)})


class Ending(Callback):
    """Callback that records why training ended; it has no hooks, so it does not split stretches of epochs."""

    why = ""

    def after_epoch(self, fit: Fit) -> None:
        """Stop if the loss is not finite, and record the reason if another callback stopped training."""
        history, totals = fit.standing.history, fit.totals
        if not isfinite(totals.mean_loss):
            where = f"epoch {history.epoch[-1] + 1}"
            step = "loss is infinite in" if totals.nan_step < 0 else f"loss is NaN in step {totals.nan_step + 1} of"
            fit.net.stop_training, self.why = True, f"{step} {where}"
        elif fit.net.stop_training and not self.why:
            self.why = history.ended or "early stopping"

    def at_end(self, fit: Fit) -> None:
        """Keep the recorded reason, or record that training reached the last epoch."""
        self.why = self.why or "epochs"

    def state(self) -> dict[str, Any]:  # noqa: D102
        return {"why": self.why}

    def restore(self, state: Mapping[str, Any]) -> None:  # noqa: D102
        self.why = taken(state, STATE, "the state")["why"]
