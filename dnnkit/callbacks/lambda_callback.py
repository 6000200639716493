"""A callback made of functions."""

from collections.abc import Callable
from typing import Any

from dnnkit.callbacks.base import CALLBACKS, Callback
from dnnkit.callbacks.callback_list import check_hook
from dnnkit.errors import ConfigurationError
from dnnkit.settings import shown


@CALLBACKS.named("LambdaCallback")
class LambdaCallback(Callback):
    """Callback made of functions: `LambdaCallback(on_epoch_end=lambda epoch, logs: print(logs["loss"]))`.

    Arguments:
        functions: functions by the name of a method of `Callback`, with its arguments except `self`; None is ignored.

    Raises:
        UnknownName: there is no such method.
        ConfigurationError: an argument is not a function; in `fit`, a function takes other arguments.

    Source: Keras.
    """

    def __init__(self, **functions: Callable[..., Any] | None) -> None:
        for name, function in functions.items():
            check_hook(name, "LambdaCallback")
            if function is None:
                continue
            if not callable(function):
                raise ConfigurationError(f"LambdaCallback({name}={shown(function)}): expected a function")
            setattr(self, name, function)
