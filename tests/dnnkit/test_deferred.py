"""Dataclasses that are made on first use equal those of the standard library."""

import dataclasses
import inspect
import pickle
import sys
import threading
from collections.abc import Callable
from dataclasses import KW_ONLY, FrozenInstanceError, field
from typing import Any, ClassVar

import pytest

from dnnkit import deferred
from tests import processes

Make = Callable[..., Any]


def plain(dataclass: Make) -> type:
    @dataclass(frozen=True)
    class Thing:
        a: int
        b: list[int] = field(default_factory=list, compare=False)
        kept: ClassVar[str] = "kept"
        _: KW_ONLY
        c: float = field(default=1.5, repr=False)

    return Thing


def changeable(dataclass: Make) -> type:
    @dataclass
    class Thing:
        """With a docstring, and a field that is not an argument."""

        a: int = 3
        b: Any = field(default=None, init=False)

        def __post_init__(self) -> None:
            self.b = self.a + 1

    return Thing


def own_methods(dataclass: Make) -> type:
    @dataclass(frozen=True)
    class Thing:
        a: int

        def __eq__(self, other: object) -> bool:
            return isinstance(other, type(self))

        def __repr__(self) -> str:
            return f"{super().__repr__()[:0]}thing {self.a}"

    return Thing


def without_equality(dataclass: Make) -> type:
    @dataclass(frozen=True, eq=False, repr=False)
    class Thing:
        a: int = 0

    return Thing


def derived(dataclass: Make) -> type:
    """By `dataclass` itself, as a user's class would be."""

    @dataclass(frozen=True)
    class Base:
        a: int
        b: int = 2

    @dataclasses.dataclass(frozen=True)
    class Thing(Base):
        b: int = 3
        c: str = "c"

    return Thing


def derived_plainly(dataclass: Make) -> type:
    @dataclass(frozen=True)
    class Base:
        a: int

    class Thing(Base):
        pass

    return Thing


KINDS = [plain, changeable, own_methods, without_equality, derived, derived_plainly]


def shown(look: Callable[[], Any]) -> Any:
    """Return its result, or how it fails."""
    try:
        return look()
    except (TypeError, AttributeError, FrozenInstanceError) as error:
        return type(error)


def looks(kind: type) -> dict[str, Callable[[], Any]]:
    """Ways to use a class for the first time."""

    def unpickled() -> Any:
        thing = object.__new__(kind)  # as `pickle` does
        vars(thing).update(a=1, b=2, c=3)
        return thing

    def assign(name: str) -> None:
        setattr(unpickled(), name, 5)

    return {
        "signature": lambda: str(inspect.signature(kind)),
        "doc": lambda: inspect.getdoc(kind),
        "fields": lambda: [(each.name, each.type, each.default, each.kw_only) for each in dataclasses.fields(kind)],
        "init": lambda: vars(kind(1)),
        "init by name": lambda: vars(kind(a=1, c=2)),
        "nothing given": lambda: vars(kind()),
        "repr": lambda: repr(unpickled()).partition(" at 0x")[0].rpartition(".")[2],
        "equal": lambda: (unpickled() == unpickled(), unpickled() == 1),
        "hash": lambda: len({hash(thing) for thing in [unpickled(), unpickled()]}),
        "assign a field": lambda: assign("a"),
        "assign another": lambda: assign("other"),
        "delete": lambda: delattr(unpickled(), "a"),
        "replace": lambda: vars(dataclasses.replace(kind(1), a=4)),
        "match": lambda: kind.__match_args__,  # type: ignore[attr-defined]
        "defaults": lambda: [getattr(kind, name, "none") for name in "abc"],
        "is one": lambda: (dataclasses.is_dataclass(kind), kind.__dataclass_params__.frozen),  # type: ignore[attr-defined]
        "functions": lambda: [vars(kind).get(name).__class__ for name in ("__init__", "__repr__") if kind(1)],
        "names of functions": lambda: kind.__init__.__qualname__.rpartition(".<locals>.")[2],
    }


@pytest.mark.parametrize("made", KINDS)
def test_they_equal_dataclasses_whichever_use_comes_first(made: Callable[[Make], type]) -> None:
    expected = {name: shown(look) for name, look in looks(made(dataclasses.dataclass)).items()}
    names = list(expected)
    for first in names:
        found = looks(made(deferred.dataclass))
        for name in (first, *names):
            assert shown(found[name]) == expected[name], (first, name)


def test_a_wrong_body_fails_when_it_is_used_and_stays_wrong() -> None:
    @deferred.dataclass(frozen=True)
    class Wrong:
        a: int = 0
        b: int  # type: ignore[misc] # without a default after one with

    for _ in range(2):
        with pytest.raises(TypeError, match="non-default argument 'b' follows"):
            Wrong(1, 2)


def test_threads_that_first_use_a_class_at_once_all_get_it_whole() -> None:
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(20):
            kind, wrong = plain(deferred.dataclass), []
            ready = threading.Barrier(4)

            def use(number: int, kind: Any = kind, ready: Any = ready, wrong: list[Any] = wrong) -> None:
                ready.wait()
                thing = kind(number, c=2.0)
                if (thing.a, thing.b, thing.c) != (number, [], 2.0) or thing != kind(number, c=2.0):
                    wrong.append(thing)

            threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert not wrong
    finally:
        sys.setswitchinterval(switch)


def test_unused_dataclasses_are_not_made() -> None:
    """Few dataclasses are made before a network is described; a pickle of one that is not made yet can be read."""
    import dnnkit as dk

    given = pickle.dumps(dk.schedules.CosineDecay(0.1, 10))
    code = f"""
import pickle, sys, dnnkit
dnnkit.Sequential
from dnnkit.deferred import _Deferred
classes = {{thing for module in list(sys.modules.values()) if module.__name__.startswith("dnnkit")
           for thing in vars(module).values() if isinstance(thing, type) and "__dataclass_fields__" in vars(thing)}}
made = [kind for kind in classes if not isinstance(vars(kind)["__dataclass_fields__"], _Deferred)]
assert len(made) < len(classes) / 5, made
thing = pickle.loads({given!r})
assert thing == dnnkit.schedules.CosineDecay(0.1, 10) and thing(0) == 0.1, thing
"""
    processes.run([sys.executable, "-c", code], check=True)
