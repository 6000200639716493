"""What a callback hears, and the registry of callbacks."""

from collections.abc import Mapping
from inspect import signature
from typing import Any, TypeAlias

from dnnkit.backends.diagnosis import remark
from dnnkit.network.protocol import Network
from dnnkit.registry import Registry

Logs: TypeAlias = dict[str, Any]


class Callback:
    """Base of all callbacks: override what you want to hear. `self.model` is the network, `self.params` the run.

    `logs` holds loss and metrics as plain numbers; at the end of an epoch also `val_...`. What `on_epoch_end` or
    `on_test_end` adds to them, callbacks after this one see, too, and the History or the evaluation. Set
    `self.model.stop_training = True` to end training after the epoch, or after the batch from a batch's method.

    Only what is overridden is called. One that overrides a method of training batches makes training go step by step,
    of test batches evaluations batch by batch, of predicted batches predictions; the others cost nothing in between.
    """

    model: Network
    params: Mapping[str, Any] = {}
    """`epochs`, `steps` (batches per epoch), `samples`, `batch_size`, `verbose`; `metrics`: what logs may hold."""

    def set_model(self, model: Network) -> None:
        """Watch that network, from now on."""
        self.model = model

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Take what is known of the run that is about to begin."""
        self.params = params

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After the last epoch, with its logs; not after an exception."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before an epoch; epochs count from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After an epoch and its validation."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a training batch; batches count from 0 in every epoch."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a training batch; logs are means over the epoch so far."""
        self.on_batch_end(batch, logs)

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """`on_train_batch_begin` by its older name."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """`on_train_batch_end` by its older name."""

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Before an evaluation, that of validation data within `fit`, too."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """After an evaluation, with what it gives; without "val_"."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of an evaluation."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of an evaluation; logs are means so far."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Before predictions."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """After predictions."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of predictions."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of predictions, which is `logs["outputs"]`."""

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of it: numbers, text, lists and dictionaries of them, and NumPy arrays."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` gave; after `on_train_begin`, where a fit goes on from a checkpoint."""


def _is_callback(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, Callback)


CALLBACKS: Registry[type[Callback]] = Registry("callback", "a subclass of Callback", _is_callback)
"""By their class names: `fit(callbacks="TerminateOnNaN")`."""


def say(line: str) -> None:
    """Print a line, where there is something to print to: training does not end for that."""
    try:
        print(line, flush=True)
    except (OSError, ValueError) as error:  # ValueError: it was closed
        remark(f"{line} (it cannot be printed: {error})")


def takes(function: Any, count: int, *, if_unknown: bool = True) -> bool:
    """Whether it can be called with so many arguments, which is not known of some functions written in C."""
    if not callable(function):
        return False
    code = getattr(function, "__code__", None)
    if code is not None and not code.co_kwonlyargcount:  # nearly always, and a tenth of what `signature` takes
        most = code.co_argcount - hasattr(function, "__self__")
        if most - len(function.__defaults__ or ()) <= count <= most:
            return True
    try:
        arguments = signature(function)
    except (TypeError, ValueError):
        return if_unknown
    try:
        arguments.bind(*range(count))
    except TypeError:
        return False
    return True
