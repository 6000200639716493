"""`dk.TabularEncoder`: known values, any drawn columns, and the errors for what cannot be encoded."""

import json
from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

import dnnkit as dk
from dnnkit.errors import CheckpointError, ConfigurationError, DataError, TrainingWarning
from tests.dnnkit.tables.columns_of_values import TABLES


def encoded(table: object, **arguments: object) -> dict[str, list[float]]:
    """Return the features of a table by name, which the encoder does not know."""
    encoder = dk.TabularEncoder(**arguments)
    matrix = encoder.fit_transform(table)
    return {name: matrix[:, n].tolist() for n, name in enumerate(encoder.get_feature_names_out())}


def test_scikit_learns_checks() -> None:
    results = check_estimator(dk.TabularEncoder(), on_skip=None)
    assert {result["check_name"] for result in results if result["status"] != "passed"} <= {"check_array_api_input"}


def test_numbers_are_scaled_by_median_and_quartiles_and_clipped() -> None:
    values = np.array([1.0, 2, 3, 4, 100])
    z = (values - 3) / 2
    expected = (z / np.sqrt(1 + (z / 3) ** 2)).astype(np.float32)
    assert np.array_equal(dk.TabularEncoder().fit_transform(values[:, None])[:, 0], expected)
    equal_quartiles = np.array([0.0, 0, 0, 0, 0, 0, 0, 4])
    assert encoded({"a": equal_quartiles})["a"][-1] == pytest.approx(2 / np.sqrt(1 + 4 / 9))
    assert encoded({"a": [7, 7, 7]})["a"] == [0, 0, 0]
    standard = encoded({"a": values}, numbers="standard", dtype="float64")["a"]
    assert standard == pytest.approx((values - 22) / values.std(), rel=1e-12)
    assert encoded({"a": values}, numbers="none")["a"] == values.tolist()


@pytest.mark.parametrize("numbers", ["robust", "standard"])
@pytest.mark.parametrize("scale", [5e-324, 1e-300, 1, 1e300])
def test_numbers_of_any_size_stay_finite_and_in_order(numbers: str, scale: float) -> None:
    values = np.array([-1.7, -1, 0, 0.5, 1.2, 1.7]) * scale
    found = dk.TabularEncoder(numbers=numbers, dtype="float64").fit_transform(values[:, None])[:, 0]
    assert np.isfinite(found).all()
    assert (np.diff(found) >= 0).all()
    assert scale == 5e-324 or found[-1] > found[0] + 0.5
    far = dk.TabularEncoder().fit(np.arange(5.0)[:, None]).transform(values[:, None])
    assert np.abs(far).max() <= 3


def test_missing_numbers_are_the_median_with_a_flag_if_training_had_some() -> None:
    found = encoded({"a": [1, 2, None, 3]})
    assert found["a"][2] == 0
    assert found["a=(missing)"] == [0, 0, 1, 0]
    assert list(encoded({"a": [1, 2, None, 3]}, missing="zero")) == ["a"]
    encoder = dk.TabularEncoder().fit({"a": [1, 2, 3]})
    matrix, notes = encoder.transform_with_notes({"a": [np.nan, 2, None]})
    assert matrix.tolist() == [[0], [0], [0]]
    assert [(note.column, note.count) for note in notes] == [("a", 2)]
    with pytest.raises(DataError, match="'a' has no value in row 1"):
        dk.TabularEncoder(missing="error").fit({"a": [1, 2]}).transform({"a": [1, None]})


def test_categories() -> None:
    three = encoded({"a": ["x", "y", "z", "y", "x", None, "z"]})
    assert three == {
        "a=x": [1, 0, 0, 0, 1, 0, 0], "a=y": [0, 1, 0, 1, 0, 0, 0], "a=z": [0, 0, 1, 0, 0, 0, 1]
    }  # fmt: skip
    assert encoded({"a": ["x", "y", None, "y", "x"]}) == {"a=y": [-1, 1, 0, 1, -1]}
    assert encoded({"a": [True, None, False]}) == {"a=True": [1, 0, -1]}
    assert encoded({"a": ["x", "x"]}) == {"a=x": [0, 0]}
    assert encoded({"a": ["x", None, "x"]}) == {"a=x": [1, 0, 1]}
    assert encoded({"a": [10, 9, 10, 9, 9.5, 9.5]}, categories=["a"]).keys() == {"a=9", "a=9.5", "a=10"}
    assert encoded([[10], [9], [10], [9]], categories=[0]) == {"x0=10": [1, -1, 1, -1]}


def test_rare_and_unseen_categories_share_a_feature_if_there_is_one() -> None:
    encoder = dk.TabularEncoder().fit({"a": ["x", "x", "y", "y", "z", "w"]})
    assert encoder.get_feature_names_out().tolist() == ["a=x", "a=y", "a=(rare)"]
    matrix, notes = encoder.transform_with_notes({"a": ["z", "new", "new", None, "x"]})
    assert matrix.tolist() == [[0, 0, 1], [0, 0, 1], [0, 0, 1], [0, 0, 0], [1, 0, 0]]
    assert [str(note) for note in notes] == ["column 'a': 2 unseen values, such as 'new'"]
    without = dk.TabularEncoder(rare=1).fit({"a": ["x", "y", "z", "w"]})
    assert without.transform({"a": ["new", "w"]}).tolist() == [[0, 0, 0, 0], [1, 0, 0, 0]]
    most = dk.TabularEncoder(max_categories=2).fit({"a": ["x"] * 3 + ["y"] * 2 + ["z"] * 4})
    assert most.get_feature_names_out().tolist() == ["a=x", "a=z", "a=(rare)"]


def test_codes_for_embeddings_come_last() -> None:
    many = [f"v{n % 10}" for n in range(30)]
    encoder = dk.TabularEncoder(embeddings="auto").fit({"a": many, "b": range(30), "c": many})
    assert encoder.groups_ == {"numbers": (0,), "one_hot": (), "embedded": (1, 2)}
    assert encoder.embedded_ == ((1, 11), (2, 11))
    matrix = encoder.transform({"c": [None, "v9"], "b": [0, 1], "a": ["v0", "new"]})
    assert matrix[:, 1:].tolist() == [[1, 0], [0, 10]]
    assert dk.TabularEncoder(embeddings=2).fit({"a": ["x", "y"] * 5 + ["z"] * 3 + ["w"]}).embedded_ == ((0, 5),)


def test_dates_are_days_and_places_in_year_week_and_day() -> None:
    days = [date(2026, 1, 5), date(2026, 1, 12), date(2026, 7, 6)]
    found = encoded({"a": days}, numbers="none", dtype="float64")
    assert list(found) == ["a", "a_year_sin", "a_year_cos"]  # all Mondays, at midnight
    assert found["a"] == [20458, 20465, 20640]
    assert found["a_year_sin"][0] == pytest.approx(np.sin(2 * np.pi * 4 / 366))
    moments = [datetime(2026, 1, 5, 18), datetime(2026, 1, 6, 12, tzinfo=timezone(timedelta(hours=6)))]
    moments[0] = moments[0].replace(tzinfo=UTC)
    found = encoded({"a": moments}, numbers="none", dtype="float64")
    assert found["a"] == [20458.75, 20459.25]
    assert found["a_day_sin"] == pytest.approx([-1, 1])
    assert encoded({"a": [str(day) for day in days]}, numbers="none") == encoded({"a": days}, numbers="none")
    assert encoded({"a": [timedelta(hours=1), None]}, numbers="none")["a"] == [3600, 0]


def test_columns_are_found_by_name() -> None:
    encoder = dk.TabularEncoder().fit({"a": [1, 2, 3], "b": ["x", "y", "x"]})
    expected = encoder.transform({"a": [2, 3], "b": ["y", "x"]})
    assert np.array_equal(encoder.transform({"c": [0, 0], "b": ["y", "x"], "a": [2, 3]}), expected)
    assert np.array_equal(encoder.transform([[2, "y"], [3, "x"]]), expected)
    assert encoder.feature_names_in_.tolist() == ["a", "b"]


@given(TABLES)
@settings(max_examples=40, deadline=None)
def test_a_saved_encoder_has_equal_bits_and_encodes_rows_separately(table: dict[str, list[object]]) -> None:
    encoder = dk.TabularEncoder(rare=1, embeddings=3).fit(table)
    matrix = encoder.transform(table)
    assert np.isfinite(matrix).all()
    again = dk.TabularEncoder.from_dict(json.loads(json.dumps(encoder.to_dict())))
    assert again.transform(table).tobytes() == matrix.tobytes()
    assert again.get_feature_names_out().tolist() == encoder.get_feature_names_out().tolist()
    assert again.report() == encoder.report()
    assert all(len(line) <= 80 for line in again.report())
    last = {name: column[-1:] for name, column in table.items()}
    assert encoder.transform(last).tobytes() == matrix[-1:].tobytes()
    groups = encoder.groups_
    assert sorted(sum(groups.values(), ())) == list(range(matrix.shape[1]))
    assert np.isin(matrix[:, list(groups["one_hot"])], (-1, 0, 1)).all()
    for position, codes in encoder.embedded_:
        assert matrix[:, position].max() < codes


def test_in_a_pipeline() -> None:
    table = {"a": [1.0, 2, 3, 4], "b": ["x", "y", "x", "y"]}
    made = make_pipeline(dk.TabularEncoder(), LinearRegression()).fit(table, [0, 1, 0, 1])
    assert clone(made).fit(table, [0, 1, 0, 1]).predict(table) == pytest.approx([0, 1, 0, 1], abs=1e-5)


WORDS = [f"a sentence of some words, number {n}" for n in range(30)]
TRAINED = {"age": [1, 2, 3], "sex": ["m", "f", "m"], "ok": [True, False, True], "when": [date(2026, 1, 1)] * 3}
FITS = [
    ({"name": WORDS, "note": WORDS, "n": range(30)}, "columns 'name' (30 different texts in 30 rows), 'note'"),
    ({"day": [f"{n}.1.2026" for n in range(30)]}, "dates perhaps, to be written as 2026-01-31"),
    ({"cost": [f"${n}.50" for n in range(30)]}, "numbers perhaps"),
    ({"a": [1, "x"]}, "column 'a' has both numbers (1 in row 0) and text ('x' in row 1)"),
    ({"a": [1, float("inf")]}, "column 'a' has an infinite value in row 1"),
    ({"a": [10**400, 1]}, "number too large for float64 in row 0"),
    ({"a": [1, {}]}, "column 'a' has {} (dict) in row 1"),
    ({"a": [1, 2], "b": [1]}, "'b' has 1 rows, 'a' has 2"),
    ({"a": [[1, 2], [3, 4]]}, "column 'a' has [1, 2] (list) in row 0"),
    ({"a": "text"}, "expected a list or an array"),
    ({1: [1], "a": [2]}, "a column is called 1 (int)"),
    ({"a": np.ones(2, complex)}, "Complex data not supported"),
    ({"a": np.array([b"x", b"y"])}, "decode it"),
    ({}, "has no rows"),
    ([], "has no rows"),
    ([[1, 2], [3]], "row 1 of the table is 1 values, row 0 has 2"),
    ([1, 2, 3], "Reshape your data"),
    (np.ones((2, 2, 2)), "expected 2 dimensions"),
    (3, "the table is 3 (int)"),
    ("table.csv", "the table is 'table.csv' (str)"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "words"), FITS, ids=[words[:30] for _, words in FITS])
def test_invalid_tables_are_one_clear_error(table: object, words: str) -> None:
    with pytest.raises(DataError) as error:
        dk.TabularEncoder().fit(table)
    assert words in str(error.value)


TRANSFORMS = [
    ({"age": ["old", 1, 2][:1]}, "column 'age' had numbers in training and has text now: 'old' in row 0"),
    ({"ok": ["yes"]}, "column 'ok' had booleans in training and has text now"),
    ({"ok": [2]}, "column 'ok' had booleans in training and has numbers now: 2.0 in row 0"),
    ({"when": [3.5]}, "column 'when' had dates in training and has numbers now"),
    ({"when": ["31.1.2026"]}, "column 'when' had dates in training and has text now"),
    ({"age": [date(2026, 1, 1)]}, "column 'age' had numbers in training and has dates now"),
    ({"sex": None}, "the table has no column 'sex', which training had: did you mean 'Sex'?"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "words"), TRANSFORMS, ids=[words[:40] for _, words in TRANSFORMS])
def test_a_column_that_has_become_another_is_one_clear_error(change: dict[str, list[object]], words: str) -> None:
    encoder = dk.TabularEncoder().fit(TRAINED)
    table = {name: column[:1] for name, column in TRAINED.items()}
    table |= {name: column for name, column in change.items() if column is not None}
    if None in change.values():
        table["Sex"] = table.pop("sex")
    with pytest.raises(DataError) as error:
        encoder.transform(table)
    assert words in str(error.value)
    assert encoder.transform({**table, "sex": ["f"], **{n: [None] for n in ("age", "ok", "when")}})[0, 0] == 0


def test_columns_without_information_are_reported() -> None:
    numbered = {"id": range(100), "a": [1, 2] * 50}
    with pytest.warns(TrainingWarning, match="column 'id' numbers the rows"):
        dk.TabularEncoder().fit(numbered)
    encoder = dk.TabularEncoder().fit({"a": [None, None], "b": [1, 1]})
    assert encoder.transform({"a": [1, 2], "b": [1, 5]}).tolist() == [[0, 0], [0, 0]]
    assert [column.kind for column in encoder.columns_] == ["empty", "number"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"numbers": "quantile"}, {"categories": 3}, {"categories": ["b"]}, {"rare": 0}, {"missing": "drop"},
        {"dates": "no"}, {"embeddings": True}, {"max_categories": 1}, {"dtype": "float16"},
    ],
    ids=str,
)  # fmt: skip
def test_invalid_arguments_are_rejected_by_fit(arguments: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(arguments))):
        dk.TabularEncoder(**arguments).fit({"a": [1, 2]})


def test_untrusted_json_is_validated() -> None:
    good = dk.TabularEncoder().fit(TRAINED).to_dict()
    for change in (
        {"columns": [{"kind": "nobody"}]},
        {"format": 2},
        {"columns": good["columns"][:1] * 2},
        {"rows": -1},
    ):
        with pytest.raises(CheckpointError):
            dk.TabularEncoder.from_dict({**good, **change})
    category = {**good["columns"][1], "values": ["m", "m"]}
    with pytest.raises(CheckpointError, match="values"):
        dk.TabularEncoder.from_dict({**good, "columns": [category]})
