"""Parquet and Arrow files: the same rows as in memory, and errors that name file, column and row."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.errors import ConfigurationError, DataError, DnnkitError
from tests.dnnkit.streams.files import BATCH, BUFFER, FEATURES, ROWS, bits, data, network

NAMES = [f"x{number}" for number in range(FEATURES)]


def table(**changes: Any) -> Any:
    import pyarrow as pa

    x, y = data()
    columns = dict(zip(NAMES, x.T, strict=True)) | {"label": y, "weight": np.linspace(0.5, 2, ROWS)}
    return pa.table({name: value for name, value in {**columns, **changes}.items() if value is not None})


def write(path: Path, found: Any, rows: int = 90) -> Path:
    from pyarrow import feather, parquet

    if path.suffix == ".parquet":
        parquet.write_table(found, path, row_group_size=rows)
    else:
        feather.write_feather(found, path, chunksize=rows)
    return path


@pytest.mark.extras
@pytest.mark.parametrize("name", ["t.parquet", "t.feather", "vectors.parquet"])
def test_a_file_trains_as_its_rows_do(tmp_path: Path, name: str) -> None:
    import pyarrow as pa

    found = table()
    if name == "vectors.parquet":
        x, y = data()
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(x.ravel()), FEATURES)
        found = pa.table({"x": vectors, "label": y, "weight": found["weight"]})
    stream = dk.streams.open(write(tmp_path / name, found), "label", "weight", buffer=BUFFER, block_rows=7)
    expected, net = network(), network()
    options: dict[str, Any] = {"batch_size": BATCH, "epochs": 2, "shuffle": False, "verbose": 0}
    expected.fit(*data(), sample_weight=np.linspace(0.5, 2, ROWS), **options)
    net.fit(stream, **options)
    assert bits(net) == bits(expected)
    net.fit(stream, batch_size=BATCH, verbose=0)
    np.testing.assert_array_equal(net.predict(stream), net.predict(data()[0]))


@pytest.mark.extras
def test_the_held_out_share_may_begin_within_a_row_group(tmp_path: Path) -> None:
    stream = dk.streams.open(write(tmp_path / "t.parquet", table(weight=None)), "label", buffer=BUFFER, block_rows=7)
    expected, net = network(), network()
    options: dict[str, Any] = {"batch_size": BATCH, "validation_split": 0.3, "shuffle": False, "verbose": 0}
    in_memory = expected.fit(*data(), epochs=2, **options)
    streamed = net.fit(stream, epochs=2, **options)
    assert bits(net) == bits(expected)
    for name, values in in_memory.history.items():  # held-out rows are measured in parts
        np.testing.assert_allclose(streamed[name], values, rtol=1e-6)


@pytest.mark.extras
def test_a_path_and_a_column_are_enough_and_shards_are_one_table(tmp_path: Path) -> None:
    found = table(weight=None)
    for number, first in enumerate(range(0, ROWS, 200)):
        write(tmp_path / f"part-{number}.parquet", found.slice(first, 200))
    expected, net = network(), network()
    expected.fit(*data(), batch_size=BATCH, epochs=2, verbose=0)
    net.fit(tmp_path, "label", batch_size=BATCH, epochs=2, verbose=0)
    assert bits(net) == bits(expected)
    assert dict(net.evaluate(tmp_path, "label")) == pytest.approx(dict(net.evaluate(*data())), rel=1e-6)


def without(value: float, row: int) -> Any:
    column = data()[0][:, 3].copy()
    column[row] = value
    return column


@pytest.mark.extras
@pytest.mark.parametrize(("changes", "options", "error", "message"), [
    ({"x3": "nan"}, {}, DataError, r"a\.parquet, row 377, column 'x3': x has NaN or infinite numbers"),
    ({"x3": "null"}, {}, DataError, r"a\.parquet, row 377, column 'x3': x has NaN or infinite numbers"),
    ({"label": "null"}, {}, DataError, r"a\.parquet: the column 'label' has rows without a value"),
    ({"x3": ["a"] * ROWS}, {}, DataError, "the column 'x3' has type string: expected numbers"),
    ({}, {"y": "lable"}, DataError, "has no column 'lable': did you mean 'label'"),
    ({}, {"columns": ["x0", "label"]}, DataError, "the column 'label' is used both as a sample and as a target"),
])  # fmt: skip
def test_errors_name_file_column_and_row(
    tmp_path: Path, changes: dict[str, Any], options: dict[str, Any], error: type[DnnkitError], message: str
) -> None:
    import pyarrow as pa

    for name, what in changes.items():
        if what == "nan":
            changes = {name: without(np.nan, 377)}
        elif what == "null":
            kind = int if name == "label" else float
            changes = {name: pa.array([None if row == 377 else kind(row % 2) for row in range(ROWS)])}
    write(tmp_path / "a.parquet", table(weight=None, **changes))
    arguments: dict[str, Any] = {"y": "label", "buffer": BUFFER, **options}
    with pytest.raises(error, match=message):
        network().fit(dk.streams.open(tmp_path / "a.parquet", **arguments), batch_size=BATCH, verbose=0)


@pytest.mark.extras
def test_shards_that_differ_and_a_damaged_file(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", table())
    write(tmp_path / "b.parquet", table(x3=None))
    with pytest.raises(DataError, match=r"b\.parquet lacks the column 'x3', unlike .*a\.parquet"):
        dk.streams.open(tmp_path, "label")
    content = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"a\.parquet cannot be read"):
        dk.streams.open(tmp_path / "a.parquet", "label")


def test_without_pyarrow_the_command_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(ConfigurationError, match=r"reading .* needs pyarrow: pip install pyarrow"):
        network("numpy").fit(tmp_path / "a.parquet", "label", verbose=0)
