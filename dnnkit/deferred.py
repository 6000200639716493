"""`dataclass` of the standard library, deferred until the class is first used.

    from dnnkit.deferred import dataclass

`dataclasses.dataclass` generates methods as source text and compiles them with `exec`, which takes 0.5 ms per class;
dnnkit has hundreds of classes, of which a program uses some. Here, each attribute that `dataclass` would create is
initially a `_Deferred`. The first access to any of them - by instantiation, `fields`, `help` or a derived dataclass -
creates all of them with the real `dataclass` from the same class body. Type checkers see `dataclass` itself.
"""

import dataclasses
from threading import RLock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(cls=None, /, **options):
        """Like `dataclasses.dataclass`, without support for `order` and `slots`."""
        if cls is None:
            return lambda cls: dataclass(cls, **options)
        _Making(cls, options)
        return cls


_ALWAYS = ("__dataclass_fields__", "__dataclass_params__", "__match_args__", "__init__")
_UNLESS_GIVEN = {
    "repr": (True, ("__repr__",)),
    "eq": (True, ("__eq__", "__hash__")),
    "frozen": (False, ("__setattr__", "__delattr__")),
}
"""Option: its default, and the attributes created if it is true."""

_LOCK = RLock()
"""A single lock: creating a class first creates its bases, so per-class locks could deadlock."""


class _Making:
    """The pending creation of a class's attributes."""

    def __init__(self, cls: type, options: dict[str, Any]) -> None:
        self.cls, self._options, self._is_done = cls, options, False
        self._body = {name: value for name, value in vars(cls).items() if name not in ("__dict__", "__weakref__")}
        if self._body["__doc__"] is None:  # `dataclass` will write one
            del self._body["__doc__"]
        if "__eq__" in self._body and self._body["__hash__"] is None:  # set by Python, because there is no `__hash__`
            del self._body["__hash__"]
        made = {*_ALWAYS, "__doc__"}
        for option, (default, names) in _UNLESS_GIVEN.items():
            made.update(names if options.get(option, default) else ())
        made -= self._body.keys()
        made |= {name for name, value in self._body.items() if isinstance(value, dataclasses.Field)}
        for name in made:
            setattr(cls, name, _Deferred(self, name))

    def finish(self) -> None:
        """Create the attributes, once; concurrent readers see each attribute either deferred or complete."""
        with _LOCK:
            if self._is_done:
                return
            twin = type(self.cls)(self.cls.__name__, self.cls.__bases__, self._body)
            made = vars(dataclasses.dataclass(**self._options)(twin))
            for name, value in list(vars(self.cls).items()):
                if isinstance(value, _Deferred):
                    if name in made:
                        self._take_over(made[name], twin)
                        setattr(self.cls, name, made[name])
                    else:  # a field without a default
                        delattr(self.cls, name)
            self._is_done = True

    def _take_over(self, made: Any, twin: type) -> None:
        """Point the twin's methods at the class: those of a frozen dataclass compare with it through a closure cell."""
        for cell in getattr(made, "__closure__", None) or ():
            if cell.cell_contents is twin:
                cell.cell_contents = self.cls


class _Deferred:
    """An attribute that is created on first access."""

    def __init__(self, making: _Making, name: str) -> None:
        self._making, self._name = making, name

    def __get__(self, thing: Any, cls: type | None = None) -> Any:
        self._making.finish()
        try:
            made = vars(self._making.cls)[self._name]
        except KeyError:
            raise AttributeError(self._name) from None
        return made.__get__(thing, cls) if hasattr(made, "__get__") else made
