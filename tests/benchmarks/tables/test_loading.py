"""The data sets: read unchanged, split the same way for all methods, tuning sets chosen by their rule."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.tables import sources, tuning
from benchmarks.tables.catalogue import CATALOGUE
from benchmarks.tables.loading import Table, folds, load
from dnnkit.errors import DataError

HERE = [name for name, entry in CATALOGUE.items() if entry.source == "scikit-learn"]
"""Data sets that every machine with the tests has."""


@pytest.mark.extras
@pytest.mark.parametrize("name", HERE)
def test_a_table_has_rows_a_target_and_no_column_derived_from_it(name: str) -> None:
    table = load(name)
    facts = table.facts()
    assert len(table.x) == len(table.y) == facts["rows"] >= 150
    assert table.entry.target not in table.x
    assert facts["licence"]
    assert (facts["classes"] is None) == (table.y.dtype == np.float64)


@pytest.mark.extras
@pytest.mark.parametrize("name", ["iris", "diabetes"])
def test_each_repeat_tests_every_row_once_and_both_halves_are_alike(name: str) -> None:
    table = load(name)
    found = list(folds(table))
    assert [(repeat, fold) for repeat, fold, *_ in found] == [(r, f) for r in range(5) for f in range(2)]
    for (*_, fit, test), (*_, fit_2, test_2) in zip(found[::2], found[1::2], strict=True):
        assert sorted([*test, *test_2]) == list(range(len(table.y)))
        assert sorted([*fit, *test]) == sorted([*fit_2, *test_2]) == list(range(len(table.y)))
        if table.entry.task == "regression":
            assert abs(np.median(table.y[fit]) - np.median(table.y[test])) < 0.2 * table.y.std()
        else:
            assert np.unique(table.y[fit], return_counts=True)[1].tolist() == [25, 25, 25]
    again = list(folds(table))
    assert all(np.array_equal(one[2], two[2]) for one, two in zip(found, again, strict=True))
    assert not np.array_equal(found[0][2], found[2][2])


@pytest.mark.extras
def test_numbers_stay_numbers_and_all_else_becomes_strings(monkeypatch: pytest.MonkeyPatch) -> None:
    import pandas

    frame = pandas.DataFrame(
        {"a": [1, 2, 3], "b": [True, False, True], "c": pandas.Categorical(["u", None, "v"]), "d": [0.5, None, 2.0]}
        | {"name": ["x", "y", "z"], "y": ["no", None, "yes"]}
    )
    source = replace(sources.SOURCES["scikit-learn"], read=lambda item: frame)
    monkeypatch.setitem(sources.SOURCES, "scikit-learn", source)
    entry = replace(CATALOGUE["iris"], name="own", target="y", drop=("name",))
    monkeypatch.setitem(CATALOGUE, "own", entry)
    table: Table = load("own")
    assert [str(kind) for kind in table.x.dtypes] == ["int64", "int64", "object", "float64"]
    assert table.categories == ["c"]
    assert table.x["c"].tolist() == ["u", "v"]  # the row without a target is left out
    assert table.y.tolist() == ["no", "yes"]


def test_an_unknown_name_and_a_missing_package_are_clear_errors() -> None:
    with pytest.raises(DataError, match=r"no data set is called 'irsi'.*list shows all"):
        load("irsi")
    with pytest.raises(DataError, match="pip install --no-deps something-else"):
        sources.folder("a_package_that_is_not_there", "something-else")


def test_the_catalogue_is_large_and_varied_with_a_licence_for_each() -> None:
    tasks = [entry.task for entry in CATALOGUE.values()]
    assert tasks.count("classification") >= 25
    assert tasks.count("regression") >= 12
    assert len({(entry.source, entry.item) for entry in CATALOGUE.values()}) == len(CATALOGUE)
    assert all(sources.licence(entry.source, entry.item) for entry in CATALOGUE.values())


def test_the_tuning_sets_are_few_and_no_other_is_tuned_on() -> None:
    assert 10 <= len(set(tuning.TUNING)) == len(tuning.TUNING) <= 15
    assert {*tuning.TUNING, *tuning.REPORTED} == set(CATALOGUE)
    assert not set(tuning.TUNING) & set(tuning.REPORTED)
    with pytest.raises(DataError, match="'keel: irsi', which is not in the catalogue"):
        tuning.read("# a comment\nkeel: sonar\nkeel: irsi\n")
