"""Registries: objects selected by name, one registry per kind, filled by dnnkit, plugins and users.

    dk.register("optimizer", "signum", Signum)  # from now on compile(optimizer="signum") works

Installed packages register objects by entry points in the group of the kind, such as `dnnkit.optimizers`; they are
imported when their name is first used. Registering a different object under an existing name is an error.

An object has one canonical name, used in saves and lists, and may have aliases, such as "mse". Names are accepted in
any spelling, and classes by their class names: "mean_squared_error", "MeanSquaredError", "mse" and "MSE" are the same
loss. An object registered under an alias or another spelling takes precedence over it.

This module imports only dnnkit's errors, so every package can have registries.
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
"""Registry by kind, singular and plural."""


def register(kind: str, name: str, thing: Any) -> None:
    """Register a custom layer, loss, metric, optimizer, activation, callback, ... under a name.

    Arguments:
        kind: kind of object, such as "loss" or "losses"; `dnnkit.registry.REGISTRIES` lists all kinds.
        name: the name, accepted from now on wherever dnnkit takes a name of that kind.
        thing: a class for most kinds, a function `(y_true, y_pred)` for metrics, a formula or an object with `forward`
            and `derivative` for activations, a module or object with `load_data` for data sets.

    Raises:
        UnknownName: there is no such kind.
        ConfigurationError: the object is not of that kind, or the name is already used for another one.
    """
    if kind not in REGISTRIES:
        raise UnknownName(unknown("kind", kind, {registry.kind: None for registry in REGISTRIES.values()}))
    REGISTRIES[kind].add(name, thing)


def unknown(kind: str, given: Any, names: Iterable[str], others: Iterable[str] = ()) -> str:
    """Return the error text for an unknown name, suggesting the nearest of the names or aliases."""
    names = list(names)
    text = repr(given)
    text = text if len(text) <= 200 else f"{text[:200]}..."  # untrusted input may have any length
    return f"unknown {kind} {text}: {did_you_mean(given, [*others, *names])}choose one of {', '.join(names)}"


def folded(name: str) -> str:
    """Normalise the spelling: "MeanSquaredError" and "mean_squared_error" become equal."""
    return name.replace("_", "").replace("-", "").replace(" ", "").lower()


def did_you_mean(given: Any, names: Iterable[str]) -> str:
    """Return the nearest name as a question, followed by a space; empty if none is near."""
    near = nearest(given, names)
    return "" if near is None else f"did you mean {near!r}? "


def nearest(given: Any, names: Iterable[str]) -> str | None:
    """Return the name that was probably meant; None if none is near.

    A name is near if it is spelled similarly, or if the given one is its initials ("lr" for "learning_rate") or one of
    its words.
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
    """Location of an object, "module:attribute"; `package` is the one that registered it, "" for dnnkit."""

    where: str
    package: str = ""

    def load(self) -> Any:
        """Import the object."""
        module, _, attribute = self.where.partition(":")
        loaded = importlib.import_module(module)
        return getattr(loaded, attribute) if attribute else loaded


class Registry(Mapping[str, Thing], Generic[Thing]):
    """Objects of one kind by name, in the order in which they were added.

    Arguments:
        kind: singular word for the kind, such as "loss".
        expected: description of what may be added, for errors.
        accepts: predicate for what may be added.
        plural: plural of `kind`, by default with an s; also the name of the entry-point group.
        elsewhere: returns names that are found by other means, such as kernels by folder; they are listed and reserved.
        error: class of errors for invalid objects.
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
        """Register an object under a name and aliases; repeating it with the same object is not an error."""
        if not isinstance(name, str) or not name:
            raise ConfigurationError(f"the name of a {self.kind} must be a non-empty string; got {name!r}")
        if not isinstance(thing, Lazy):
            self._check(thing, f"{self.kind} {name!r}")
        taken = name in self._elsewhere() or self._things.get(name, thing) is not thing
        if taken:
            raise ConfigurationError(f"the name {name!r} is taken by another {self.kind}: choose another name")
        self._things[name] = thing
        self.also(name, *others)

    def also(self, name: str, *others: str) -> None:
        """Add aliases of a name; raise if one is used for another object."""
        for other in others:
            taken = other in self._things or other in self._elsewhere()
            if taken or self._others.get(other, name) != name:
                raise ConfigurationError(f"the name {other!r} is taken by another {self.kind}: choose another name")
            self._others[other] = name

    def named(self, name: str, *others: str) -> Callable[[Class], Class]:
        """Return a class decorator that registers the class under a name and aliases."""

        def add(thing: Class) -> Class:
            self.add(name, thing, *others)  # type: ignore[arg-type]
            return thing

        return add

    def find(self, name: Any) -> Thing:
        """Return the object of that name in any spelling; raise `UnknownName`, suggesting the nearest, if none."""
        found = self.name_of(name)
        if found is None or found not in self:
            raise UnknownName(self.unknown(name))
        return self[found]

    def name_of(self, given: Any) -> str | None:
        """Return the canonical name for a name in any spelling; None if there is none, or several."""
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
        """Return the name itself if it is canonical or an alias, otherwise the canonical name in that spelling."""
        return given if given in self._others else self.name_of(given) or given

    def unknown(self, given: Any) -> str:
        """Return the error text for an unknown name."""
        return unknown(self.kind, given, self.names(), [*self._others, *(name for name, _ in self._class_names())])

    def _class_names(self) -> Iterator[tuple[str, str]]:
        """Yield (class name, canonical name) of each class."""
        for name, thing in self._things.items():
            if isinstance(thing, type):
                yield thing.__name__, name

    def make(self, given: Any, base: type) -> Any:
        """Return an object of class `base`, given as one, as a class or factory of this kind, or by name."""
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
            raise ConfigurationError(f"{self.kind} {given!r} needs arguments, so pass an object: {error}") from error

    def names(self) -> tuple[str, ...]:
        """Return all names, those found elsewhere first."""
        return (*self._elsewhere(), *self)

    def usable(self) -> list[Thing]:
        """Return all objects, except those of installed packages that cannot be imported."""
        found = []
        for name in self:
            try:
                found.append(self[name])
            except DnnkitError:
                continue
        return found

    def added(self) -> tuple[Thing | Lazy, ...]:
        """Return the objects added so far, without looking for entry points."""
        return tuple(self._things.values())

    def origin(self, name: str) -> str:
        """Return the installed package that registered the name; "" for dnnkit or this process."""
        thing = self._all[name]
        return thing.package if isinstance(thing, Lazy) else ""

    # -- mapping of added objects and entry points -------------------------------------------------------------------

    def __getitem__(self, name: str) -> Thing:
        thing = self._all[name]
        if not isinstance(thing, Lazy):
            return thing
        of = f" of the installed package {thing.package}" if thing.package else ""
        try:
            loaded = thing.load()
        except Exception as error:  # a plugin may fail in any way; the message names the package
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
        return name in self._all  # does not import anything

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    @property
    def _all(self) -> dict[str, Thing | Lazy]:
        """Added objects and entry points, which are looked up once."""
        points = _entry_points().get(self.plural, {})
        if self._announced is not points:
            for name, point in points.items():
                if name in self._things or name in self._elsewhere():
                    raise self._error(
                        f"the installed package {point.package} names its {self.kind} {name!r}, which is a name of "
                        "dnnkit: uninstall it or ask its authors for another name"
                    )
            self._things |= points
            self._announced = points
        return self._things

    def _check(self, thing: Any, what: str) -> None:
        if not self._accepts(thing):
            raise self._error(f"{what} is {thing!r}: expected {self._expected}")


def _makes(thing: Any, base: type) -> bool:
    """Whether it is a subclass of the base, or a partial application of one."""
    kind = thing.func if isinstance(thing, partial) else thing
    return isinstance(kind, type) and issubclass(kind, base)


@cache
def _entry_points() -> dict[str, dict[str, Lazy]]:
    """Return entry points of installed packages, by plural and name; scanning them takes milliseconds."""
    if not is_announced("dnnkit."):
        return {}
    from importlib.metadata import distributions

    found: dict[str, dict[str, Lazy]] = {}
    for package in distributions():
        for point in package.entry_points:
            if point.group.startswith("dnnkit."):
                names = found.setdefault(point.group.removeprefix("dnnkit."), {})
                names.setdefault(point.name, Lazy(point.value, package.name))  # first on the path, as for modules
    return found
