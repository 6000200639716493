"""A run keeps its results, continues after a half-written line, and repeats failures."""

import json
from pathlib import Path

import pytest

from benchmarks.tables import __main__ as command
from benchmarks.tables import records
from benchmarks.tables.measuring import Job, jobs, measure
from benchmarks.tables.methods import METHODS, few
from benchmarks.tables.records import Record
from benchmarks.tables.tuning import REPORTED


def record(method: str, repeat: int, **more: object) -> Record:
    return {"set": "iris", "method": method, "repeat": repeat, "fold": 0, "seconds": 1.0, **more}


def test_records_survive_a_killed_run_and_the_newest_counts(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "records.jsonl"
    assert records.read(path) == {}
    records.append(path, record("linear", 0, error=0.5))
    with path.open("a") as file:
        file.write('{"set": "iris", "met')  # killed here
    records.append(path, record("linear", 1, error=0.25))
    records.append(path, record("linear", 0, error=0.125))
    records.append(path, record("lightgbm", 0, failed="MemoryError"))
    found = records.read(path)
    assert [(key[2], value["error"]) for key, value in found.items()] == [(0, 0.125), (1, 0.25)]
    assert records.forget(path, ["linear"]) == 2
    assert records.read(path) == {}


@pytest.mark.extras
def test_repeats_come_first_and_small_sets_before_large_ones() -> None:
    found = jobs(["wine", "iris"], ["linear", "mlp-scaled"], repeats=2)
    assert len(found) == 2 * 2 * 2 * 2
    assert [job.repeat for job in found] == [0] * 8 + [1] * 8
    assert found[0].set == "iris"  # the smaller one


@pytest.mark.extras
@pytest.mark.parametrize(("name", "method"), [("iris", "linear"), ("diabetes", "mlp-raw")])
def test_a_fit_is_scored_on_the_other_half(method: str, name: str) -> None:
    found = measure(Job(0, 1, 150, name, method))
    assert "failed" not in found, found
    assert 0 < found["normalised"] < 2.5
    assert (found["set"], found["method"], found["repeat"], found["fold"]) == (name, method, 0, 1)


@pytest.mark.extras
def test_a_run_computes_missing_results_once_and_reports_failures(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "records.jsonl"
    words = ["run", "--records", str(path), "--set", "iris", "--repeats", "1", "--method", "linear"]
    assert command.main(words) == 0
    assert len(path.read_text().splitlines()) == 2
    assert command.main(words) == 0
    assert "2 of 2 fits" in capfd.readouterr().err
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["fold"], "error" in line) for line in lines] == [(0, True), (1, True)]


@pytest.mark.extras
def test_a_fit_that_fails_is_a_record_that_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(task: str, seed: int) -> object:
        raise MemoryError("no room")

    monkeypatch.setitem(METHODS, "own", METHODS["linear"].__class__("own", "own", "sklearn", build))
    assert measure(Job(0, 0, 150, "iris", "own"))["failed"] == "MemoryError: no room"


def test_a_report_without_records_says_what_to_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["report", "--records", str(tmp_path / "no"), "--times", str(tmp_path / "no"), "--out", str(tmp_path)]
    assert command.main(words) == 2
    assert "python -m benchmarks.tables run" in capsys.readouterr().err
    assert command.main(["forget", "mlp"]) == 2
    assert "no method is called 'mlp': there are mlp-raw" in capsys.readouterr().err


def test_the_sets_of_slow_methods_are_reported_on() -> None:
    assert len(set(few())) == 11
    assert set(few()) <= set(REPORTED)
