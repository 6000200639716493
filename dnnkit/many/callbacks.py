"""Callbacks of `fit_many`, called between epochs for all networks."""

from collections.abc import Sequence
from typing import Any

from dnnkit.callbacks.base import Callback, takes
from dnnkit.errors import ConfigurationError
from dnnkit.many.history import ManyHistory
from dnnkit.settings import several, shown


class ManyCallback:
    """Base class of callbacks of `fit_many`; any object with these methods is accepted."""

    def on_epoch_end(self, epoch: int, many: ManyHistory) -> None:
        """Called after all running networks have finished an epoch; `many.stop(number)` ends one of them.

        Arguments:
            epoch: number of the epoch, from 0. After resuming from a checkpoint some networks may be further; `epoch`
                is then that of the last one.
            many: the `ManyHistory` so far.
        """


def check_callbacks(given: Any) -> list[Any]:
    """Return the callbacks, after checking that they have the right method."""
    given = [given] if hasattr(given, "on_epoch_end") else several("callbacks", given or (), "a list of callbacks")
    for each in given:
        if isinstance(each, type | Callback) or not takes(getattr(each, "on_epoch_end", None), 2):
            what = f"a {type(each).__name__}" if isinstance(each, Callback) else shown(each)
            raise ConfigurationError(
                f"callbacks has {what}: expected objects with a method on_epoch_end(epoch, many), where many is "
                "the ManyHistory so far. Callbacks of fit see a single network; to stop each network early, use "
                "early_stopping=dk.EarlyStopping(patience=5)"
            )
    return list(given)


def call_after_epoch(callbacks: Sequence[Any], epoch: int, many: ManyHistory) -> None:
    """Call the callbacks after an epoch that all networks have finished."""
    for each in callbacks:
        each.on_epoch_end(epoch, many)
