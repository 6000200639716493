"""Stop when the loss is no longer a number."""

from math import isfinite

from dnnkit.callbacks.base import CALLBACKS, Callback, Logs


@CALLBACKS.named("TerminateOnNaN")
class TerminateOnNaN(Callback):
    """End training at the end of the epoch in which the loss became NaN or infinite.

    It looks once per epoch, where Keras looks after every batch, so that it costs nothing; the warning that `fit` gives
    names the very step.
    """

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: D102
        if logs is not None and not isfinite(logs["loss"]):
            self.model.stop_training = True
