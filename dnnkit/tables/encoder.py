"""`dk.TabularEncoder`: encodes tables as matrices of numbers."""

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
"""Schema of an encoder in JSON."""


def missing_columns(absent: Collection[str], present: Collection[str]) -> str:
    """Return the error message for columns that a table lacks."""
    several = len(absent) > 1
    first = next(iter(absent))
    return (
        f"the table has no column{'s' if several else ''} {listed(absent)}, which training had: "
        f"{did_you_mean(first, present)}it has {listed(present)}"
    )


class TabularEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc] # scikit-learn comes without types
    """Encoder of tables with numbers, categories, booleans and dates as numeric matrices for a network.

    Accepts NumPy arrays, lists of rows, dictionaries of columns, and data frames of pandas, polars or pyarrow. The
    kind of a column follows from its type, alike for all of them. Columns with names are matched by name, in any
    order. The features:

    - A number x is scaled by median and quartiles, z = (x - median) / (q75 - q25), and smoothly clipped to (-3, 3),
      z / sqrt(1 + (z / 3)²). For a missing value the feature is 0, and a flag is 1 if training had missing values
      too.
    - A category has one 0/1 feature per value; a single feature, -1 or 1, if there are two values. All are 0 for a
      missing value. Rare values share a feature; values unseen in training use it, or are 0 in all if there is none.
    - A boolean is -1 or 1; 0 if it is missing.
    - A date becomes the days since 1970, and sine and cosine of its position in the year, the week and the day, as
    far
      as they vary. Times with a zone are converted to UTC. Durations and times of day are numbers of seconds.
    - Free text, whose values hardly ever repeat, raises an error that names the columns.

    The matrix has scaled numbers first, then flags (0, 1 and -1), then codes; `groups_` has their positions.

    Arguments:
        numbers: "robust" (default), as above; "standard", scaled by mean and standard deviation; "none", unscaled.
        categories: "auto" (default): text, and columns that a data frame declares as categories; or a list of names
            (indices for a table without names) of further columns that are categories, such as post codes.
        rare: minimum number of rows for a category to have its own feature. "auto" (default) is 2, and from 3,000
            rows on one per thousand rows, up to 10.
        missing: "indicator" (default), the flag above; "zero", no flag; "error", missing values raise an error.
        dates: "parts" (default), as above; "error", dates raise an error.
        embeddings: False (default); "auto": a column with more than 8 values becomes integer codes for
            `dk.Embedding`; or another threshold than 8.
        max_categories: maximum number of values of a column with their own feature, the most frequent ones. Default
            256.
        dtype: dtype of the matrix, "float32" (default) or "float64".

    Attributes:
        columns_: a `Column` per column of the table: its name, kind, number of missing values, ....
        groups_: "numbers", "one_hot", "embedded" -> positions of scaled numbers, flags and codes in the matrix.
        embedded_: position in the matrix and number of codes of each column of codes.
        n_features_in_: number of columns of the table.
        feature_names_in_: their names, if the table has any.

    Source:
        Holzmüller, Grinsztajn, Steinwart, "Better by Default: Strong Pre-Tuned MLPs and Boosted Trees on Tabular
        Data",
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
        """Determine the kinds of the columns, and what is needed to encode them.

        Arguments:
            X: the table, (N, columns).
            y: not used.

        Returns:
            The encoder.

        Raises:
            DataError: X is not a table, or has a column that cannot be used.
            ConfigurationError: an argument of the encoder is invalid.
        """
        table = table_of(X)
        options = options_of(self.get_params(deep=False), table.rows)
        found = find_columns(table, options, self._category_names(table))
        if found.refused:
            columns = "columns" if len(found.refused) > 1 else "column"
            raise DataError(
                f"{columns} {listed_words(found.refused.values())}: looks like free text; leave it out, or, if its "
                f"values repeat, use TabularEncoder(categories=[{listed(found.refused)}])"
            )
        self._check_allowed(found.columns)
        for name in found.numbered:
            warnings.warn(
                f"column {name!r} numbers the rows: leave it out, it has no information about other rows",
                TrainingWarning,
                stacklevel=2,
            )
        self._take(found.columns, table.has_names, table.rows)
        return self

    def _category_names(self, table: Table) -> set[str]:
        """Return the names of the columns that are declared as categories."""
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
                    f"categories has {shown(given)}, which is not a column: {did_you_mean(given, table.names)}expected "
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
        """Return the matrix of a table, (N, features).

        Arguments:
            X: a table with the columns of training, matched by name if it has names; other columns are ignored.

        Raises:
            DataError: a column is missing, or is of another kind than in training.
        """
        return self.transform_with_notes(X)[0]

    def transform_with_notes(self, X: Any) -> tuple[NDArray[Any], list[Note]]:
        """Return the matrix, and notes on values that training did not have: new categories, missing values."""
        check_is_fitted(self)
        table = self.arranged(table_of(X))
        if self.missing == "error":
            for series in table.series:
                if (missing := series.is_missing()).any():
                    place = series.place(int(missing.argmax()))
                    raise DataError(f"column {series.name!r} has no value in {place}, and missing='error'")
        return self._features.write(table, SCALINGS[self.numbers], self.dtype)

    def arranged(self, table: Table) -> Table:
        """Return the table with the columns of training, in their order."""
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

    # -- features ----------------------------------------------------------------------------------------------------

    @property
    def groups_(self) -> dict[str, tuple[int, ...]]:
        """Positions of scaled numbers, flags and codes in the matrix."""
        return self._features.groups

    @property
    def embedded_(self) -> tuple[tuple[int, int], ...]:
        """Position in the matrix and number of codes of each column of codes."""
        return tuple(zip(self.groups_["embedded"], self._features.sizes, strict=True))

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Return the names of the columns of the matrix.

        Arguments:
            input_features: None, or the names of the columns of the table, equal to those of training.

        Raises:
            DataError: the names are not those of training.
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
        """Describe the columns in lines of at most 80 characters."""
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
        """Return a fitted encoder as JSON values; `from_dict` restores it with bitwise identical encoding."""
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
        """Return the encoder that `to_dict` described.

        Raises:
            CheckpointError: the value is not an encoder, or is of a later version.
        """
        found = taken(value, ENCODER, "an encoder")
        if len({column["name"] for column in found["columns"]}) != len(found["columns"]):
            raise CheckpointError("an encoder has two columns with the same name")
        encoder = cls(**found["arguments"])
        encoder._take([Column.from_dict(each) for each in found["columns"]], found["has_names"], found["rows"])
        return encoder
