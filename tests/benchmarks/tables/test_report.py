"""The report says what the records say: losses first, and nothing from the sets that dnnkit was tuned on."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.tables import report, timing
from benchmarks.tables.catalogue import CATALOGUE
from benchmarks.tables.measuring import Job
from benchmarks.tables.methods import METHODS, few
from benchmarks.tables.records import Record
from benchmarks.tables.tuning import TUNING

pytestmark = pytest.mark.extras

ERRORS = {  # normalized errors of dnnkit, and of all others
    "iris": (0.10, 0.20),
    "wine": (0.30, 0.10),
    "breast-cancer": (0.10, 0.15),
    "own": (0.60, 0.50),
    "diabetes": (0.99, 0.01),  # a tuning set
}


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Record]:
    """Records of sets that come with scikit-learn; no others are in the catalogue."""
    own = replace(CATALOGUE["diabetes"], name="own")
    for name in [name for name in CATALOGUE if name not in ERRORS]:
        monkeypatch.delitem(CATALOGUE, name)
    monkeypatch.setitem(CATALOGUE, "own", own)
    records = []
    for name, (ours, theirs) in ERRORS.items():
        for method in (m.name for m in METHODS.values() if m.sets is None):
            for fold in range(2):
                error = (ours if method == "dnnkit" else theirs) + 0.01 * (2 * fold - 1)
                scores = {"error": error / 2, "normalised": error, "seconds": 2.0}
                if CATALOGUE[name].task == "classification":
                    scores |= {"log_loss": error, "auc": 1 - error}
                records.append({"set": name, "method": method, "repeat": 0, "fold": fold, **scores})
    return records


def test_the_report_begins_with_the_losses_and_counts_no_tuning_set(found: list[Record], tmp_path: Path) -> None:
    assert "diabetes" in TUNING
    made = report.build(found, [])
    assert set(made.reported) == {"iris", "wine", "breast-cancer", "own"}
    comparison = made.comparison("mlp-scaled")
    assert (comparison.sets, comparison.wins, comparison.ties) == (4, 2, 0)
    page, data, picture = report.write(made, tmp_path)
    text = page.read_text()
    assert "against scikit-learn's MLP, scaled: 2 wins on 4 sets, 50%" in text
    losses = text.split("## Where dnnkit loses")[1].split("## Methods")[0]
    assert losses.index("- wine (178 rows, 13 columns, 3 classes): 0.300, there 0.100") < losses.index("- own (")
    assert "- iris" not in losses
    assert "diabetes" not in losses
    assert "RealMLP was not measured" in text
    read = json.loads(data.read_text())
    assert read["scores"]["wine"]["dnnkit"] == pytest.approx(
        {"halves": 2, "seconds": 2, "error": 0.15, "normalised": 0.3, "log_loss": 0.3, "auc": 0.7}
    )
    assert read["comparisons"]["mlp-scaled"]["wins"] == 2
    assert picture.stat().st_size > 1000


def test_times_are_medians_and_their_typical_value_needs_all_sets() -> None:
    def record(name: str, method: str, number: int, seconds: float) -> Record:
        where = {"set": name, "method": method, "repeat": number, "fold": 0}
        return {**where, "seconds": seconds, "microseconds_per_row": 10 * seconds}

    rounds = [(0, 9.0), (1, 1.0), (2, 2.0)]
    found = [record(name, "dnnkit", number, seconds) for name in few() for number, seconds in rounds]
    found += [record(few()[0], "linear", 0, 32.0)]
    measured = timing.times(found)
    assert measured[few()[0]]["dnnkit"] == {"seconds": 2.0, "microseconds_per_row": 20.0}
    assert timing.typical(measured, "dnnkit", "seconds") == pytest.approx(2.0)
    assert timing.typical(measured, "linear", "seconds") is None
    assert timing.ratio(measured, "dnnkit", "linear") == pytest.approx(16.0)
    assert timing.ratio(measured, "dnnkit", "lightgbm") is None


def test_a_fit_is_timed_and_a_long_one_only_once() -> None:
    found = timing.time(Job(2, 0, 178, "wine", "linear"))
    assert (found["repeat"], found["fold"]) == (2, 0)
    assert 0 < found["seconds"] < 60
    assert found["microseconds_per_row"] > 0


def test_rounds_go_on_where_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "few", lambda: ("iris", "wine"))
    known: dict[tuple[str, str, int, int], Record] = {
        ("iris", "linear", 0, 0): {"seconds": 1.0},
        ("wine", "linear", 0, 0): {"seconds": 11.0},
    }
    assert timing.round_jobs(0, known, ["linear"]) == []
    assert [job.set for job in timing.round_jobs(1, known, ["linear"])] == ["iris"]
    assert [(job.set, job.method) for job in timing.round_jobs(0, known, ["mlp-raw"])] == [
        ("iris", "mlp-raw"),
        ("wine", "mlp-raw"),
    ]
