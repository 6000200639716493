"""`dnnkit train table.csv`, `dnnkit predict RUN table.csv`: findings are printed, and impossible input is one line."""

import csv
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.tables.reading import read_table
from tests.dnnkit.cli.command import dnnkit

QUICK = ("--epochs", "2", "--ensemble", "1", "--hidden", "4", "--backend", "numpy")
ROWS = 60


def write(path: Path, columns: dict[str, list[Any]], delimiter: str = ",") -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, delimiter=delimiter)
        rows.writerow(columns)
        rows.writerows(zip(*columns.values(), strict=True))


def table() -> dict[str, list[Any]]:
    rng = np.random.default_rng(0)
    area = rng.gamma(4, 30, ROWS).round(1).tolist()
    return {
        "id": list(range(1, ROWS + 1)),
        "area": ["" if n == 7 else value for n, value in enumerate(area)],
        "city": rng.choice(["Bern", "Genf", "Zug"], ROWS).tolist(),
        "garden": rng.choice(["true", "false"], ROWS).tolist(),
        "kind": rng.choice(["flat", "house"], ROWS).tolist(),
        "price": [round(3000 * value + 17, 2) for value in area],
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the table, and two runs on it: `price`, numbers, and `kind`, classes."""
    folder = tmp_path_factory.mktemp("tables")
    write(folder / "t.csv", table())
    for target in ("price", "kind"):
        done = dnnkit(folder, "train", "t.csv", "--target", target, "--ignore", "id", "--out", target, *QUICK)
        assert done.returncode == 0, done.stderr
        (folder / f"{target}.txt").write_text(done.stdout)
    return folder


def test_findings_are_printed_first(folder: Path) -> None:
    lines = (folder / "price.txt").read_text().splitlines()
    assert lines[0] == "60 rows, 4 columns: 2 categories, 1 number, 1 boolean"
    assert lines[1].startswith("  area    number    ")
    assert lines[1].endswith("; 1 missing")
    assert [line.split()[:2] for line in lines[2:5]] == [
        ["city", "category"],
        ["garden", "boolean"],
        ["kind", "category"],
    ]
    assert lines[5].startswith("target 'price': numbers, ")
    assert lines[6] == "48 rows to train on, 12 held out"
    assert any(line.startswith("held out: R² ") for line in lines)
    assert all(len(line) <= 80 for line in lines)
    classes = (folder / "kind.txt").read_text()
    assert "target 'kind': 2 classes, " in classes
    assert "held out: accuracy " in classes


def test_numbers_are_predicted_by_the_names_of_columns(folder: Path, tmp_path: Path) -> None:
    columns = table()
    reordered = {name: columns[name][:5] for name in ("kind", "garden", "area", "city", "id")}
    reordered["city"] = ["Paris", *reordered["city"][1:]]
    write(tmp_path / "new.csv", reordered, ";")
    done = dnnkit(tmp_path, "predict", str(folder / "price"), "new.csv", "--json", "p.json", "--out", "p.csv")
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        "ignored, not among the columns of the training: 'id'",
        "column 'city': 1 unseen value, such as 'Paris'",
    ]
    expected = dk.load_estimator(folder / "price").predict(read_table(tmp_path / "new.csv").drop(["id"]).select(
        ["area", "city", "garden", "kind"]
    ))  # fmt: skip
    assert done.stdout.splitlines()[0] == "sample  price"
    found = json.loads((tmp_path / "p.json").read_text())
    assert (found["targets"], np.ravel(found["predictions"])) == (["price"], pytest.approx(expected, rel=1e-6))
    with (tmp_path / "p.csv").open() as file:
        names, *rows = csv.reader(file)
    assert names == ["price"]
    assert np.array(rows, float)[:, 0] == pytest.approx(expected, rel=1e-6)


def test_classes_are_predicted_by_name(folder: Path, tmp_path: Path) -> None:
    done = dnnkit(tmp_path, "predict", str(folder / "kind"), str(folder / "t.csv"), "--json", "-", "--out", "p.npz")
    assert done.returncode == 0
    found = json.loads(done.stdout)
    assert found["class_names"] == ["flat", "house"]
    assert set(found["classes"]) <= {"flat", "house"}
    with np.load(tmp_path / "p.npz") as arrays:
        assert arrays["classes"].tolist() == found["classes"]
        assert arrays["predictions"].tolist() == pytest.approx(np.array(found["predictions"]))
    (heading,) = [line for line in done.stderr.splitlines() if line.startswith("sample")]
    assert heading.split() == ["sample", "kind", "probability"]
    again = dnnkit(tmp_path, "predict", str(folder / "kind"), str(folder / "t.csv"), "--out", "p.csv")
    assert again.returncode == 0
    assert (
        (tmp_path / "p.csv").read_text().startswith("kind,probability of flat,probability of house\n".replace("\n", ""))
    )


def test_networks_predict_as_before_and_write_files(tmp_path: Path) -> None:
    net = dk.Sequential([dk.Dense(2)], seed=2, backend="numpy")
    net.build(4)
    net.save(tmp_path / "net")
    (tmp_path / "x.csv").write_text("1,2,3,4\n5,6,7,8\n")
    done = dnnkit(tmp_path, "predict", "net", "x.csv", "--out", "p.csv")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 2
    assert (tmp_path / "p.csv").read_text().splitlines()[0] == "prediction 1,prediction 2"


def one_line(done: subprocess.CompletedProcess[str], words: str) -> None:
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("dnnkit: ")
    assert words in line
    assert (done.returncode, done.stdout) == (2, "")


def with_columns(**columns: list[Any]) -> dict[str, list[Any]]:
    return {**table(), **columns}


TEXTS = [f"somebody called number {n}" for n in range(ROWS)]
ONE_B = with_columns(kind=["a"] * 59 + ["b"])
TWO_MISSING = with_columns(price=[1.5] * 58 + ["", "nan"])
BAD_TABLES: dict[str, tuple[dict[str, list[Any]], tuple[str, ...], str]] = {
    "no target": (table(), (), "give the column to predict by --target: 'id', 'area'"),
    "target missing": (table(), ("--target", "prize"), "no column 'prize': did you mean 'price'? it has 'id'"),
    "constant": (with_columns(price=[1] * ROWS), ("--target", "price"), "'price' is 1 in all rows"),
    "lonely class": (
        ONE_B,
        ("--target", "kind"),
        "1 class of a single row, 'b' (line 61)",
    ),
    "identifier": (table(), ("--target", "id"), "'id' looks like an identifier: 60 different values in 60 rows, 1, 2"),
    "names": (with_columns(name=TEXTS), ("--target", "name"), "'name' looks like an identifier"),
    "NaN": (
        TWO_MISSING,
        ("--target", "price"),
        "no value in 2 of 60 rows, first in line 60",
    ),
    "text": (with_columns(name=TEXTS, note=TEXTS), ("--target", "price"), "'note' (60 different texts in 60 rows)"),
    "text, out": (with_columns(name=TEXTS, note=TEXTS), ("--target", "price"), "with --ignore name,note"),
    "empty": (with_columns(a=[""] * ROWS, b=["NA"] * ROWS), ("--target", "price"), "no row has a value in 'a', 'b'"),
    "dates": (with_columns(price=["2026-01-31", "2026-02-01"] * 30), ("--target", "price"), "'price' has dates"),
    "task": (table(), ("--target", "kind", "--task", "numbers"), "target 'kind' has text, "),
    "task name": (table(), ("--target", "kind", "--task", "both"), "--task is 'both': expected classes or numbers"),
    "several": (table(), ("--target", "price,kind"), "'kind' has classes: expected a single target"),
    "ignore": (table(), ("--target", "price", "--ignore", "idd"), "--ignore idd: no such column: did you mean 'id'?"),
    "held out": (table(), ("--target", "price", "--held-out", "1"), "--held-out is 1.0"),
    "few": ({"a": [1, 2], "price": [1.5, 2.5]}, ("--target", "price"), "has 2 rows: expected at least 10"),
    "alone": ({"price": [1.5, 2.5] * 9}, ("--target", "price"), "has no columns other than 'price'"),
    "resume": (table(), ("--target", "price", "--resume", "run"), "--resume is for networks on images"),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_a_table_that_cannot_be_learned_is_one_line(tmp_path: Path, name: str) -> None:
    columns, arguments, words = BAD_TABLES[name]
    write(tmp_path / "t.csv", columns)
    one_line(dnnkit(tmp_path, "train", "t.csv", *arguments, *QUICK, "--out", "run"), words)
    assert not (tmp_path / "run").exists()


BAD_FILES = {
    "x.csv": ("", "x.csv is empty"),
    "header.csv": ("a,price\n", "but no rows"),
    "ragged.csv": ("a,price\n1,2\n3\n", "line 3 has 1 cell"),
    "twice.csv": ("a,a,price\n1,2,3\n", "two columns are named 'a'"),
    "wrong.csv": ("a;b;price\n1;2;3\n", "the delimiter"),
    "latin.csv": ("gr\xf6\xdfe,price\n1,2\n", "not encoded as utf-8: byte 0xf6 in line 1"),
    "nowhere.csv": (None, "cannot read nowhere.csv"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_is_no_table_is_one_line(tmp_path: Path, name: str) -> None:
    content, words = BAD_FILES[name]
    if content is not None:
        (tmp_path / name).write_bytes(content.encode("latin-1"))
    given = ("--delimiter", ",") if name == "wrong.csv" else ()
    words = "try --delimiter ';'" if name == "wrong.csv" else words
    one_line(dnnkit(tmp_path, "train", name, "--target", "price", *given), words)


def test_options_of_tables_are_for_tables(tmp_path: Path) -> None:
    one_line(dnnkit(tmp_path, "train", "digits", "--ignore", "a"), "--ignore is for tables, and digits is not a table")


ONE = {"area": [1], "city": ["Zug"], "garden": ["true"], "kind": ["flat"]}
BAD_PREDICTIONS = [
    ({"area": [1], "city": ["Bern"]}, (), "has no columns 'garden', 'kind', which training had"),
    ({"Area" if name == "area" else name: column for name, column in ONE.items()}, (), "no column 'area', which"),
    ({**ONE, "area": ["large"]}, (), "has text now: 'large' in line 2"),
    ({**ONE, "garden": ["maybe"]}, (), "had booleans in training"),
    ({"area": [1]}, ("--out", "p.xls"), "--out p.xls ends in .xls: expected .csv or .npz"),
    ({"1": [1], "2": [3]}, (), "the first line has numbers"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("columns", "arguments", "words"), BAD_PREDICTIONS, ids=[words for *_, words in BAD_PREDICTIONS]
)
def test_a_table_that_is_another_is_one_line(
    folder: Path, tmp_path: Path, columns: dict[str, list[Any]], arguments: tuple[str, ...], words: str
) -> None:
    write(tmp_path / "new.csv", columns)
    one_line(dnnkit(tmp_path, "predict", str(folder / "price"), "new.csv", *arguments), words)


def test_results_and_runs_that_are_there(folder: Path, tmp_path: Path) -> None:
    one_line(dnnkit(folder, "train", "--resume", "price"), "price is a run on a table, and these cannot be resumed")
    one_line(dnnkit(folder, "inspect", "price"), "price is the save of an estimator")
    one_line(dnnkit(folder, "train", "t.csv", "--target", "price", "--out", "price"), "price holds a run already: rep")
    write(tmp_path / "t.csv", with_columns(cost=[2 * price - 1 for price in table()["price"]]))
    train = ("train", "t.csv", "--target", "price", "--ignore", "id", "--quiet", *QUICK, "--json", "-", "--out", "run")
    one_line(dnnkit(tmp_path, *train, "--target", "area"), "'area' has no value in 1 of 60 rows, first in line 9")
    done = dnnkit(tmp_path, *train, "--target", "cost", "--categories", "garden")
    assert (done.returncode, done.stderr) == (0, "")
    results = json.loads(done.stdout)
    assert (results["task"], results["targets"], results["rows"]) == ("numbers", ["price", "cost"], ROWS)
    assert results["held_out"]["rows"] == 12
    assert [column["kind"] for column in results["columns"]] == ["number", "category", "category", "category"]
    done = dnnkit(tmp_path, "predict", "run", "t.csv")
    assert done.stdout.splitlines()[0] == "sample  price  cost"
