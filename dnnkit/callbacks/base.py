"""What a callback can hear, and the list that tells them all."""

from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any, Literal, TypeAlias

from dnnkit.errors import CheckpointError, ConfigurationError
from dnnkit.network.protocol import Network
from dnnkit.registry import Registry
from dnnkit.settings import FINITE, several

Logs: TypeAlias = Mapping[str, float]


class Callback:
    """Base of all callbacks: override what you want to hear. `self.model` is the network that trains.

    `logs` holds loss and metrics as plain numbers; at the end of an epoch also `val_...`. Set
    `self.model.stop_training = True` to end training after the epoch, or after the batch from a batch's method.
    A callback that overrides a batch's method makes training go step by step; the others cost nothing within an epoch.
    """

    model: Network
    params: Mapping[str, Any]
    """`epochs`, `steps` (batches an epoch), `samples`, `batch_size`."""

    def on_train_begin(self, logs: Logs) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Logs) -> None:
        """After the last epoch; not after an exception."""

    def on_epoch_begin(self, epoch: int, logs: Logs) -> None:
        """Before an epoch; epochs count from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """After an epoch and its validation."""

    def on_batch_begin(self, batch: int, logs: Logs) -> None:
        """Before a batch; batches count from 0 in every epoch."""

    def on_batch_end(self, batch: int, logs: Logs) -> None:
        """After a batch; logs are means over the epoch so far."""

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of it: numbers, text, lists and dictionaries of them, and NumPy arrays."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` gave; after `on_train_begin`, where a fit goes on from a checkpoint."""

    @property
    def wants_batches(self) -> bool:
        """Whether a batch's method is overridden."""
        return bool(_told("on_batch_begin", [self]) or _told("on_batch_end", [self]))


def _told(name: str, callbacks: Sequence[Callback]) -> list[Callable[[int, Logs], None]]:
    """The method of that name of each callback that overrides it, in its class or in itself."""
    methods = [getattr(callback, name) for callback in callbacks]
    return [method for method in methods if getattr(method, "__func__", None) is not getattr(Callback, name)]


def _is_callback(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, Callback)


CALLBACKS: Registry[type[Callback]] = Registry("callback", "a subclass of Callback", _is_callback)
"""By their class names: `fit(callbacks="TerminateOnNaN")`."""


class CallbackList(Callback):
    """Several callbacks as one."""

    def __init__(self, callbacks: "Callback | str | Sequence[Callback | str] | None") -> None:
        given: tuple[Any, ...] = ()
        if isinstance(callbacks, Callback | str):
            given = (callbacks,)
        elif callbacks is not None:
            given = several("callbacks", callbacks, "a list of callbacks, or of their names")
        for callback in given:
            if not isinstance(callback, Callback | str):
                raise ConfigurationError(f"callbacks must be objects of class Callback, or names; got {callback!r}")
        self.callbacks: list[Callback] = [CALLBACKS.make(callback, Callback) for callback in given]
        self._batch_begins, self._batch_ends = (
            _told(name, self.callbacks) for name in ("on_batch_begin", "on_batch_end")
        )

    def attach(self, model: Network, params: Mapping[str, Any]) -> None:
        """Tell every callback whom it watches."""
        for callback in self.callbacks:
            callback.model, callback.params = model, params

    @property
    def wants_batches(self) -> bool:
        """Whether any of them wants to hear of batches."""
        return bool(self._batch_begins or self._batch_ends)

    def state_of_each(self) -> list[dict[str, Any]]:
        """The states of all, with the names of their classes."""
        return [{"type": type(callback).__name__, "state": callback.state()} for callback in self.callbacks]

    def restore_each(self, states: Sequence[Mapping[str, Any]], place: str) -> None:
        """Give each the state that was kept of one of its class; the first of a class that of the first.

        Raises `CheckpointError`, which calls the states by `place`, where a callback cannot be in its state.
        """
        left = list(states)
        for callback in self.callbacks:
            own = next((state for state in left if state["type"] == type(callback).__name__), None)
            if own is not None:
                left.remove(own)
                try:
                    callback.restore(own["state"])
                except Exception as error:  # a callback of a user's own may fail in any way
                    name = type(callback).__name__
                    raise CheckpointError(
                        f"{place} holds a state of {name} that it cannot take: {type(error).__name__}: {error}"
                    ) from error

    def on_train_begin(self, logs: Logs) -> None:  # noqa: D102
        for callback in self.callbacks:
            callback.on_train_begin(logs)

    def on_train_end(self, logs: Logs) -> None:  # noqa: D102
        for callback in self.callbacks:
            callback.on_train_end(logs)

    def on_epoch_begin(self, epoch: int, logs: Logs) -> None:  # noqa: D102
        for callback in self.callbacks:
            callback.on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:  # noqa: D102
        for callback in self.callbacks:
            callback.on_epoch_end(epoch, logs)

    def on_batch_begin(self, batch: int, logs: Logs) -> None:  # noqa: D102
        for tell in self._batch_begins:
            tell(batch, logs)

    def on_batch_end(self, batch: int, logs: Logs) -> None:  # noqa: D102
        for tell in self._batch_ends:
            tell(batch, logs)


class Best:
    """The best value so far of a monitored number, of which more or less is better."""

    def __init__(self, monitor: str, mode: Literal["auto", "min", "max"], min_delta: float = 0.0) -> None:
        if not isinstance(mode, str) or mode not in ("auto", "min", "max"):
            raise ConfigurationError(f"mode is {mode!r}: expected 'auto', 'min' or 'max'")
        if not isinstance(monitor, str):
            raise ConfigurationError(f"monitor is {monitor!r}: expected the name of what is measured, as 'val_loss'")
        self.monitor = monitor
        self._sign = 1.0 if mode == "max" or (mode == "auto" and "accuracy" in monitor) else -1.0
        self._min_delta = abs(FINITE.of("min_delta", min_delta))
        self.forget()

    def forget(self) -> None:
        """As if nothing had been seen."""
        self.value: float | None = None

    def improves(self, logs: Logs) -> bool:
        """Whether the number in the logs is better than all before; if so it is the best from now on."""
        if self.monitor not in logs:
            raise ConfigurationError(
                f"monitor={self.monitor!r} is not measured; what is: {', '.join(logs)}. "
                "For val_... pass validation_data or validation_split to fit"
            )
        value = float(logs[self.monitor])
        best = -inf if self.value is None else self._sign * self.value
        if self._sign * value <= best + (self._min_delta if self.value is not None else 0.0) or value != value:
            return False
        self.value = value
        return True
