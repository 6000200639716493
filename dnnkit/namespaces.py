"""Modules whose attributes include registered names: `dk.losses.mse`, `dk.activations.relu`.

For a missing attribute, the error says what to use instead or suggests a near name (`dnnkit.instead`). `dir` lists the
public names only, without a module's imports.
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
    """Give a module such attributes; called at the end of the module itself.

    Arguments:
        name: name of the module; attributes that it defines take precedence.
        registry: registry whose names become attributes, in any spelling.
        make: function from a name to the attribute's value; None for the registered object.
        besides: additional names for `dir`, such as Keras's class names.
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
    """Return the names of public classes and functions that the module defines."""
    return [
        name
        for name, thing in vars(module).items()
        if not name.startswith("_") and getattr(thing, "__module__", None) == module.__name__ and callable(thing)
    ]
