"""Validated reading of JSON in saves: bounded parsing, and a schema for every value.

A schema is an `Expected`, as for settings: a description and a converter. Schemas of lists and objects are composed of
others, and report the place of an invalid value.
"""

import json
import re
from collections.abc import Callable, Mapping
from math import nan
from typing import Any

from dnnkit.errors import CheckpointError
from dnnkit.settings import Expected, shown, whole

LARGEST_JSON = 32 << 20
"""Maximum size of a JSON file in bytes: a history of 200,000 epochs. Parsed, it takes up to twenty times as much."""
DEEPEST = 50
"""Maximum nesting depth."""
DIGITS = 308
"""Maximum number of digits of an integer, so that it is finite as a float."""


class Wrong(ValueError):
    """An invalid value, with its place."""

    def __init__(self, place: str, given: Any, words: str) -> None:
        super().__init__(place)
        self.place, self.given, self.words = place, given, words


def read(files: Mapping[str, bytes], name: str, kind: Expected, place: str) -> Any:
    """Read and check a JSON file of a save; raise `CheckpointError`, referring to the save as `place`, if invalid."""
    return taken(parsed(files, name, place), kind, f"{place} is damaged: {name}")


def taken(value: Any, kind: Expected, what: str) -> Any:
    """Return the converted value; `what` begins the error message."""
    try:
        return _take(kind, value, "")
    except Wrong as wrong:
        where = f": {wrong.place.removeprefix('.')}" if wrong.place else ""
        raise CheckpointError(f"{what}{where} is {shown(wrong.given)}: expected {wrong.words}") from None


def parsed(files: Mapping[str, bytes], name: str, place: str) -> Any:
    """Parse a JSON file without checking it against a schema."""
    data = contents(files, name, place)
    try:
        if len(data) > LARGEST_JSON:
            raise ValueError(f"it has {len(data):,} bytes, more than the limit of {LARGEST_JSON:,}")
        value = json.loads(data, parse_int=_whole)
        _check_depth(value)
    except (ValueError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else str(error)[:200]
        raise CheckpointError(f"{place} is damaged: {name} cannot be parsed ({why})") from None
    return value


def contents(files: Mapping[str, bytes], name: str, place: str) -> bytes:
    """Return a file of a save; raise `CheckpointError` if it is missing."""
    if name not in files:
        raise CheckpointError(f"{place} is damaged: it has no {name}; restore it from a copy, or train again")
    return files[name]


def _whole(digits: str) -> int:
    if len(digits) > DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _check_depth(value: Any) -> None:
    """Raise ValueError for excessive nesting, or for lone surrogates, which cannot be printed."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise ValueError(f"nested more than {DEEPEST} deep")
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


# -- schemas ---------------------------------------------------------------------------------------------------------

ANYTHING = Expected("anything", lambda value: value)


def text(pattern: str = "", words: str = "text", most: int = 1000) -> Expected:
    """Accept text of at most `most` characters, matching the pattern if given."""

    def take(value: Any) -> str:
        if not isinstance(value, str) or len(value) > most or (pattern and not re.fullmatch(pattern, value)):
            raise ValueError
        return value

    return Expected(words, take)


def one_of(*values: Any) -> Expected:
    """Accept one of these values; True is not accepted as 1."""

    def take(value: Any) -> Any:
        if not any(type(value) is type(each) and value == each for each in values):
            raise ValueError
        return value

    return Expected(" or ".join(map(repr, values)), take)


def list_of(kind: Expected, most: int | None = None) -> Expected:
    """Accept a list of at most `most` items."""

    def take(value: Any) -> list[Any]:
        if not isinstance(value, list) or (most is not None and len(value) > most):
            raise ValueError
        return [_take(kind, item, f"[{number}]") for number, item in enumerate(value)]

    return Expected("a list" if most is None else f"a list of at most {most:,} items", take)


def by_name(kind: Expected, name: Expected | None = None) -> Expected:
    """Accept an object with arbitrary names and values of one kind."""
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
    """Accept an object with these fields, dropping others; `agrees` raises `Wrong` for inconsistent values."""

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
"""What `number_to_json` writes, including NaN and infinite numbers."""
COUNT = whole(0, 1 << 53)
"""Numbers of steps or epochs: exact as floats, and far below the limit of 64 bits."""
