"""`dk.TabularEncoder`: a table as a matrix of numbers."""

import warnings
from collections.abc import Collection, Mapping
from dataclasses import replace
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from dnnkit._version import __version__
from dnnkit.errors import CheckpointError, ConfigurationError, DataError, TrainingWarning
from dnnkit.extras import require
from dnnkit.registry import did_you_mean
from dnnkit.saves.schema import COUNT, list_of, one_of, record, taken
from dnnkit.settings import FLAG, shown
from dnnkit.tables.arguments import EXPECTED, options_of
from dnnkit.tables.columns import COLUMN, MOST_COLUMNS, Column, Note
from dnnkit.tables.features import Features, names_of
from dnnkit.tables.finding import find_columns
from dnnkit.tables.frames import table_of
from dnnkit.tables.scaling import SCALINGS
from dnnkit.tables.summary import listed, listed_words, report
from dnnkit.tables.table import Table

require("sklearn", "TabularEncoder")

from sklearn.base import BaseEstimator, TransformerMixin  # noqa: E402
from sklearn.utils.validation import check_is_fitted  # noqa: E402

FORMAT = 1

ENCODER = record(
    {
        "format": one_of(FORMAT),
        "arguments": record(EXPECTED),
        "rows": COUNT,
        "has_names": FLAG,
        "columns": list_of(COLUMN, MOST_COLUMNS),
    }
)
"""What an encoder is in JSON."""


def missing_columns(absent: Collection[str], present: Collection[str]) -> str:
    """What to say of columns that a table has not."""
    several = len(absent) > 1
    first = next(iter(absent))
    return (
        f"the table has no column{'s' if several else ''} {listed(absent)}, which training had: "
        f"{did_you_mean(first, present)}it has {listed(present)}"
    )


class TabularEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc] # scikit-learn comes without types
    """A table of numbers, categories, booleans and dates as a matrix of numbers, for a network.

    Any table: a NumPy array, a list of rows, a dictionary of columns, a data frame of pandas, polars or pyarrow. What a
    column is follows from its type, the same for all of them; columns of a table with names are found by name, in
    whatever order they come. The features:

    - A number, x, is scaled by median and quartiles, (x - median) / (q75 - q25), and clipped smoothly to (-3, 3),
      z / sqrt(1 + (z / 3)²). Where it is missing, the feature is 0, and another one is 1 if training had that, too.
    - A category becomes a feature for each of its values, 1 where it is; one of -1 and 1 if there are two. Missing
      ones are 0 in all. Rare ones share a feature; values that training did not have are in it, or 0 in all.
    - A boolean is -1 or 1, 0 where it is missing.
    - A date becomes the days since 1970, and sine and cosine of where it is in its year, its week and its day, those
      of them that differ. A moment in a time zone is read in UTC. Durations and times of day are seconds.
    - Free text, of which hardly any value comes twice, is an error that names the columns.

    The matrix has scaled numbers first, then flags, 0, 1 and -1, then codes; `groups_` says which column is which.

    Arguments:
        numbers: "robust", as above; "standard", by mean and standard deviation; "none", as they are.
        categories: "auto": text, and what a data frame says is a category; or names (numbers, from 0 on, of a table
            without names) of columns that are categories beside these, such as post codes.
        rare: how many rows a category needs for a feature of its own; "auto" is 2, and more from 3,000 rows on, up to
            10: one in a thousand.
        missing: "indicator", the flag above; "zero", none; "error", a missing value is an error.
        dates: "parts", as above; "error", dates are an error.
        embeddings: False; or "auto", a column with more than 8 values becomes integer codes, for `dk.Embedding`; or
            another number than 8.
        max_categories: how many values of a column have a feature of their own at most, the most frequent ones.
        dtype: of the matrix, "float32" or "float64".

    Attributes:
        columns_: what was found, one `Column` for each column of the table: its name, kind, missing values, ....
        groups_: "numbers", "one_hot", "embedded" -> the positions of scaled numbers, flags and codes in the matrix.
        embedded_: position in the matrix and number of codes of each column of codes.
        n_features_in_: columns of the table.
        feature_names_in_: their names, if it had any.

    Source:
        Holzmüller, Grinsztajn, Steinwart, "Better by Default: Strong Pre-Tuned MLPs and Boosted Trees on Tabular Data",
        NeurIPS 2024, for scaling, clipping and categories.
    """

    columns_: tuple[Column, ...]
    n_features_in_: int
    rows_: int

    def __init__(
        self,
        *,
        numbers: str = "robust",
        categories: Any = "auto",
        rare: Any = "auto",
        missing: str = "indicator",
        dates: str = "parts",
        embeddings: Any = False,
        max_categories: int = 256,
        dtype: str = "float32",
    ) -> None:
        self.numbers = numbers
        self.categories = categories
        self.rare = rare
        self.missing = missing
        self.dates = dates
        self.embeddings = embeddings
        self.max_categories = max_categories
        self.dtype = dtype

    # -- fitting -----------------------------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find what the columns of a table are, and what is needed to encode them.

        Arguments:
            X: the table, (N, columns).
            y: not used.

        Raises:
            DataError: X is no table, or has a column that cannot be used.
            ConfigurationError: an argument of the encoder cannot work.
        """
        table = table_of(X)
        options = options_of(self.get_params(deep=False), table.rows)
        found = find_columns(table, options, self._category_names(table))
        if found.refused:
            columns = "columns" if len(found.refused) > 1 else "column"
            raise DataError(
                f"{columns} {listed_words(found.refused.values())}: free text, it seems; leave it out, or, if the same "
                f"values come again, say so by TabularEncoder(categories=[{listed(found.refused)}])"
            )
        self._check_allowed(found.columns)
        for name in found.numbered:
            warnings.warn(
                f"column {name!r} numbers the rows: leave it out, for it tells nothing of other rows",
                TrainingWarning,
                stacklevel=2,
            )
        self._take(found.columns, table.has_names, table.rows)
        return self

    def _category_names(self, table: Table) -> set[str]:
        """The names of the columns that are said to be categories."""
        if isinstance(self.categories, str):
            return set()
        names = set()
        for given in self.categories:
            if isinstance(given, Integral) and not table.has_names and 0 <= int(given) < len(table.names):
                names.add(table.names[int(given)])
            elif given in table.names:
                names.add(given)
            else:
                raise ConfigurationError(
                    f"categories has {shown(given)}, which is no column: {did_you_mean(given, table.names)}expected "
                    f"{'names' if table.has_names else 'numbers from 0 on'} of columns of the table"
                )
        return names

    def _check_allowed(self, columns: Collection[Column]) -> None:
        for column in columns:
            if self.missing == "error" and column.missing:
                raise DataError(f"column {column.name!r} has {column.missing:,} missing values, and missing='error'")
            if self.dates == "error" and column.kind == "date":
                raise DataError(f"column {column.name!r} has dates, and dates='error': leave it out")

    def _take(self, columns: Collection[Column], has_names: bool, rows: int) -> None:
        self.columns_, self.rows_, self.n_features_in_ = tuple(columns), rows, len(columns)
        self._features = Features.of(self.columns_)
        if has_names:
            self.feature_names_in_ = np.array([column.name for column in columns], object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    # -- encoding ----------------------------------------------------------------------------------------------------

    def transform(self, X: Any) -> NDArray[Any]:
        """The matrix of a table, (N, features).

        Arguments:
            X: a table with the columns of the training, by name if it has names; others are ignored.

        Raises:
            DataError: a column is missing, or is of another kind than in training.
        """
        return self.transform_and_tell(X)[0]

    def transform_and_tell(self, X: Any) -> tuple[NDArray[Any], list[Note]]:
        """The matrix, and what the table has that training had not: categories, missing values."""
        check_is_fitted(self)
        table = self.arranged(table_of(X))
        if self.missing == "error":
            for series in table.series:
                if (missing := series.is_missing()).any():
                    place = series.place(int(missing.argmax()))
                    raise DataError(f"column {series.name!r} has no value in {place}, and missing='error'")
        return self._features.write(table, SCALINGS[self.numbers], self.dtype)

    def arranged(self, table: Table) -> Table:
        """The table with the columns of the training, in their order."""
        names = [column.name for column in self.columns_]
        if hasattr(self, "feature_names_in_") and table.has_names:
            absent = [name for name in names if name not in set(table.names)]
            if absent:
                raise DataError(missing_columns(absent, table.names))
            return table if table.names == tuple(names) else table.select(names)
        if len(table.names) != len(names):
            raise DataError(
                f"X has {len(table.names)} features, but {type(self).__name__} is expecting {len(names)} features as "
                "input"
            )
        return table

    # -- what comes out ----------------------------------------------------------------------------------------------

    @property
    def groups_(self) -> dict[str, tuple[int, ...]]:
        """Positions in the matrix of scaled numbers, of flags and of codes."""
        return self._features.groups

    @property
    def embedded_(self) -> tuple[tuple[int, int], ...]:
        """Position in the matrix and number of codes of each column of codes."""
        return tuple(zip(self.groups_["embedded"], self._features.sizes, strict=True))

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """The names of the columns of the matrix.

        Arguments:
            input_features: None, or the names of the columns of the table, which must be those of the training.
        """
        check_is_fitted(self)
        columns = self.columns_
        if input_features is not None:
            given, own = list(input_features), hasattr(self, "feature_names_in_")
            if len(given) != len(columns) or (own and given != [column.name for column in columns]):
                raise DataError(
                    f"input_features is {shown(given)}: expected the names of the {len(columns)} columns, or None"
                )
            columns = tuple(replace(column, name=str(name)) for column, name in zip(columns, given, strict=True))
        return np.array(names_of(columns), object)

    def report(self) -> list[str]:
        """What was found, in lines of 80 letters at most."""
        check_is_fitted(self)
        return list(report(self.columns_, self.rows_))

    def __sklearn_is_fitted__(self) -> bool:
        return "columns_" in vars(self)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.string = tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    # -- saves -------------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """All of a fitted encoder as JSON values; `from_dict` makes one that encodes with equal bits."""
        check_is_fitted(self)
        arguments = {name: EXPECTED[name].of(name, given) for name, given in self.get_params(deep=False).items()}
        return {
            "format": FORMAT,
            "dnnkit": __version__,
            "arguments": arguments,
            "rows": self.rows_,
            "has_names": hasattr(self, "feature_names_in_"),
            "columns": [column.to_dict() for column in self.columns_],
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "TabularEncoder":
        """The encoder of `to_dict`.

        Raises:
            CheckpointError: it is none, or of a later version.
        """
        found = taken(value, ENCODER, "an encoder")
        if len({column["name"] for column in found["columns"]}) != len(found["columns"]):
            raise CheckpointError("an encoder has two columns of one name")
        encoder = cls(**found["arguments"])
        encoder._take([Column.from_dict(each) for each in found["columns"]], found["has_names"], found["rows"])
        return encoder
