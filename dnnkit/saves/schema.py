"""The one way in which JSON of a save is read: bounded when it is parsed, and every value of the kind it must be.

A kind is an `Expected`, as of settings: what it takes, in words and as a function. Kinds of lists and of objects are
made of others, and say at which place a value is wrong.
"""

import json
import re
from collections.abc import Callable, Mapping
from math import nan
from typing import Any

from dnnkit.errors import CheckpointError
from dnnkit.settings import Expected, shown, whole

LARGEST_JSON = 32 << 20
"""Bytes of a JSON file: a history of 200,000 epochs. Parsed, it takes up to twenty times as much."""
DEEPEST = 50
"""Lists and objects within each other."""
DIGITS = 308
"""Of a whole number, so that it is finite as a float."""


class Wrong(ValueError):
    """A value that is not of its kind, and where it stands."""

    def __init__(self, place: str, given: Any, words: str) -> None:
        super().__init__(place)
        self.place, self.given, self.words = place, given, words


def read(files: Mapping[str, bytes], name: str, kind: Expected, place: str) -> Any:
    """The value of a JSON file of a save, which errors call by `place`; `CheckpointError` if it is not of that kind."""
    return taken(parsed(files, name, place), kind, f"{place} is damaged: {name}")


def taken(value: Any, kind: Expected, what: str) -> Any:
    """The value as its kind takes it; `what` begins the error."""
    try:
        return _take(kind, value, "")
    except Wrong as wrong:
        where = f": {wrong.place.removeprefix('.')}" if wrong.place else ""
        raise CheckpointError(f"{what}{where} is {shown(wrong.given)}: expected {wrong.words}") from None


def parsed(files: Mapping[str, bytes], name: str, place: str) -> Any:
    """The value of a JSON file, of whatever kind."""
    data = contents(files, name, place)
    try:
        if len(data) > LARGEST_JSON:
            raise ValueError(f"it has {len(data):,} bytes, more than the {LARGEST_JSON:,} that are read")
        value = json.loads(data, parse_int=_whole)
        _check_depth(value)
    except (ValueError, RecursionError) as error:
        why = "lists within lists" if isinstance(error, RecursionError) else str(error)[:200]
        raise CheckpointError(f"{place} is damaged: {name} cannot be understood ({why})") from None
    return value


def contents(files: Mapping[str, bytes], name: str, place: str) -> bytes:
    """A file of a save."""
    if name not in files:
        raise CheckpointError(f"{place} is damaged: it has no {name}; restore it from a copy, or train again")
    return files[name]


def _whole(digits: str) -> int:
    if len(digits) > DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _check_depth(value: Any) -> None:
    """Raise ValueError where it is too deep, or holds half a letter (a surrogate), which nothing can print."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise ValueError(f"more than {DEEPEST} lists within each other")
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner += [*item, *item.values()]
            elif isinstance(item, list):
                inner += item
            elif isinstance(item, str):
                item.encode()
        level = inner


def _take(kind: Expected, value: Any, place: str) -> Any:
    try:
        return kind.take(value)
    except Wrong as wrong:
        raise Wrong(place + wrong.place, wrong.given, wrong.words) from None
    except (ValueError, TypeError, OverflowError):
        raise Wrong(place, value, kind.words) from None


# -- kinds -----------------------------------------------------------------------------------------------------------

ANYTHING = Expected("anything", lambda value: value)


def text(pattern: str = "", words: str = "text", most: int = 1000) -> Expected:
    """Text of at most so many letters, all of the pattern if there is one."""

    def take(value: Any) -> str:
        if not isinstance(value, str) or len(value) > most or (pattern and not re.fullmatch(pattern, value)):
            raise ValueError
        return value

    return Expected(words, take)


def one_of(*values: Any) -> Expected:
    """One of these values, True not being 1."""

    def take(value: Any) -> Any:
        if not any(type(value) is type(each) and value == each for each in values):
            raise ValueError
        return value

    return Expected(" or ".join(map(repr, values)), take)


def list_of(kind: Expected, most: int | None = None) -> Expected:
    """A list, of at most so many."""

    def take(value: Any) -> list[Any]:
        if not isinstance(value, list) or (most is not None and len(value) > most):
            raise ValueError
        return [_take(kind, item, f"[{number}]") for number, item in enumerate(value)]

    return Expected("a list" if most is None else f"a list of at most {most:,}", take)


def by_name(kind: Expected, name: Expected | None = None) -> Expected:
    """An object of whatever names, all values of a kind."""
    names = name or text()

    def take(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValueError
        return {_take(names, key, f".{shown(key)}"): _take(kind, item, f".{shown(key)}") for key, item in value.items()}

    return Expected("an object", take)


def record(
    fields: Mapping[str, Expected],
    optional: Mapping[str, Expected] | None = None,
    agrees: Callable[[dict[str, Any]], None] = lambda value: None,
) -> Expected:
    """An object with these fields; others are left out, and `agrees` raises `Wrong` where they disagree."""

    def take(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValueError
        found = {}
        for name, kind in {**fields, **(optional or {})}.items():
            if name in value:
                found[name] = _take(kind, value[name], f".{name}")
            elif name in fields:
                raise Wrong("", sorted(value), f"a field {name!r}")
        agrees(found)
        return found

    return Expected(f"an object with {', '.join(fields)}", take)


def _measured(value: Any) -> float:
    if value is None:
        return nan
    if value in ("inf", "-inf") or (isinstance(value, int | float) and not isinstance(value, bool)):
        return float(value)
    raise ValueError


MEASURED = Expected("a number, null, 'inf' or '-inf'", _measured)
"""What `number_to_json` writes: also numbers that are none, or infinite."""
COUNT = whole(0, 1 << 53)
"""Of steps or epochs: so many that each is exact as a float, and none comes near the end of 64 bits."""
