"""Several callbacks combined into one, with checks."""

from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from typing import Any, TypeAlias

from dnnkit.callbacks.base import CALLBACKS, Callback, Logs, takes
from dnnkit.errors import CheckpointError, ConfigurationError, UnknownName
from dnnkit.network.protocol import Network
from dnnkit.registry import did_you_mean
from dnnkit.settings import several, shown

Given: TypeAlias = Callback | str | Sequence["Given"] | None

HOOKS = {name: method.__code__.co_argcount - 1 for name, method in vars(Callback).items() if name.startswith("on_")}
"""Callback methods and their numbers of arguments."""

OLDER = {"on_train_batch_begin": "on_batch_begin", "on_train_batch_end": "on_batch_end"}
"""Newer name: older name, which is called if the newer is not overridden."""

ELSEWHERE = {"start": "begin", "finish": "end", "validation": "test", "eval": "test", "step": "batch"}
"""Words that other libraries use for the same events."""


def check_hook(name: str, owner: str) -> None:
    """Raise `UnknownName` for a method `on_...` that would never be called."""
    if name not in HOOKS:
        meant = "_".join(ELSEWHERE.get(word, word) for word in name.split("_"))
        raise UnknownName(
            f"{owner} has a method {name!r}, which would never be called: {did_you_mean(meant, HOOKS)}"
            f"the methods are {', '.join(HOOKS)}. If it is a method of your own, rename it, such as to _{name}"
        )


class CallbackList(Callback):
    """Several callbacks as one: each method calls those of the callbacks that override it, in order.

    Raises `ConfigurationError` for objects that are not callbacks and for methods with the wrong number of arguments,
    and `UnknownName` for a method `on_...` that is never called.
    """

    def __init__(self, callbacks: Given = None) -> None:
        self.callbacks: list[Callback] = _flat(callbacks)
        heard: dict[str, list[Callable[..., None]]] = {}
        for callback in self.callbacks:
            for name, method in _overridden(callback).items():
                heard.setdefault(name, []).append(method)
        for name in {*heard, *OLDER}:  # overrides the batch methods even if unused, which saves a nested call
            setattr(self, name, _together(name, heard.get(name, [])))
        batches = {name.split("_")[1] for name in heard if "_batch_" in name}
        self.wants_epochs = bool({"on_epoch_begin", "on_epoch_end"} & heard.keys())
        """Whether any callback overrides an epoch method."""
        self.wants_batches = "train" in batches
        """Whether any callback overrides a method for training batches."""
        self.wants_test_batches = "test" in batches
        """Whether any callback overrides a method for test batches."""
        self.wants_predict_batches = "predict" in batches
        """Whether any callback overrides a method for predict batches."""

    @classmethod
    def of(cls, callbacks: Given) -> "CallbackList":
        """Return the callbacks as a list, unchanged if they are one already."""
        if isinstance(callbacks, cls):
            return callbacks
        return _NOBODY if callbacks is None or (isinstance(callbacks, tuple) and not callbacks) else cls(callbacks)

    def set_model(self, model: Network) -> None:  # noqa: D102
        for callback in self.callbacks:
            callback.set_model(model)

    def set_params(self, params: Mapping[str, Any]) -> None:  # noqa: D102
        for callback in self.callbacks:
            callback.set_params(params)

    def attach(self, model: Network, params: Mapping[str, Any]) -> None:
        """Give every callback its network and run."""
        self.set_model(model)
        self.set_params(params)

    def state_of_each(self) -> list[dict[str, Any]]:
        """Return the states of all callbacks, with the names of their classes."""
        return [{"type": type(callback).__name__, "state": callback.state()} for callback in self.callbacks]

    def restore_each(self, states: Sequence[Mapping[str, Any]], place: str) -> None:
        """Restore each callback from the state of the same class, in order of occurrence.

        Raises `CheckpointError`, which refers to the states as `place`, if a callback fails to restore its state.
        """
        left = list(states)
        for callback in self.callbacks:
            own = next((state for state in left if state["type"] == type(callback).__name__), None)
            if own is not None:
                left.remove(own)
                try:
                    callback.restore(own["state"])
                except Exception as error:  # a custom callback may fail in any way
                    name = type(callback).__name__
                    raise CheckpointError(
                        f"{place} holds a state of {name} that it cannot restore: {type(error).__name__}: {error}"
                    ) from error


def _flat(given: Given) -> list[Callback]:
    """Flatten nested lists of callbacks, and instantiate those given by name."""
    if given is None:
        return []
    if isinstance(given, CallbackList):
        return given.callbacks
    if isinstance(given, Callback | str):
        return [CALLBACKS.make(given, Callback)]
    found: list[Callback] = []
    for callback in several("callbacks", given, "a list of callbacks, or of their names"):
        if isinstance(callback, list | tuple | Callback | str):
            found += _flat(callback)
            continue
        cure = ""
        if isinstance(callback, type) and issubclass(callback, Callback):
            cure = f": instantiate it, {callback.__name__}()"
        elif callable(callback) and not isinstance(callback, type):
            cure = ": wrap a function in LambdaCallback, as LambdaCallback(on_epoch_end=function)"
        elif any(hasattr(callback, name) for name in HOOKS):
            cure = ": derive its class from dnnkit.Callback, whose methods have the same names as in Keras"
        raise ConfigurationError(f"callbacks must be objects of class Callback, or names; got {shown(callback)}{cure}")
    return found


def _overridden(callback: Callback) -> dict[str, Callable[..., None]]:
    """Return the callback's own methods by their newer names; raise an error for one that cannot be called."""
    owner, found = type(callback).__name__, {}
    homes = [vars(home) for home in type(callback).__mro__ if home not in (Callback, object)]
    for name in [name for home in (vars(callback), *homes) for name in home if name[:3] == "on_"]:
        method = getattr(callback, name)
        if name not in found and callable(method) and not _is_inherited(name, method, owner):
            found[name] = method
    for newer, older in OLDER.items():
        if (method := found.pop(older, None)) is not None:
            found.setdefault(newer, method)
    return found


def _is_inherited(name: str, method: Callable[..., None], owner: str) -> bool:
    """Whether it is the no-op of `Callback`; raise an error for a method that cannot be called."""
    check_hook(name, owner)
    if getattr(method, "__func__", None) is getattr(Callback, name):
        return True
    if not takes(method, HOOKS[name]):
        *first, last = getattr(Callback, name).__code__.co_varnames[1 : HOOKS[name] + 1]
        expected = ", ".join([*first, f"{last}=None"])
        raise ConfigurationError(f"{owner}.{name} takes {signature(method)}: expected ({expected})")
    return False


def _together(name: str, methods: list[Callable[..., None]]) -> Callable[..., None]:
    """Return a function that calls all of them."""
    if len(methods) == 1:
        return methods[0]

    def call(logs: Logs | None = None) -> None:
        for method in methods:
            method(logs)

    def call_with_number(number: int, logs: Logs | None = None) -> None:
        for method in methods:
            method(number, logs)

    return call if HOOKS[name] == 1 else call_with_number


_NOBODY = CallbackList()
