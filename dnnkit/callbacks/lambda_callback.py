"""A callback of functions."""

from collections.abc import Callable
from typing import Any

from dnnkit.callbacks.base import CALLBACKS, Callback
from dnnkit.callbacks.callback_list import check_hook
from dnnkit.errors import ConfigurationError
from dnnkit.settings import shown


@CALLBACKS.named("LambdaCallback")
class LambdaCallback(Callback):
    """A callback of functions: `LambdaCallback(on_epoch_end=lambda epoch, logs: print(logs["loss"]))`.

    Arguments:
        functions: by the name of the method that each stands for, any of those of `Callback`, with its arguments and
            without `self`; None for none.

    Raises:
        ConfigurationError: there is no such method, or what is given is no function; in `fit`, the function does not
            take what it is called with.

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
