"""The command that records trajectories and compares them."""

import json
import os
from pathlib import Path

import pytest

from benchmarks.trajectories.__main__ import PARTS, main, trajectories
from benchmarks.trajectories.training import PARTITION_VARIABLES, Setting, _partition

CHOSEN = ("--only", "epsilon, *float32", "--backend", "numpy")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> dict:
    file = tmp_path_factory.mktemp("record") / "folder" / "record.json"
    assert main(["record", str(file), *CHOSEN]) == 0
    return json.loads(file.read_text())


def compare(record: dict, tmp_path: Path, *options: str) -> int:
    file = tmp_path / "record.json"
    file.write_text(json.dumps(record))
    return main(["compare", str(file), *(options or CHOSEN)])


def test_every_network_in_both_dtypes_and_five_settings() -> None:
    names = [name for name, _ in trajectories()]
    assert len(set(names)) == 40 * 2 * 5
    assert "pixels, relu | float64 numba 2 units/2" in names


def test_a_record_describes_its_origin(recorded: dict) -> None:
    assert {name.split(" | ")[1] for name in recorded["trajectories"]} == {"float32 numpy 1", "float32 numpy 2"}
    assert len(recorded["trajectories"]) == 4
    assert all(len(line.split()) == 1 + len(PARTS) for line in recorded["trajectories"].values())
    assert {"processor", "features", "versions", "BLAS of NumPy"} <= set(recorded["environment"])
    assert {"dnnkit", "commit"} == set(recorded["code"])


def test_equal_trajectories_are_one_line(recorded: dict, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert compare(recorded, tmp_path) == 0
    assert capsys.readouterr().out == "4 trajectories equal bit for bit\n"


def test_every_difference_is_listed(recorded: dict, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    first, second, third, _ = sorted(recorded["trajectories"])
    lines = dict(recorded["trajectories"])
    total, *parts = lines[first].split()
    parts[PARTS.index("history")] = "000000"
    lines[first] = " ".join([total[::-1], *parts])
    del lines[second]
    lines["epsilon, nothing | float32 numpy 1"] = lines[third]
    assert compare({**recorded, "trajectories": lines}, tmp_path) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{first}: other history",
        f"{second}: not in the record",
        "epsilon, nothing | float32 numpy 1: recorded, but there is no such trajectory now",
        "3 of 5 trajectories differ or are missing",
    ]


def test_a_training_that_fails_is_a_difference(
    recorded: dict, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*job: object) -> None:
        raise ValueError("no such name")

    monkeypatch.setattr("benchmarks.trajectories.__main__.train", fails)
    assert compare(recorded, tmp_path) == 1
    assert "epsilon, labels | float32 numpy 1: training failed: ValueError: no such name" in capsys.readouterr().out
    assert main(["record", str(tmp_path / "new.json"), *CHOSEN]) == 2
    assert not (tmp_path / "new.json").exists()


@pytest.mark.parametrize("name", ["processor", "features", "python", "versions"])
def test_records_of_another_machine_are_not_compared(
    recorded: dict, tmp_path: Path, capsys: pytest.CaptureFixture, name: str
) -> None:
    elsewhere = {**recorded["environment"], name: "other"}
    assert compare({**recorded, "environment": elsewhere}, tmp_path) == 2
    assert f"{name} is {recorded['environment'][name]!r}, but was 'other'" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 0}'])
def test_a_file_that_is_not_a_record_is_reported(content: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    file = tmp_path / "record.json"
    file.write_text(content)
    assert main(["compare", str(file)]) == 2
    assert main(["compare", str(tmp_path / "nothing.json")]) == 2
    assert main(["compare", str(file), "--only", "nobody"]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert [line.startswith("error: ") for line in errors] == [True] * 3


def test_the_partition_is_that_of_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = PARTITION_VARIABLES
    monkeypatch.setenv(old, "rows/4")
    monkeypatch.delenv(new, raising=False)
    with _partition(Setting("numba", 2, "units/2").partition):
        assert os.environ[old] == os.environ[new] == "units/2"
    with _partition(None):
        assert old not in os.environ
    assert os.environ[old] == "rows/4"
    assert new not in os.environ
