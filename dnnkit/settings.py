"""Validation of settings: NumPy scalars become Python numbers, and invalid values are refused immediately.

Layers, losses, optimizers, schedules and initializers are dataclasses; each class declares in `expects` what its fields
accept. Whatever computed a number (`1 / x.max()` of float32 data, an element of `np.arange`, a GPU scalar), it is
stored as a Python number, which saves can write and read.
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
    """Whether it is a masked array; does not import NumPy's masked arrays, which is slow."""
    return "numpy.ma" in sys.modules and isinstance(value, np.ma.MaskedArray)


def plain(value: Any) -> Any:
    """Convert a NumPy scalar, or any library's 0-dimensional array, to a Python number; return all else unchanged."""
    if getattr(value, "shape", None) != () or not hasattr(value, "item") or is_masked(value):
        return value
    number = value.item()
    return float(number) if isinstance(number, np.floating) else number  # `item` of a long double is a long double


@dataclass(frozen=True)
class Expected:
    """What a setting accepts: a description for errors, and a converter that raises ValueError to refuse a value."""

    words: str
    take: Callable[[Any], Any]

    def check(self, what: str, given: Any) -> Any:
        """Return the converted value; `what` is the setting in the error, such as "Dropout(rate=2)"."""
        try:
            return self.take(plain(given))
        except (ValueError, TypeError, OverflowError):
            raise ConfigurationError(f"{what}: expected {self.words}") from None

    def of(self, name: str, given: Any) -> Any:
        """`check` for an argument by name."""
        return self.check(f"{name} is {shown(given)}", given)


def shown(value: Any) -> str:
    """Return the value's repr for an error, shortened to one line."""
    try:
        text = repr(value)
    except ValueError:  # Python refuses to format thousands of digits
        text = f"a number of {value.bit_length()} bits"
    return text if len(text) <= 80 else f"{text[:60]}... ({type(value).__name__})"


def counted(number: int) -> str:
    """Format an integer for an error, however large."""
    if number < 10**15:
        return f"{number:,}"
    digits = int(log10(number))
    return f"{number / 10**digits:.2f}e+{digits}"


def several(name: str, given: Any, words: str) -> tuple[Any, ...]:
    """Return the items of an iterable as a tuple."""
    try:
        return tuple(given)
    except TypeError:  # some iterable classes have non-iterable instances, such as 0-dimensional arrays
        raise ConfigurationError(f"{name} is {shown(given)}: expected {words}") from None


def numbers(words: str, contains: Callable[[float], bool] = lambda number: True) -> Expected:
    """Accept finite numbers for which `contains` is true."""

    def take(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, Real):
            raise TypeError
        number = value if isinstance(value, int | float) else float(value)
        if not isfinite(number) or not contains(number):
            raise ValueError
        return number

    return Expected(words, take)


def whole(least: int = 1, most: int | None = None) -> Expected:
    """Accept integers from `least` to `most`; without `most`, callers check what is too large for their purpose."""

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
    """Accept the same values, or None."""
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
"""Metadata of fields that saves omit at their default, so that saves from before the field existed stay valid."""


class Settings:
    """Base class of descriptions by dataclass fields. A subclass with a `__post_init__` must call this one's in it."""

    expects: ClassVar[Mapping[str, Expected]] = {}
    """What fields accept, by name; fields not listed here or in a base class accept anything."""

    def __new__(cls, *_: Any, **named: Any) -> Self:
        """Refuse unknown keyword arguments, saying what to use instead."""
        if named and not named.keys() <= {field.name for field in fields(cls) if field.init}:  # type: ignore[arg-type]
            refuse_fields(cls, named)
        return super().__new__(cls)

    def __post_init__(self) -> None:
        for field in fields(self):  # type: ignore[arg-type] # only a dataclass calls this
            if field.init:
                object.__setattr__(self, field.name, self._taken(field.name, getattr(self, field.name)))

    def _taken(self, name: str, given: Any) -> Any:
        """Return the value of a field as it is stored."""
        for kind in type(self).__mro__:
            if (expected := vars(kind).get("expects", {}).get(name)) is not None:
                return expected.check(f"{type(self).__name__}({name}={shown(given)})", given)
        return plain(given)
