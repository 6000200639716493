"""Columns that become flags or codes: categories and booleans. Free text is refused."""

import re
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from itertools import islice
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from dnnkit.deferred import dataclass
from dnnkit.errors import DataError
from dnnkit.saves.schema import COUNT, Wrong, list_of, text
from dnnkit.settings import FLAG
from dnnkit.tables.columns import OTHERS, Column, Note, Options, Place, kind
from dnnkit.tables.conversions import as_booleans, as_numbers, as_texts, codes_of
from dnnkit.tables.series import Series

MOST_CATEGORIES = 1_000_000
VALUE = text(most=10_000)


def _check_values(column: dict[str, Any]) -> None:
    """Raise `Wrong` if there are no values, or one occurs twice."""
    values = [*column["values"], *column["rare"]]
    if not values or len(set(values)) != len(values):
        raise Wrong(".values", column["values"], "each value once, and at least one")


@kind
@dataclass(frozen=True)
class Category(Column):
    """Categories, as one feature per value (1 for that value); a single feature, -1 or 1, for two; or an integer
    code.

    Attributes:
        values: values with their own feature or code, in order.
        rare: the other values of training, which share one feature with values unseen in training.
        most: the most frequent value.
        most_rows: its number of rows.
        has_code: whether the feature is a code: 0 for missing values, then values in order, rare ones last.
        of_numbers: whether values are numbers.
    """

    values: tuple[str, ...]
    rare: tuple[str, ...]
    most: str
    most_rows: int
    has_code: bool
    of_numbers: bool

    kind: ClassVar = "category"
    group: ClassVar = "categories"
    schema: ClassVar = {
        "values": list_of(VALUE, MOST_CATEGORIES),
        "rare": list_of(VALUE, MOST_CATEGORIES),
        "most": VALUE,
        "most_rows": COUNT,
        "has_code": FLAG,
        "of_numbers": FLAG,
    }
    agrees: ClassVar = staticmethod(_check_values)

    @classmethod
    def found(cls, series: Series, options: Options) -> Self | None:  # noqa: D102
        if series.form not in ("text", "cells") and not series.is_category:
            return None
        of_numbers = series.form == "number"
        texts = as_texts(series).values
        counts = Counter(texts)
        missing = counts.pop(None, 0)
        if not counts:
            return None
        if series.form == "text" and not series.is_category:
            refuse_text(series.name, counts)
        return cls.of_counts(series.name, missing, counts, of_numbers, options)

    @classmethod
    def of_counts(cls, name: str, missing: int, counts: Counter[str], of_numbers: bool, options: Options) -> Self:
        """Return the column for values with these counts."""
        in_order = sorted(counts, key=float if of_numbers else str)
        values = [value for value in in_order if counts[value] >= options.rare]
        if len(values) == len(in_order) - 1:  # a single rare value would not share its feature
            values = in_order
        has_code = options.embeds_above is not None and len(values) > options.embeds_above
        if not has_code and len(values) > options.most_categories:
            frequent = set(sorted(values, key=counts.__getitem__, reverse=True)[: options.most_categories])
            values = [value for value in values if value in frequent]
        own = set(values)
        rare = [value for value in in_order if value not in own]
        most = max(in_order, key=counts.__getitem__)
        return cls(name, missing, tuple(values), tuple(rare), most, counts[most], has_code, of_numbers)

    @property
    def shares(self) -> tuple[str, ...]:
        """Names of the features or codes: the values, and one for all rare values."""
        return (*self.values, OTHERS) if self.rare else self.values

    @property
    def flags(self) -> tuple[str, ...]:  # noqa: D102
        if self.has_code:
            return ()
        if len(self.shares) == 2:
            return (f"{self.name}={self.shares[1]}",)
        return tuple(f"{self.name}={value}" for value in self.shares)

    @property
    def codes(self) -> int | None:  # noqa: D102
        return 1 + len(self.shares) if self.has_code else None

    @cached_property
    def _codes(self) -> dict[str, int]:
        return {value: code for code, value in enumerate(self.values)}

    @cached_property
    def _rare(self) -> frozenset[str]:
        return frozenset(self.rare)

    def texts(self, series: Series) -> list[str | None]:
        """Return the values of a series as text."""
        if self.of_numbers and series.form == "cells":
            with suppress(DataError):  # otherwise it is text: categories unseen in training
                series = as_numbers(series)
        found: list[str | None] = as_texts(series).values
        return found

    def write(self, series: Series, place: Place) -> list[Note]:  # noqa: D102
        texts = self.texts(series)
        others = len(self.values)
        codes = codes_of(texts, self._codes, others)
        unknown = np.flatnonzero(codes == others)
        notes = []
        if len(unknown):
            asked = [texts[row] for row in unknown]
            missing = np.fromiter((value is None for value in asked), bool, len(asked))
            if not self.rare:
                codes[unknown] = -1
            codes[unknown[missing]] = -1
            unseen = [value for value in asked if value is not None and value not in self._rare]
            if unseen:
                notes.append(Note(self.name, "unseen", len(unseen), unseen[0][:40]))
        self._write(codes, place)
        return notes

    def _write(self, codes: NDArray[np.int64], place: Place) -> None:
        """Write the features of codes; -1 means no feature."""
        if place.code is not None:
            place.code[:] = codes + 1
        elif len(self.shares) == 2:
            place.flags[:, 0] = np.array([-1, 1, 0])[codes]
        elif len(self.shares) > 1 or self.missing:
            rows = np.flatnonzero(codes >= 0)
            place.flags[rows, codes[rows]] = 1

    def summary(self) -> str:  # noqa: D102
        count = len(self.values) + len(self.rare)
        if count == 1 and not self.missing:
            return f"always {self.most[:40]}: no information"
        rare = f", {len(self.rare):,} of them rare" if self.rare else ""
        return f"{count:,} values{rare}, most often {self.most[:40]} ({self.most_rows:,})"


@kind
@dataclass(frozen=True)
class Boolean(Category):
    """Booleans, as -1 and 1; 0 for missing values."""

    kind: ClassVar = "boolean"
    group: ClassVar = "booleans"

    @classmethod
    def found(cls, series: Series, options: Options) -> Self | None:  # noqa: D102
        if series.form != "boolean" or series.is_category:
            return None
        counts = Counter(as_texts(series).values)
        missing = counts.pop(None, 0)
        if not counts:
            return None
        return cls.of_counts(series.name, missing, counts, False, replace(options, rare=1, embeds_above=None))

    def texts(self, series: Series) -> list[str | None]:  # noqa: D102
        found: list[str | None] = as_texts(as_booleans(series)).values
        return found

    # -- free text ---------------------------------------------------------------------------------------------------


class FreeText(Exception):
    """Raised for a column of free text, with a description. The encoder reports all such columns at once."""


def refuse_text(name: str, counts: Counter[str]) -> None:
    """Raise `FreeText` if values hardly ever repeat, or are sentences."""
    rows, distinct = counts.total(), len(counts)
    some = list(islice(counts, 1000))
    words = sum(len(value.split()) for value in some) / len(some)
    is_prose = words >= 4 and distinct > max(20, rows / 10)
    if (distinct > 20 and distinct > rows / 2) or is_prose or (distinct > 1 and words >= 8):
        looks = ""
        if sum(bool(LOOKS_DATED.fullmatch(value)) for value in some) > len(some) / 2:
            looks = ", dates perhaps, to be written as 2026-01-31"
        elif sum(bool(LOOKS_NUMERIC.fullmatch(value)) for value in some) > len(some) / 2:
            looks = ", numbers perhaps, to be written as 1234.5"
        raise FreeText(f"{name!r} ({distinct:,} different texts in {rows:,} rows{looks})")


LOOKS_DATED = re.compile(r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}.*", re.DOTALL)
LOOKS_NUMERIC = re.compile(r"[^\w\s]?\s*[+-]?\d[\d., ]*\s*\S{0,3}")
