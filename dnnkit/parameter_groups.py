"""Groups of parameters with numbers of their own: which a pattern of names means, and what of it."""

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, TypeAlias

from dnnkit.backends.program import Group
from dnnkit.errors import ConfigurationError, UnknownName
from dnnkit.registry import did_you_mean
from dnnkit.settings import several, shown

Given: TypeAlias = Mapping[str, Mapping[str, Any]] | Sequence[Any] | None
"""Pattern -> setting -> value; or pairs of these, as they are kept."""

Kept: TypeAlias = tuple[tuple[str, tuple[tuple[str, Any], ...]], ...]

FORM = (
    "settings by patterns of names, such as groups={'bias': {'weight_decay': 0}, 'dense_1/*': {'learning_rate': 1e-4}}"
)


def pairs(given: Given) -> Kept:
    """Groups as they are kept, from what a user gives; raises `TypeError` or `ValueError` where it is none."""
    items: Iterable[Any] = () if given is None else given.items() if isinstance(given, Mapping) else given
    kept: dict[str, tuple[tuple[str, Any], ...]] = {}
    for pattern, settings in items:
        own = dict(settings)
        if not isinstance(pattern, str) or not pattern or not own or not all(isinstance(name, str) for name in own):
            raise ValueError
        kept[pattern] = tuple(own.items())
    return tuple(kept.items())


def patterns(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """Patterns of names from one or several; raises `TypeError` or `ValueError` where they are none."""
    found = () if given is None else (given,) if isinstance(given, str) else tuple(given)
    if not all(isinstance(pattern, str) and pattern for pattern in found):
        raise ValueError
    return found


def matches(pattern: str, name: str) -> bool:
    """Whether a pattern means a parameter: by its whole name, `dense_1/bias`, by its layer's, or by its own, `bias`."""
    layer, _, own = name.rpartition("/")
    return any(fnmatchcase(part, pattern) for part in (name, layer, own))


def groups_of(given: Sequence[str], names: Sequence[str]) -> tuple[Group, ...]:
    """The parameters that the same patterns match, but for those that none does; `UnknownName` if one matches none."""
    for pattern in given:
        if not any(matches(pattern, name) for name in names):
            parts = {part for name in names for part in (name, name.rpartition("/")[0], name.rpartition("/")[2])}
            near = did_you_mean(pattern, sorted(parts))
            raise UnknownName(
                f"the optimizer's pattern {shown(pattern)} matches no parameter: {near}expected one that matches a "
                f"name, such as 'bias' or 'dense_1/*'; there are {', '.join(names) or 'none'}"
            )
    found: dict[tuple[int, ...], list[str]] = {}
    for name in names:
        found.setdefault(tuple(place for place, pattern in enumerate(given) if matches(pattern, name)), []).append(name)
    return tuple(Group(places, tuple(members)) for places, members in found.items() if places)


def check_names(kind: str, settings: Iterable[str], known: Sequence[str]) -> None:
    """Raise `ConfigurationError` for a setting that a group cannot have."""
    for name in settings:
        if name not in known:
            near = did_you_mean(name, known)
            cure = "; decay is that of AdamW, SGD and the newer rules" if name == "weight_decay" else ""
            raise ConfigurationError(
                f"a group of parameters of {kind} has no {shown(name)}: {near}expected some of {', '.join(known)}{cure}"
            )


def exclude(var_list: Any, var_names: Any) -> tuple[str, ...]:
    """Patterns from the arguments of Keras's `exclude_from_weight_decay`."""
    if var_list is not None:
        raise ConfigurationError(
            "exclude_from_weight_decay(var_list=...): parameters are meant by their names here, such as "
            "exclude_from_weight_decay(var_names=['bias'])"
        )
    names = (var_names,) if isinstance(var_names, str) else several("var_names", var_names, "names, such as ['bias']")
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ConfigurationError(f"var_names is {shown(var_names)}: expected names, such as ['bias']")
    return names
