"""Tables of files: what text files do not say is detected, or requested in one clear line."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.errors import ConfigurationError, DataError
from dnnkit.tables.conversions import typed
from dnnkit.tables.reading import TextOptions, read_table

PLAIN = "name,size,kind\nx,1.5,7\ny,,8\n"


def read(folder: Path, content: str | bytes, name: str = "t.csv", **options: Any) -> dict[str, list[Any]]:
    """Return the columns of a file as found in training."""
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    table = read_table(folder / name, TextOptions(**options))
    return {series.name: list(typed(series).values) for series in table.series}


EXPECTED = {"name": ["x", "y"], "size": [1.5, np.nan], "kind": [7, 8]}
SAME: list[tuple[str | bytes, dict[str, Any]]] = [
    (PLAIN, {}),
    (PLAIN.replace("\n", "\r\n"), {}),
    (PLAIN.replace("\n", "\r"), {}),
    (PLAIN.removesuffix("\n"), {}),
    ("\n\n" + PLAIN.replace("\n", "\n\n"), {}),
    (PLAIN.replace(",", ", "), {}),
    (PLAIN.replace(",", ";"), {}),
    (PLAIN.replace(",", "\t"), {}),
    (PLAIN.replace(",", "|"), {}),
    (PLAIN.replace(",", ":"), {"delimiter": ":"}),
    (PLAIN.replace(",", ";").replace("1.5", "1,5"), {}),
    (PLAIN.replace("1.5", '"1,5"'), {}),
    (PLAIN.replace("1.5", '"1,5"'), {"decimal": ","}),
    (PLAIN.replace("x", '"x"').replace("name", '"name"'), {}),
    ("\ufeff" + PLAIN, {}),
    (("\ufeff" + PLAIN).encode("utf-16-le"), {}),
    (("\ufeff" + PLAIN).encode("utf-16-be"), {}),
    (("\ufeff" + PLAIN).encode("utf-32-le"), {}),
    (PLAIN.encode("utf-16"), {"encoding": "utf-16"}),
    (PLAIN.encode("utf-16-le"), {"encoding": "utf-16-le"}),
    (PLAIN.replace("y,,", "y,NA,"), {}),
    (PLAIN.replace("y,,", "y, ?,"), {"missing": ("?",)}),
]  # fmt: skip


@pytest.mark.parametrize(("content", "options"), SAME, ids=range(len(SAME)))
def test_the_same_table_however_it_is_written(tmp_path: Path, content: str | bytes, options: dict[str, Any]) -> None:
    found = read(tmp_path, content, **options)
    assert list(found) == list(EXPECTED)
    assert found["name"] == EXPECTED["name"]
    np.testing.assert_array_equal([found["size"], found["kind"]], [EXPECTED["size"], EXPECTED["kind"]])


def test_the_types_of_cells(tmp_path: Path) -> None:
    text = """post code;ok;day;moment;word;long;size
02139;true;2026-01-31;2026-01-31 12:30:00+02:00;"a; ""b""
c";1e3;1_000
10115;FALSE;2026-02-01;2026-01-31 11:00:00Z;ü;-2.5;2000
"""
    found = read(tmp_path, text)
    assert found["post code"] == ["02139", "10115"]
    assert found["ok"] == [1, 0]
    assert [str(day)[:10] for day in found["day"]] == ["2026-01-31", "2026-02-01"]
    assert [str(moment)[:16] for moment in found["moment"]] == ["2026-01-31T10:30", "2026-01-31T11:00"]
    assert found["word"] == ['a; "b"\nc', "ü"]
    assert found["long"] == [1000, -2.5]
    assert found["size"] == ["1_000", "2000"]
    assert read(tmp_path, "n\t\n3\tx\n4\ty\n", "t.tsv").keys() == {"n", "column 2"}
    latin = "größe,n\nä,1\nö,2\n".encode("latin-1")
    assert read(tmp_path, latin, encoding="latin-1")["größe"] == ["ä", "ö"]


BAD: list[tuple[str | bytes, dict[str, Any], str]] = [
    ("", {}, "is empty"),
    ("\n \n", {}, "is empty"),
    ("a,b\n", {}, "names of 2 columns, but no rows"),
    ("a,b\n1,2\n3\n", {}, "line 3 has 1 cell, the first line has 2 (delimiter: comma)"),
    ('a,b\n"x\ny",2\n3,4,5\n', {}, "line 4 has 3 cells, the first line has 2"),
    ("a,b,a\n1,2,3\n", {}, "two columns are named 'a'"),
    ("1,2\n3,4\n", {}, "the first line has numbers, '1': expected the names of columns"),
    ("a;b;c\n1;2;3\n", {"delimiter": ","}, "one column, 'a;b;c', with ',' between cells: try --delimiter ';'"),
    ("a,b;c\n1,2;3\n", {}, "may be comma or semicolon: choose one, such as --delimiter ','"),
    ("a;b\n1,234;1\n5,678;1\n", {}, "column 'a' has numbers such as 1,234, which may be about one or above a thousand"),
    ("a;b\n1,5;1.5\n", {}, "column 'a' has decimal commas, 'b' decimal points"),
    ("a;b\n1,5;1\n1.5;2\n", {}, "column 'a' has numbers with commas and with points"),
    ("a;b\n1.234,5;1\n", {}, "column 'a' has '1.234,5', with thousands separators"),
    ("a,b\nx,é\n".encode("latin-1"), {}, "not encoded as utf-8: byte 0xe9 in line 2"),
    ("a,b\nx,é\n".encode(), {"encoding": "ascii"}, "not encoded as ascii: byte 0xc3 in line 2"),
    (PLAIN.encode("utf-16-le"), {}, "or UTF-16: try --encoding utf-16-le"),
    (b"PK\x03\x04xl/worksheets", {}, "an Excel sheet"),
    (b"PAR1....", {}, "a Parquet file"),
    ('a,b\n1,"2\n3,4\n', {}, "the record after line 1 cannot be read (unexpected end of data)"),
    ('a,b\n1,"2"3\n', {}, "unclosed quotation mark, or text after"),
    ("a,b\n1," + "2" * 200_000 + "\n", {}, "the record after line 1 cannot be read (field larger"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "options", "words"), BAD, ids=[words[:40] for _, _, words in BAD])
def test_a_text_file_that_is_no_table_is_one_clear_line(
    tmp_path: Path, content: str | bytes, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(DataError) as error:
        read(tmp_path, content, **options)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert "t.csv" in str(error.value)


def test_options_that_cannot_work(tmp_path: Path) -> None:
    for options in (
        {"delimiter": ";;"},
        {"delimiter": '"'},
        {"decimal": "'"},
        {"encoding": "utf-99"},
        {"encoding": "zip"},
    ):
        with pytest.raises(ConfigurationError, match=next(iter(options))):
            read(tmp_path, PLAIN, **options)
    for name, words in [
        ("t.xls", "expected one of .csv"),
        ("nowhere.csv", "cannot read"),
        ("folder.csv", "it is a folder"),
    ]:
        (tmp_path / "folder.csv").mkdir(exist_ok=True)
        with pytest.raises(DataError, match=words):
            read_table(tmp_path / name)


def test_a_wrong_value_is_reported_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,x\n\n2,y\n3,z\n")
    encoder = dk.TabularEncoder().fit(read_table(tmp_path / "t.csv"))
    (tmp_path / "t.csv").write_text("b,a\nx,1\n\ny,old\n")
    table = read_table(tmp_path / "t.csv")
    with pytest.raises(DataError, match="'a' had numbers in training and has text now: 'old' in line 4"):
        encoder.transform(table)
    with pytest.raises(DataError, match="'old' in line 4"):
        encoder.transform(table.take([1]))


def test_cells_stay_categories_where_all_look_like_numbers(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("rooms\n1\n2\n3+\n1\n2\n3+\n")
    encoder = dk.TabularEncoder().fit(read_table(tmp_path / "t.csv"))
    (tmp_path / "t.csv").write_text("rooms\n2\n1\n")
    assert encoder.transform(read_table(tmp_path / "t.csv")).tolist() == [[0, 1, 0], [1, 0, 0]]


def test_archives_of_numpy(tmp_path: Path) -> None:
    arrays = {"a": np.arange(3), "b": np.array(["x", "y", "x"]), "c": np.ones((3, 2))}
    np.savez(tmp_path / "t.npz", **arrays)
    table = read_table(tmp_path / "t.npz")
    assert table.names == ("a", "b", "c_0", "c_1")
    np.savez(tmp_path / "t.npz", np.ones((3, 2)))
    assert read_table(tmp_path / "t.npz").has_names is False
    np.savez(tmp_path / "t.npz", a=np.array([{}], object))
    with pytest.raises(DataError, match="announces"):
        read_table(tmp_path / "t.npz")
    np.savez(tmp_path / "t.npz", a=np.arange(3), b=np.arange(2))
    with pytest.raises(DataError, match="'b' has 2 rows, 'a' has 3"):
        read_table(tmp_path / "t.npz")


def test_parquet_without_a_reader_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    for package in ("pyarrow", "polars"):
        monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(ConfigurationError, match="pip install pyarrow"):
        read_table(tmp_path / "t.parquet")


@pytest.mark.extras
@pytest.mark.parametrize("reader", ["pyarrow", "polars"])
def test_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str) -> None:
    polars = pytest.importorskip("polars")
    table = {"a": [1.5, None], "b": ["x", "y"]}
    polars.DataFrame(table).write_parquet(tmp_path / "t.parquet")
    if reader == "polars":
        monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    else:
        pytest.importorskip("pyarrow")
    found = read_table(tmp_path / "t.parquet")
    assert dk.TabularEncoder().fit_transform(found).tobytes() == dk.TabularEncoder().fit_transform(table).tobytes()
    (tmp_path / "t.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        read_table(tmp_path / "t.parquet")
