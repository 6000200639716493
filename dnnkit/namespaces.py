"""Modules whose attributes are also what their registry knows: `dk.losses.mse`, `dk.activations.relu`.

What is there neither way says what to use instead, or which name is near (`dnnkit.instead`); `dir` lists what is meant
for users, in place of whatever a module imports.
"""

import sys
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from dnnkit.instead import no_attribute
from dnnkit.registry import Registry


def open_namespace(
    name: str,
    registry: Registry[Any] | None = None,
    make: Callable[[str], Any] | None = None,
    besides: Iterable[str] = (),
) -> None:
    """Give a module these attributes; it calls this itself, at its end.

    Arguments:
        name: the module's; what it has itself stays.
        registry: whose names are attributes, too, in any spelling.
        make: from such a name what the attribute is; None for what is registered.
        besides: other spellings that `dir` lists, such as those of classes in Keras.
    """
    module, kind = sys.modules[name], name.rpartition(".")[2]

    def get(attribute: str) -> Any:
        if registry is not None and not attribute.startswith("_"):
            found = registry.name_of(attribute)
            if found is not None and (make is not None or found in registry):
                return registry.find(found) if make is None else make(found)
        raise no_attribute(name, attribute, kind, names)

    def names() -> list[str]:
        own = getattr(module, "__all__", None)
        own = _made_in(module) if own is None else own
        of_registry = registry.names() if registry is not None else ()
        return sorted({*own, *besides, *(name for name in of_registry if make is not None or name in (registry or ()))})

    module.__getattr__, module.__dir__ = get, names  # type: ignore[method-assign]


def _made_in(module: ModuleType) -> list[str]:
    """The names of classes and functions that the module defines for users."""
    return [
        name
        for name, thing in vars(module).items()
        if not name.startswith("_") and getattr(thing, "__module__", None) == module.__name__ and callable(thing)
    ]
