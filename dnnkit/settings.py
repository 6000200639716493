"""Settings that people hand over: NumPy's numbers become Python's, and a value that cannot work is refused at once.

Layers, losses, optimizers, schedules and initializers are dataclasses; each class says in `expects` what its fields
take. Whatever made the number - `1 / x.max()` of float32 data, a count from `np.arange`, an array without axes of a
GPU - it is then one that is written to a save and read again.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import fields
from math import isfinite, log10
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np

from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError
from dnnkit.instead import refuse_fields


def is_masked(value: Any) -> bool:
    """Whether it is a masked array: there is none before its module, slow to import, was imported."""
    return "numpy.ma" in sys.modules and isinstance(value, np.ma.MaskedArray)


def plain(value: Any) -> Any:
    """The Python number that a NumPy scalar, or any library's array without axes, stands for; all else as it is."""
    if getattr(value, "shape", None) != () or not hasattr(value, "item") or is_masked(value):
        return value
    number = value.item()
    return float(number) if isinstance(number, np.floating) else number  # a long double is its own item


@dataclass(frozen=True)
class Expected:
    """What a setting takes: in words for the error, and the value to keep, from a plain one; ValueError refuses."""

    words: str
    take: Callable[[Any], Any]

    def check(self, what: str, given: Any) -> Any:
        """The value to keep; `what` is the setting as the error calls it, such as "Dropout(rate=2)"."""
        try:
            return self.take(plain(given))
        except (ValueError, TypeError, OverflowError):
            raise ConfigurationError(f"{what}: expected {self.words}") from None

    def of(self, name: str, given: Any) -> Any:
        """`check` of an argument by its name."""
        return self.check(f"{name} is {shown(given)}", given)


def shown(value: Any) -> str:
    """The value for an error, not longer than a line."""
    try:
        text = repr(value)
    except ValueError:  # Python refuses to write thousands of digits
        text = f"a number of {value.bit_length()} bits"
    return text if len(text) <= 80 else f"{text[:60]}... ({type(value).__name__})"


def counted(number: int) -> str:
    """A whole number for an error, however large."""
    if number < 10**15:
        return f"{number:,}"
    digits = int(log10(number))
    return f"{number / 10**digits:.2f}e+{digits}"


def several(name: str, given: Any, words: str) -> tuple[Any, ...]:
    """The items of a list, or of anything else that has some."""
    try:
        return tuple(given)
    except TypeError:  # what is iterable by its class may not be, such as an array without axes
        raise ConfigurationError(f"{name} is {shown(given)}: expected {words}") from None


def numbers(words: str, contains: Callable[[float], bool] = lambda number: True) -> Expected:
    """Finite numbers for which `contains` is true."""

    def take(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, Real):
            raise TypeError
        number = value if isinstance(value, int | float) else float(value)
        if not isfinite(number) or not contains(number):
            raise ValueError
        return number

    return Expected(words, take)


def whole(least: int = 1, most: int | None = None) -> Expected:
    """Whole numbers from `least` on, to `most` or however large: then its user says what is too large for a purpose."""

    def take(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
            raise ValueError
        number = int(value)
        if most is not None and number > most:
            raise ValueError
        return number

    return Expected(
        f"a whole number, {least} or more" if most is None else f"a whole number from {least} to {most}", take
    )


def or_none(expected: Expected) -> Expected:
    """The same, or None."""
    return Expected(f"{expected.words}, or None", lambda value: None if value is None else expected.take(value))


def _flag(value: Any) -> bool:
    if value not in (True, False):
        raise ValueError
    return bool(value)


FINITE = numbers("a finite number")
NOT_NEGATIVE = numbers("a finite number, 0 or more", lambda number: number >= 0)
POSITIVE = numbers("a finite number above 0", lambda number: number > 0)
SHARE = numbers("a number of at least 0 and below 1", lambda number: 0 <= number < 1)
FLAG = Expected("True or False", _flag)


UNLESS_DEFAULT = {"saved": "unless it is the default"}
"""Metadata of a field that saves leave out where it has its default: so what they say is what it was before the field
was there."""


class Settings:
    """Base of descriptions by dataclass fields. A class of yours that has a `__post_init__` calls this one's in it."""

    expects: ClassVar[Mapping[str, Expected]] = {}
    """What fields take, by name; a field that is named neither here nor in a base class takes anything."""

    def __new__(cls, *_: Any, **named: Any) -> Self:
        """What is given by a name that no field has is refused, with what to use instead."""
        if named and not named.keys() <= {field.name for field in fields(cls) if field.init}:  # type: ignore[arg-type]
            refuse_fields(cls, named)
        return super().__new__(cls)

    def __post_init__(self) -> None:
        for field in fields(self):  # type: ignore[arg-type] # only a dataclass calls this
            if field.init:
                object.__setattr__(self, field.name, self._taken(field.name, getattr(self, field.name)))

    def _taken(self, name: str, given: Any) -> Any:
        """The value of a field as it is kept."""
        for kind in type(self).__mro__:
            if (expected := vars(kind).get("expects", {}).get(name)) is not None:
                return expected.check(f"{type(self).__name__}({name}={shown(given)})", given)
        return plain(given)
