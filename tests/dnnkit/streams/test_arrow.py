"""Parquet and Arrow files: the same rows as in memory, and errors that name file, column and row."""

import subprocess
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
@pytest.mark.parametrize("suffix", [".parquet", ".feather"])
def test_columns_of_many_types_become_rows_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """Decoded ten rows at a time and transposed five columns at a time: slices with an offset, and a shorter rest."""
    import pyarrow as pa

    from dnnkit.streams import arrow

    monkeypatch.setattr(arrow, "DECODED", 10 * 8 * (FEATURES + 4))
    monkeypatch.setattr(arrow, "TOGETHER", 5)
    numbers = np.arange(ROWS)
    others = {
        "small": numbers.astype(np.int8), "half": numbers.astype(np.float16), "flag": pa.array(numbers % 3 == 0),
        "hole": pa.array([None if row == 377 else float(row) for row in numbers]),
    }  # fmt: skip
    columns = dict(zip(NAMES, data()[0].T, strict=True))
    path = write(tmp_path / f"t{suffix}", pa.table({**columns, **others, "label": data()[1]}))
    x, y, _ = dk.streams.open(path, "label").read_all()
    hole = np.where(numbers == 377, np.nan, numbers)
    expected = [*data()[0].T, others["small"], others["half"], numbers % 3 == 0, hole]
    np.testing.assert_array_equal(x, np.stack([np.asarray(column, np.float64) for column in expected], axis=1))
    np.testing.assert_array_equal(y, data()[1])


@pytest.mark.extras
def test_samples_and_targets_of_a_file_share_its_metadata(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyarrow import parquet

    path, given, opens = write(tmp_path / "t.parquet", table(weight=None)), [], parquet.ParquetFile

    def opening(*arguments: Any, metadata: Any, **options: Any) -> Any:
        given.append(metadata)
        return opens(*arguments, metadata=metadata, **options)

    monkeypatch.setattr(parquet, "ParquetFile", opening)
    stream = dk.streams.open(path, "label")
    assert given[0] is None
    assert given[1] is stream.x._file.metadata  # type: ignore[attr-defined]


@pytest.mark.extras
def test_reading_needs_no_pandas(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", table(weight=None))
    script = f"import sys, dnnkit as dk; dk.streams.open({str(path)!r}, 'label').read_all(); print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert "pandas" not in ran.stdout.split()


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
