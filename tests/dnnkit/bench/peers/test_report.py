"""Medians, ratios, targets, and peers that did other work: the report of results."""

import copy
import json
from pathlib import Path

import pytest

from dnnkit.bench.peers import report
from dnnkit.bench.peers.results import Results, duration
from dnnkit.bench.peers.works import Work
from tests.dnnkit.bench.peers.made_up import FLOPS, WORK, made_up


def test_medians_ratios_and_the_floor() -> None:
    results = Results(made_up())
    fastest, second, slowest = results.summaries(WORK)
    assert [s.peer for s in (fastest, second, slowest)] == ["dnnkit", "torch-compile", "torch"]
    assert results.rates("gemm") == [
        (pytest.approx(FLOPS), "torch"),
        (pytest.approx(FLOPS / 1.5), "dnnkit"),
    ]
    assert results.rates("copy")[0][0] == pytest.approx(1e9)  # bytes read and written
    floor = results.floor(WORK)
    assert floor is not None
    assert fastest.seconds == pytest.approx(2 * floor)
    assert fastest.quartiles == (pytest.approx(1.9 * floor), pytest.approx(2.2 * floor))


def test_targets_are_judged_by_the_fastest_they_speak_of() -> None:
    torch, best, floor, jax = Results(made_up()).verdicts(WORK)
    assert str(torch) == "at least 2× as fast as torch-compile: 1.50×, missed"
    assert str(best) == "at least 2× as fast as the best peer, torch-compile: 1.50×, missed"
    assert str(floor) == "at most 3× the floor: 2.00×, reached"
    assert str(jax) == "at least 1× as fast as jax: not measured"
    assert [verdict.holds for verdict in (torch, best, floor, jax)] == [False, False, True, False]


def test_who_did_other_work_is_named() -> None:
    results = Results(made_up())
    assert results.disagreements(WORK) == {"torch": "accuracy 0.95, dnnkit's is 0.97"}
    assert list(results.disagreements(results.works[-1])) == ["torch"]  # a neuron's loss has to agree closely
    lost = made_up()
    for record in lost["records"]:
        if record["peer"] == "torch-compile":
            record["accuracy"] = float("nan")
    assert "torch-compile" in Results(lost).disagreements(WORK)


def test_the_report_has_everything(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(made_up()))
    table, picture = report.write(path)
    text = table.read_text()
    for expected in (
        "| 1. small |",
        "| 0.95 (differs) |",
        "**torch differs**",
        "4.00× (4.00 – 4.00)",
        "at most 3× the floor: 2.00×, reached",
        "jax: jax is not installed",
        "torch, work 6, round 2: out of memory",
        "GFLOP/s: torch 1, dnnkit 1; the fastest counts",
        "| dnnkit | 100 | 100 |",
        "![dnnkit and its peers](results.png)",
    ):
        assert expected in text, expected
    widths = {line.count("|") for line in text.split("## 1.")[1].split("\n\n")[1].splitlines()}
    assert len(widths) == 1  # every row of a table has every column
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_report_without_dnnkit_or_without_anything(tmp_path: Path) -> None:
    results = made_up()
    results["records"] = [record for record in results["records"] if record["peer"] == "torch"]
    path = tmp_path / "results.json"
    for records in (results["records"], []):
        path.write_text(json.dumps({**results, "records": records}))
        assert report.write(path)[0].exists()


def test_the_report_of_growth(tmp_path: Path) -> None:
    results = made_up()
    results["kind"] = "growth"
    works = [Work(f"width-{width}", "", widths=(784, width, 10), axis="width", value=width) for width in (32, 64)]
    records = [copy.copy(record) for record in results["records"] if record["work"] == "1"]
    results["works"] = [work.to_json() for work in works]
    results["records"] = [{**record, "work": work.name} for work in works for record in records]
    path = tmp_path / "growth.json"
    path.write_text(json.dumps(results))
    table, picture = report.write(path)
    assert "## Time per step by width" in table.read_text()
    assert "| 64 |" in table.read_text()
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_results_of_another_schema_are_rejected() -> None:
    with pytest.raises(SystemExit, match="schema 0"):
        Results({"schema": 0})


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(12.345, "12.3 s"), (1, "1.00 s"), (0.99999, "1.00 s"), (0.4671, "467 ms"), (11e-6, "11.0 µs"), (234.5, "234 s")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
