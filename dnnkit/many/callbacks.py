"""What hears of all networks between two epochs."""

from collections.abc import Sequence
from typing import Any

from dnnkit.callbacks.base import Callback, takes
from dnnkit.errors import ConfigurationError
from dnnkit.many.history import ManyHistory
from dnnkit.settings import several, shown


class ManyCallback:
    """Base of callbacks of `fit_many`; anything with these methods is one."""

    def on_epoch_end(self, epoch: int, many: ManyHistory) -> None:
        """After all networks that run have ended an epoch, counted from 0; `many.stop(number)` ends one.

        After a call that went on from a checkpoint, some networks may have come further: `epoch` is that of the last
        of them.
        """


def check_callbacks(given: Any) -> list[Any]:
    """The callbacks, if each can be told of an epoch."""
    given = [given] if hasattr(given, "on_epoch_end") else several("callbacks", given or (), "a list of callbacks")
    for each in given:
        if isinstance(each, type | Callback) or not takes(getattr(each, "on_epoch_end", None), 2):
            what = f"a {type(each).__name__}" if isinstance(each, Callback) else shown(each)
            raise ConfigurationError(
                f"callbacks has {what}: expected objects with a method on_epoch_end(epoch, many), where many is "
                "the ManyHistory so far. A callback of fit hears of a single network; early stopping of each is "
                "early_stopping=dk.EarlyStopping(patience=5)"
            )
    return list(given)


def tell(callbacks: Sequence[Any], epoch: int, many: ManyHistory) -> None:
    """Tell each of an epoch that all networks have ended."""
    for each in callbacks:
        each.on_epoch_end(epoch, many)
