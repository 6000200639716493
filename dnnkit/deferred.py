"""`dataclass` of the standard library, put off until the class is first used.

    from dnnkit.deferred import dataclass

The methods of a dataclass are source text that `exec` compiles, 0.5 ms for a class, and dnnkit has hundreds of classes,
of which a program uses some. Here every attribute that `dataclass` would make is a `_Deferred` at first. Whoever reads
one - Python, to make an object; `fields`, `help`, a dataclass that derives from this one - gets what `dataclass` makes
of the same class body, and from then on all of them are that. Type checkers see `dataclass` itself.
"""

import dataclasses
from threading import RLock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(cls=None, /, **options):
        """As `dataclasses.dataclass`, with its arguments, except `order` and `slots`."""
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
"""Option -> its default, and what is made where it is true."""

_LOCK = RLock()
"""One for all: a class is made after its bases, so that two threads with a lock per class could wait for each other."""


class _Making:
    """What is left to be done to a class."""

    def __init__(self, cls: type, options: dict[str, Any]) -> None:
        self.cls, self._options, self._is_done = cls, options, False
        self._body = {name: value for name, value in vars(cls).items() if name not in ("__dict__", "__weakref__")}
        if self._body["__doc__"] is None:  # `dataclass` writes one
            del self._body["__doc__"]
        if "__eq__" in self._body and self._body["__hash__"] is None:  # Python's, as there is no `__hash__`
            del self._body["__hash__"]
        made = {*_ALWAYS, "__doc__"}
        for option, (default, names) in _UNLESS_GIVEN.items():
            made.update(names if options.get(option, default) else ())
        made -= self._body.keys()
        made |= {name for name, value in self._body.items() if isinstance(value, dataclasses.Field)}
        for name in made:
            setattr(cls, name, _Deferred(self, name))

    def finish(self) -> None:
        """Do it, once; each attribute is what it was or what it will be, whichever thread looks."""
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
        """Let what was made for the twin be the class's: that of a frozen one asks whose instance it is given."""
        for cell in getattr(made, "__closure__", None) or ():
            if cell.cell_contents is twin:
                cell.cell_contents = self.cls


class _Deferred:
    """An attribute that is made when it is read."""

    def __init__(self, making: _Making, name: str) -> None:
        self._making, self._name = making, name

    def __get__(self, thing: Any, cls: type | None = None) -> Any:
        self._making.finish()
        try:
            made = vars(self._making.cls)[self._name]
        except KeyError:
            raise AttributeError(self._name) from None
        return made.__get__(thing, cls) if hasattr(made, "__get__") else made
