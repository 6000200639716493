"""Data frames of pandas, polars and pyarrow: the same columns, the same bits, as a dictionary of lists."""

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import dnnkit as dk
from dnnkit.errors import DataError
from dnnkit.tables.frames import table_of
from tests import processes
from tests.dnnkit.tables.columns_of_values import TABLES


def of_pandas(pandas: ModuleType, table: dict[str, list[Any]]) -> list[Any]:
    """As pandas reads them, as objects, and in the types with their own missing values."""
    frame = pandas.DataFrame(table)
    return [frame, pandas.DataFrame(table, dtype=object), frame.convert_dtypes()]


def of_polars(polars: ModuleType, table: dict[str, list[Any]]) -> list[Any]:
    return [polars.DataFrame(table, strict=True)]


def of_pyarrow(pyarrow: ModuleType, table: dict[str, list[Any]]) -> list[Any]:
    found = pyarrow.table(table)
    if "pandas" not in sys.modules:
        return [found]
    return [found, found.to_pandas(types_mapper=sys.modules["pandas"].ArrowDtype)]


LIBRARIES = {"pandas": of_pandas, "polars": of_polars, "pyarrow": of_pyarrow}


@pytest.mark.extras
@pytest.mark.parametrize("library", LIBRARIES)
def test_the_matrix_is_the_same_from_any_library(library: str) -> None:
    module = pytest.importorskip(library)

    @given(TABLES)
    @settings(max_examples=40, deadline=None)
    def check(table: dict[str, list[Any]]) -> None:
        expected = dk.TabularEncoder().fit(table)
        matrix = expected.transform(table)
        for frame in LIBRARIES[library](module, table):
            encoder = dk.TabularEncoder().fit(frame)
            assert encoder.columns_ == expected.columns_
            assert encoder.transform(frame).tobytes() == matrix.tobytes()
            assert expected.transform(frame).tobytes() == matrix.tobytes()

    check()


@pytest.mark.extras
def test_a_categorical_dtype_is_a_category() -> None:
    pandas = pytest.importorskip("pandas")
    names = [f"name {n}" for n in range(30)]
    codes = [10, 9, 10] * 10
    frames = [pandas.DataFrame({"a": names, "b": codes}).astype("category")]
    if polars := sys.modules.get("polars"):
        frames.append(polars.DataFrame({"a": names, "b": list(map(str, codes))}).cast(polars.Categorical))
    for frame in frames:
        encoder = dk.TabularEncoder(rare=1).fit(frame)
        assert [column.kind for column in encoder.columns_] == ["category", "category"]
        assert encoder.transform({"a": names[:1], "b": [10]}).sum() in (0, 2)


@pytest.mark.extras
def test_frames_that_cannot_be_used() -> None:
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    without_names = table_of(pandas.DataFrame(np.ones((3, 2))))
    assert (without_names.names, without_names.has_names) == (("x0", "x1"), False)
    for frame, words in [
        (pandas.DataFrame(np.ones((3, 2)), columns=["a", "a"]), "two columns are named 'a'"),
        (pandas.DataFrame(np.ones((3, 2)), columns=["a", 1]), "a column is called 1"),
        (pandas.DataFrame({"a": []}), "has no rows"),
        (pandas.Series([1, 2], name="a"), "Reshape your data"),
        (polars.Series([1, 2]), "Reshape your data"),
        (polars.LazyFrame({"a": [1]}), "collect it first"),
        (polars.DataFrame({"a": [[1], [2]]}), "column 'a' is of type List"),
        (pandas.DataFrame({"a": [[1], [2]]}), "column 'a' has [1] (list) in row 0"),
        (pandas.DataFrame({"a": np.ones(2, complex)}), "column 'a'"),
    ]:
        with pytest.raises(DataError) as error:
            dk.TabularEncoder().fit(frame)
        assert words in str(error.value)


class Stream:
    """A table of an unknown library."""

    def __init__(self, frame: Any) -> None:
        self._frame = frame

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._frame.__arrow_c_stream__(requested_schema)


@pytest.mark.extras
def test_any_arrow_stream_is_a_table() -> None:
    polars = pytest.importorskip("polars")
    table = {"a": [1.5, None, 3], "b": ["x", "y", None]}
    expected = dk.TabularEncoder().fit_transform(table)
    assert dk.TabularEncoder().fit_transform(Stream(polars.DataFrame(table))).tobytes() == expected.tobytes()


@pytest.mark.extras
def test_pandas_output_is_given_on_request() -> None:
    pandas = pytest.importorskip("pandas")
    encoder = dk.TabularEncoder().set_output(transform="pandas")
    frame = encoder.fit_transform(pandas.DataFrame({"a": [1.0, 2, 4], "b": ["x", "y", "x"]}, index=[7, 8, 9]))
    assert (list(frame.columns), list(frame.index)) == (["a", "b=y"], [7, 8, 9])


def test_none_of_the_libraries_is_imported() -> None:
    code = """
import sys, numpy, dnnkit as dk
assert not {"sklearn", "narwhals"} & sys.modules.keys()
import sklearn.base  # which imports pandas where that is
before = set(sys.modules)
dk.TabularEncoder().fit_transform({"a": [1, 2, 3], "b": ["x", "y", "x"]})
print([name for name in ("pandas", "polars", "pyarrow") if name in set(sys.modules) - before])
"""
    assert processes.run([sys.executable, "-c", code], check=True).stdout.strip() == "[]"


def test_numpys_own_tables() -> None:
    records = np.array([(1, "x", True), (2, "y", False)], [("a", "i4"), ("b", "U1"), ("c", "?")])
    expected = dk.TabularEncoder().fit_transform({"a": [1, 2], "b": ["x", "y"], "c": [True, False]})
    objects = np.array([[1, "x", True], [2, "y", False]], object)
    masked = np.ma.masked_array([[1.0, 5], [2, 6]], [[False, True], [False, False]])
    for table in (records, objects, records.tolist()):
        assert np.array_equal(dk.TabularEncoder().fit_transform(table), expected)
    assert dk.TabularEncoder().fit(masked).columns_[1].missing == 1
    durations = np.array([[1], [3]], "m8[h]")
    assert dk.TabularEncoder(numbers="none").fit_transform(durations).tolist() == [[3600], [10800]]
    with pytest.raises(DataError, match="too far away"):
        dk.TabularEncoder().fit(np.array([["900000-01-01"]], "datetime64[D]"))
    with pytest.raises(DataError, match="sparse"):
        dk.TabularEncoder().fit(__import__("scipy.sparse").sparse.eye_array(3))
