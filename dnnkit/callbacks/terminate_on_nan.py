"""A callback that stops training on a non-finite loss."""

from math import isfinite

from dnnkit.callbacks.base import CALLBACKS, Callback, Logs


@CALLBACKS.named("TerminateOnNaN")
class TerminateOnNaN(Callback):
    """End training at the end of the epoch in which the loss became NaN or infinite.

    The check runs once per epoch, so it costs nothing; Keras checks after every batch. The warning that `fit` issues
    names the step.
    """

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: D102
        if logs is not None and not isfinite(logs["loss"]):
            self.model.stop_training = True
