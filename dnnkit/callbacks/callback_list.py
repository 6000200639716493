"""Several callbacks as one, looked at when they are given."""

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
"""The methods that are called, and with how many arguments."""

OLDER = {"on_train_batch_begin": "on_batch_begin", "on_train_batch_end": "on_batch_end"}
"""Names that are called where the newer one, by which they stand here, is not overridden."""

ELSEWHERE = {"start": "begin", "finish": "end", "validation": "test", "eval": "test", "step": "batch"}
"""Words of other libraries for the same moments."""


def check_hook(name: str, owner: str) -> None:
    """Raise `UnknownName` for a method `on_...` that nobody would ever call."""
    if name not in HOOKS:
        meant = "_".join(ELSEWHERE.get(word, word) for word in name.split("_"))
        raise UnknownName(
            f"{owner} has a method {name!r}, which would never be called: {did_you_mean(meant, HOOKS)}"
            f"what is called: {', '.join(HOOKS)}. If it is for your own use, name it otherwise, such as _{name}"
        )


class CallbackList(Callback):
    """Several callbacks as one: each method calls those of the callbacks that override it, in their order.

    Raises `ConfigurationError` for what is no callback, for a method `on_...` that is never called, and for one that
    does not take what it is called with.
    """

    def __init__(self, callbacks: Given = None) -> None:
        self.callbacks: list[Callback] = _flat(callbacks)
        heard: dict[str, list[Callable[..., None]]] = {}
        for callback in self.callbacks:
            for name, method in _overridden(callback).items():
                heard.setdefault(name, []).append(method)
        for name in {*heard, *OLDER}:  # of batches also what nobody hears, which is one call then and not two
            setattr(self, name, _together(name, heard.get(name, [])))
        batches = {name.split("_")[1] for name in heard if "_batch_" in name}
        self.wants_epochs = bool({"on_epoch_begin", "on_epoch_end"} & heard.keys())
        """Whether any of them hears of each epoch."""
        self.wants_batches = "train" in batches
        """The same of each batch that is trained."""
        self.wants_test_batches = "test" in batches
        """The same of evaluations."""
        self.wants_predict_batches = "predict" in batches
        """The same of predictions."""

    @classmethod
    def of(cls, callbacks: Given) -> "CallbackList":
        """Themselves, if they are one already."""
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
        """Tell every callback whom it watches."""
        self.set_model(model)
        self.set_params(params)

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


def _flat(given: Given) -> list[Callback]:
    """The callbacks, those of lists within the list, too; made where they are given by name."""
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
            cure = f": make one, {callback.__name__}()"
        elif callable(callback) and not isinstance(callback, type):
            cure = ": give a function to LambdaCallback, as LambdaCallback(on_epoch_end=function)"
        elif any(hasattr(callback, name) for name in HOOKS):
            cure = ": derive its class from dnnkit.Callback, whose methods have the names that Keras gives them"
        raise ConfigurationError(f"callbacks must be objects of class Callback, or names; got {shown(callback)}{cure}")
    return found


def _overridden(callback: Callback) -> dict[str, Callable[..., None]]:
    """Its methods that do something, by the newer of two names; raises an error for one that cannot be called."""
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
    """Whether it is that of `Callback`, which does nothing; raises an error for one that cannot be called."""
    check_hook(name, owner)
    if getattr(method, "__func__", None) is getattr(Callback, name):
        return True
    if not takes(method, HOOKS[name]):
        *first, last = getattr(Callback, name).__code__.co_varnames[1 : HOOKS[name] + 1]
        expected = ", ".join([*first, f"{last}=None"])
        raise ConfigurationError(f"{owner}.{name} takes {signature(method)}: expected ({expected})")
    return False


def _together(name: str, methods: list[Callable[..., None]]) -> Callable[..., None]:
    """One function that calls them all, with the arguments of that method."""
    if len(methods) == 1:
        return methods[0]

    def tell(logs: Logs | None = None) -> None:
        for method in methods:
            method(logs)

    def tell_of(number: int, logs: Logs | None = None) -> None:
        for method in methods:
            method(number, logs)

    return tell if HOOKS[name] == 1 else tell_of


_NOBODY = CallbackList()
