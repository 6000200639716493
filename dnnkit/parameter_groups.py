"""Groups of parameters with separate hyperparameters, selected by name patterns."""

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, TypeAlias

from dnnkit.backends.program import Group
from dnnkit.errors import ConfigurationError, UnknownName
from dnnkit.registry import did_you_mean
from dnnkit.settings import several, shown

Given: TypeAlias = Mapping[str, Mapping[str, Any]] | Sequence[Any] | None
"""{pattern: {setting: value}}, or pairs of these, the form in which they are stored."""

Kept: TypeAlias = tuple[tuple[str, tuple[tuple[str, Any], ...]], ...]

FORM = "settings by name pattern, such as groups={'bias': {'weight_decay': 0}, 'dense_1/*': {'learning_rate': 1e-4}}"


def pairs(given: Given) -> Kept:
    """Convert groups to their stored form; raise `TypeError` or `ValueError` if they are invalid."""
    items: Iterable[Any] = () if given is None else given.items() if isinstance(given, Mapping) else given
    kept: dict[str, tuple[tuple[str, Any], ...]] = {}
    for pattern, settings in items:
        own = dict(settings)
        if not isinstance(pattern, str) or not pattern or not own or not all(isinstance(name, str) for name in own):
            raise ValueError
        kept[pattern] = tuple(own.items())
    return tuple(kept.items())


def patterns(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """Convert one or several patterns to a tuple; raise `TypeError` or `ValueError` if they are invalid."""
    found = () if given is None else (given,) if isinstance(given, str) else tuple(given)
    if not all(isinstance(pattern, str) and pattern for pattern in found):
        raise ValueError
    return found


def matches(pattern: str, name: str) -> bool:
    """Whether a pattern matches a parameter's whole name `dense_1/bias`, its layer's name, or its last part `bias`."""
    layer, _, own = name.rpartition("/")
    return any(fnmatchcase(part, pattern) for part in (name, layer, own))


def groups_of(given: Sequence[str], names: Sequence[str]) -> tuple[Group, ...]:
    """Group the parameters that match the same patterns; raise `UnknownName` for a pattern without a match."""
    for pattern in given:
        if not any(matches(pattern, name) for name in names):
            parts = {part for name in names for part in (name, name.rpartition("/")[0], name.rpartition("/")[2])}
            near = did_you_mean(pattern, sorted(parts))
            raise UnknownName(
                f"the optimizer's pattern {shown(pattern)} matches no parameter: {near}expected one that matches a "
                f"name, such as 'bias' or 'dense_1/*'; the parameters are {', '.join(names) or 'none'}"
            )
    found: dict[tuple[int, ...], list[str]] = {}
    for name in names:
        found.setdefault(tuple(place for place, pattern in enumerate(given) if matches(pattern, name)), []).append(name)
    return tuple(Group(places, tuple(members)) for places, members in found.items() if places)


def check_names(kind: str, settings: Iterable[str], known: Sequence[str]) -> None:
    """Raise `ConfigurationError` for a setting that groups do not support."""
    for name in settings:
        if name not in known:
            near = did_you_mean(name, known)
            cure = "; use AdamW, SGD or one of the newer rules for decay" if name == "weight_decay" else ""
            raise ConfigurationError(
                f"a group of parameters of {kind} has no {shown(name)}: {near}expected some of {', '.join(known)}{cure}"
            )


def exclude(var_list: Any, var_names: Any) -> tuple[str, ...]:
    """Return patterns from the arguments of Keras's `exclude_from_weight_decay`."""
    if var_list is not None:
        raise ConfigurationError(
            "exclude_from_weight_decay(var_list=...): parameters are selected by name, such as "
            "exclude_from_weight_decay(var_names=['bias'])"
        )
    names = (var_names,) if isinstance(var_names, str) else several("var_names", var_names, "names, such as ['bias']")
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ConfigurationError(f"var_names is {shown(var_names)}: expected names, such as ['bias']")
    return names
