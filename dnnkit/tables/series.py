"""Columns of tables in one of a few forms.

Columns of all libraries are converted to the same series, so that the rest of the code does not depend on the
library: `python_objects` converts Python objects; `conversions` converts the cells of text files, and columns that had
another form in training.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dnnkit.deferred import dataclass

Form: TypeAlias = Literal["number", "boolean", "date", "text", "cells"]

WORDS = {"number": "numbers", "boolean": "booleans", "date": "dates", "text": "text", "cells": "text"}
"""Words for the values of each form."""


class Taken(Sequence[int]):
    """Selected elements of a sequence of line numbers, looked up on demand."""

    def __init__(self, places: Sequence[int], rows: Any) -> None:
        self._places, self._rows = places, rows

    def __getitem__(self, row: int) -> int:  # type: ignore[override]
        return self._places[int(self._rows[row])]

    def __len__(self) -> int:
        return len(self._rows)


@dataclass(frozen=True)
class Series:
    """A column of a table.

    Attributes:
        name: its name in errors.
        form: "number", "boolean": float64 with NaN for missing values; "date": datetime64 in microseconds; "text": a
            list of strings and None; "cells": the same, from a text file, whose types are not known.
        values: the values, as the form says.
        is_category: whether the table declares the values to be categories.
        decimal: decimal mark of numbers in cells.
        places: the line of each row in its file, for errors.
    """

    name: str
    form: Form
    values: Any
    is_category: bool = False
    decimal: str = "."
    places: Sequence[int] | None = None

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Any) -> "Series":
        """Return the rows with the given indices."""
        places = None if self.places is None else Taken(self.places, rows)
        if isinstance(self.values, np.ndarray):
            return replace(self, values=self.values[rows], places=places)
        return replace(self, values=[self.values[row] for row in rows], places=places)

    def place(self, row: int) -> str:
        """Describe the position of a row: its index from 0, or the line of its file."""
        return f"row {row}" if self.places is None else f"line {self.places[row]}"

    def is_missing(self) -> NDArray[np.bool_]:
        """Return a mask of the missing values."""
        if isinstance(self.values, np.ndarray):
            return np.isnat(self.values) if self.form == "date" else np.isnan(self.values)
        return np.fromiter((value is None for value in self.values), bool, len(self.values))
