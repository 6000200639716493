"""Base class and registry of callbacks."""

from collections.abc import Mapping
from inspect import signature
from typing import Any, TypeAlias

from dnnkit.backends.diagnosis import remark
from dnnkit.network.protocol import Network
from dnnkit.registry import Registry

Logs: TypeAlias = dict[str, Any]


class Callback:
    """Base class of callbacks: override the methods you need. `self.model` is the network, `self.params` the run.

    `logs` holds loss and metrics as plain numbers, at the end of an epoch also those named `val_...`. Entries that
    `on_epoch_end` or `on_test_end` adds are seen by later callbacks and kept in the History or the evaluation. Set
    `self.model.stop_training = True` to end training after the epoch, or, in a batch's method, after the batch.

    Only overridden methods are called. Overriding a method for training batches makes training run step by step, for
    test batches evaluations, for predict batches predictions; other methods cost nothing in between.
    """

    model: Network
    params: Mapping[str, Any] = {}
    """`epochs`, `steps` (batches per epoch), `samples`, `batch_size`, `verbose`; `metrics`: names in logs."""

    def set_model(self, model: Network) -> None:
        """Set the network that is observed."""
        self.model = model

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Set the parameters of the run that is about to begin."""
        self.params = params

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Called before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Called after the last epoch, with its logs; not called after an exception."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Called before an epoch; epochs are counted from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Called after an epoch and its validation."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before a training batch; batches are counted from 0 in each epoch."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called after a training batch; logs are means over the epoch so far."""
        self.on_batch_end(batch, logs)

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Older name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Older name of `on_train_batch_end`."""

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Called before an evaluation, including the validation within `fit`."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Called after an evaluation, with its results, without the prefix "val_"."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before a batch of an evaluation."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called after a batch of an evaluation; logs are means so far."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Called before predictions."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Called after predictions."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before a batch of predictions."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called after a batch of predictions, which are `logs["outputs"]`."""

    def state(self) -> dict[str, Any]:
        """Return the state that checkpoints keep: numbers, text, NumPy arrays, and lists and dictionaries of them."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` returned; called after `on_train_begin` when a fit resumes from a checkpoint."""


def _is_callback(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, Callback)


CALLBACKS: Registry[type[Callback]] = Registry("callback", "a subclass of Callback", _is_callback)
"""Callback classes by name: `fit(callbacks="TerminateOnNaN")`."""


def print_line(line: str) -> None:
    """Print a line; an output that cannot be written to does not end training."""
    try:
        print(line, flush=True)
    except (OSError, ValueError) as error:  # ValueError: the stream is closed
        remark(f"{line} (it cannot be printed: {error})")


def takes(function: Any, count: int, *, if_unknown: bool = True) -> bool:
    """Return whether it can be called with `count` arguments; `if_unknown` for C functions without a signature."""
    if not callable(function):
        return False
    code = getattr(function, "__code__", None)
    if code is not None and not code.co_kwonlyargcount:  # the usual case, ten times as fast as `signature`
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
