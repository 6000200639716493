"""What is chosen by its name: a registry for each kind of thing, filled by dnnkit and by anyone alike.

    dk.register("optimizer", "signum", Signum)  # from now on compile(optimizer="signum") works

An installed package announces its own by entry points in the group of the kind, `dnnkit.optimizers` for optimizers;
one is imported when its name is first asked for. A name means one thing: a second thing under it is an error.

A thing has one name that saves and lists hold, and may have others, such as "mse". Every name is understood in any
spelling, and a class by its own name, too: "mean_squared_error", "MeanSquaredError", "mse", "MSE" are one loss. What
somebody registers under such another name or spelling goes before it.

This file knows nothing of dnnkit but its errors, so every package can have registries.
"""

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, partial
from typing import Any, Generic, TypeVar

from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError, DnnkitError, UnknownName
from dnnkit.installed import is_announced

Thing = TypeVar("Thing")
Class = TypeVar("Class", bound=type)

REGISTRIES: dict[str, "Registry[Any]"] = {}
"""Kind, and its plural -> its registry."""


def register(kind: str, name: str, thing: Any) -> None:
    """Make a name stand for your own layer, loss, metric, optimizer, activation, callback, ...

    Arguments:
        kind: what it is, such as "loss" or "losses"; `dnnkit.registry.REGISTRIES` has all kinds.
        name: the string that stands for it from now on, wherever dnnkit takes a name of that kind.
        thing: a class for most kinds, a function `(y_true, y_pred)` for metrics, a formula or an object with `forward`
            and `derivative` for activations, a module or object with `load_data` for data sets.

    Raises:
        UnknownName: there is no such kind.
        ConfigurationError: the thing is not of that kind, or the name is taken by something else.
    """
    if kind not in REGISTRIES:
        raise UnknownName(unknown("kind", kind, {registry.kind: None for registry in REGISTRIES.values()}))
    REGISTRIES[kind].add(name, thing)


def unknown(kind: str, given: Any, names: Iterable[str], others: Iterable[str] = ()) -> str:
    """What to say of a name that is none of these: the nearest one first, which may be one of the others, too."""
    names = list(names)
    text = repr(given)
    text = text if len(text) <= 200 else f"{text[:200]}..."  # a stranger's may have any length
    return f"unknown {kind} {text}: {did_you_mean(given, [*others, *names])}choose one of {', '.join(names)}"


def folded(name: str) -> str:
    """What all spellings of a name have in common: "MeanSquaredError" and "mean_squared_error"."""
    return name.replace("_", "").replace("-", "").replace(" ", "").lower()


def did_you_mean(given: Any, names: Iterable[str]) -> str:
    """The nearest of the names as a question that ends in a space; empty if none is near."""
    near = nearest(given, names)
    return "" if near is None else f"did you mean {near!r}? "


def nearest(given: Any, names: Iterable[str]) -> str | None:
    """The name that was probably meant; None if none is near.

    It is spelled nearly so, or the given one is the initials of its words ("lr" of "learning_rate") or one of them.
    """
    if not isinstance(given, str) or len(given) > 200:
        return None
    from difflib import get_close_matches  # only errors need it

    bare = {name.lstrip("-").lower(): name for name in names}
    meant = given.lstrip("-").lower()
    if near := get_close_matches(meant, bare, n=1):
        return bare[near[0]]
    words = {name: name.replace("-", "_").split("_") for name in bare}
    found = [
        name for name, parts in words.items() if len(parts) > 1 and meant in (*parts, "".join(p[:1] for p in parts))
    ]
    return bare[found[0]] if len(found) == 1 else None


@dataclass(frozen=True)
class Lazy:
    """Where a thing is, as "module:attribute"; `package` announced it, "" for dnnkit itself."""

    where: str
    package: str = ""

    def load(self) -> Any:
        """Import it."""
        module, _, attribute = self.where.partition(":")
        loaded = importlib.import_module(module)
        return getattr(loaded, attribute) if attribute else loaded


class Registry(Mapping[str, Thing], Generic[Thing]):
    """Things of one kind by name, in the order in which they were added.

    Arguments:
        kind: the word for one, such as "loss".
        expected: what may be added, in words, for errors.
        accepts: whether a thing may be added.
        plural: the word for several, by default with an s: the group of the entry points.
        elsewhere: names that are found by other means, such as kernels by their folder; they are listed and taken.
        error: the class of errors about what is added or announced.
    """

    def __init__(
        self,
        kind: str,
        expected: str,
        accepts: Callable[[Any], bool],
        *,
        plural: str = "",
        elsewhere: Callable[[], Iterable[str]] = tuple,
        error: type[DnnkitError] = ConfigurationError,
    ) -> None:
        self.kind, self.plural = kind, plural or f"{kind}s"
        self._expected, self._accepts, self._elsewhere, self._error = expected, accepts, elsewhere, error
        self._things: dict[str, Thing | Lazy] = {}
        self._others: dict[str, str] = {}
        self._announced: object = None
        for word in (kind, kind.replace(" ", ""), self.plural):
            REGISTRIES[word] = self

    def add(self, name: str, thing: Thing | Lazy, *others: str) -> None:
        """Make the name stand for the thing, and the others, too; again for the same one is no error."""
        if not isinstance(name, str) or not name:
            raise ConfigurationError(f"a {self.kind} is registered under a name, a string; got {name!r}")
        if not isinstance(thing, Lazy):
            self._check(thing, f"{self.kind} {name!r}")
        taken = name in self._elsewhere() or self._things.get(name, thing) is not thing
        if taken:
            raise ConfigurationError(f"the name {name!r} is taken by another {self.kind}: choose another name")
        self._things[name] = thing
        self.also(name, *others)

    def also(self, name: str, *others: str) -> None:
        """Make others stand for what a name stands for; where they stand for anything else, that is an error."""
        for other in others:
            taken = other in self._things or other in self._elsewhere()
            if taken or self._others.get(other, name) != name:
                raise ConfigurationError(f"the name {other!r} is taken by another {self.kind}: choose another name")
            self._others[other] = name

    def named(self, name: str, *others: str) -> Callable[[Class], Class]:
        """Add the class below under that name, and the others."""

        def add(thing: Class) -> Class:
            self.add(name, thing, *others)  # type: ignore[arg-type]
            return thing

        return add

    def find(self, name: Any) -> Thing:
        """The thing of that name in any spelling; raises `UnknownName` with the nearest name and all others."""
        found = self.name_of(name)
        if found is None or found not in self:
            raise UnknownName(self.unknown(name))
        return self[found]

    def name_of(self, given: Any) -> str | None:
        """The name in `names()` of what is given by any name in any spelling; None if there is none, or several."""
        if not isinstance(given, str):
            return None
        names = self.names()
        if given in names:
            return given
        if given in self._others:
            return self._others[given]
        spelled = folded(given)
        for candidates in (((name, name) for name in names), self._others.items(), self._class_names()):
            if found := {name for other, name in candidates if folded(other) == spelled}:
                return found.pop() if len(found) == 1 else None
        return None

    def spelled(self, given: str) -> str:
        """The name as it is, if it is one as it was added; else the one of which it is another spelling."""
        return given if given in self._others else self.name_of(given) or given

    def unknown(self, given: Any) -> str:
        """What to say of a name that is unknown here."""
        return unknown(self.kind, given, self.names(), [*self._others, *(name for name, _ in self._class_names())])

    def _class_names(self) -> Iterator[tuple[str, str]]:
        """The name of each class, and what it was added under."""
        for name, thing in self._things.items():
            if isinstance(thing, type):
                yield thing.__name__, name

    def make(self, given: Any, base: type) -> Any:
        """An object of class `base`: given as one, as its class or another thing of this kind, or by name."""
        if isinstance(given, base):
            return given
        found = given
        if isinstance(given, str):
            try:
                found = self.find(given)
            except UnknownName as error:
                raise UnknownName(f"{error}, or pass an object of class {base.__name__}") from None
        if isinstance(found, base):
            return found
        if not (callable(found) and (isinstance(given, str) or _makes(given, base))):
            raise UnknownName(f"{self.unknown(given)}, or pass an object of class {base.__name__}")
        try:
            return found()
        except TypeError as error:
            raise ConfigurationError(f"{self.kind} {given!r} cannot be made without arguments: {error}") from error

    def names(self) -> tuple[str, ...]:
        """Every name, those found elsewhere first."""
        return (*self._elsewhere(), *self)

    def usable(self) -> list[Thing]:
        """Everything, without what an installed package announces and cannot deliver."""
        found = []
        for name in self:
            try:
                found.append(self[name])
            except DnnkitError:
                continue
        return found

    def added(self) -> tuple[Thing | Lazy, ...]:
        """What was added so far, without looking for what packages announce."""
        return tuple(self._things.values())

    def origin(self, name: str) -> str:
        """The installed package that announced the name; "" for what dnnkit or this process added."""
        thing = self._all[name]
        return thing.package if isinstance(thing, Lazy) else ""

    # -- a mapping of what was added and announced ------------------------------------------------------------------

    def __getitem__(self, name: str) -> Thing:
        thing = self._all[name]
        if not isinstance(thing, Lazy):
            return thing
        of = f" of the installed package {thing.package}" if thing.package else ""
        try:
            loaded = thing.load()
        except Exception as error:  # a package may fail in any way; the message says whose fault it is
            if not thing.package:
                raise
            raise self._error(
                f"{self.kind} {name!r}{of} could not be imported: {type(error).__name__}: {error}"
            ) from error
        self._check(loaded, f"{self.kind} {name!r}{of}")
        if not thing.package:
            self._things[name] = loaded
        return loaded  # type: ignore[no-any-return]

    def __contains__(self, name: object) -> bool:
        return name in self._all  # nothing is imported to answer that

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    @property
    def _all(self) -> dict[str, Thing | Lazy]:
        """What was added, and what installed packages announce, which is looked for once."""
        points = _entry_points().get(self.plural, {})
        if self._announced is not points:
            for name, point in points.items():
                if name in self._things or name in self._elsewhere():
                    raise self._error(
                        f"the installed package {point.package} names its {self.kind} {name!r}, which is one of "
                        "dnnkit's own: uninstall it or ask its authors for another name"
                    )
            self._things |= points
            self._announced = points
        return self._things

    def _check(self, thing: Any, what: str) -> None:
        if not self._accepts(thing):
            raise self._error(f"{what} is {thing!r}: expected {self._expected}")


def _makes(thing: Any, base: type) -> bool:
    """Whether it is a class of that base, or one with some of its arguments."""
    kind = thing.func if isinstance(thing, partial) else thing
    return isinstance(kind, type) and issubclass(kind, base)


@cache
def _entry_points() -> dict[str, dict[str, Lazy]]:
    """What installed packages announce, by plural and name; looking through them takes milliseconds."""
    if not is_announced("dnnkit."):
        return {}
    from importlib.metadata import distributions

    found: dict[str, dict[str, Lazy]] = {}
    for package in distributions():
        for point in package.entry_points:
            if point.group.startswith("dnnkit."):
                names = found.setdefault(point.group.removeprefix("dnnkit."), {})
                names.setdefault(point.name, Lazy(point.value, package.name))  # the first on the path, as for modules
    return found
