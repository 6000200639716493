"""Runs in chronological order: what changed, whether the machine is the same, and files that are no results."""

import json
from pathlib import Path
from typing import Any

import pytest

from dnnkit.bench import history
from dnnkit.bench.results import Results, Row
from dnnkit.errors import DataError

MACHINE = {"processor": "A", "processors": 2, "versions": {"numba": "1"}, "BLAS": ["openblas 0.3, Haswell, 2 threads"]}


def write(folder: Path, name: str, day: int, factor: float = 1.0, kind: str = "step", **machine: Any) -> None:
    results = Results(kind, {}, {**MACHINE, **machine}, "dnnkit", f"2026-01-{day:02}T00:00:00+00:00")
    for number in range(4):
        for peer in ("dnnkit", "jax") if kind == "random" else ("",):
            samples = tuple((factor if peer != "jax" else 1.0) * (1 + number + 0.001 * place) for place in range(9))
            case: dict[str, str | int] = {"network": str(number), **({"peer": peer} if peer else {})}
            results.rows.append(Row("steps", case, "µs per step", samples, {}))
    (folder / f"{name}.json").write_text(json.dumps(results.to_json()))


def test_each_run_is_compared_with_the_last_on_the_same_machine(tmp_path):
    write(tmp_path, "z-first", 1)
    write(tmp_path, "a-other", 2, 3.0, processor="B")
    write(tmp_path, "b-faster", 3, 0.5, versions={"numba": "2"})
    write(tmp_path, "c-wider", 4, BLAS=["openblas 0.3, SkylakeX, 2 threads"])
    write(tmp_path, "d-random", 5, kind="random")
    write(tmp_path, "e-random", 6, 2.0, kind="random")
    (tmp_path / "notes.json").write_text("[1]")
    (tmp_path / "broken.json").write_text("{")
    runs, others = history.find([tmp_path])
    assert sorted(others) == ["broken.json", "notes.json"]
    found = {change.run.name: change for change in history.changes(runs)}
    assert list(found) == ["z-first", "a-other", "b-faster", "c-wider", "d-random", "e-random"]
    assert {name: change.before and change.before.name for name, change in found.items()} == {
        "z-first": None,
        "a-other": "z-first",
        "b-faster": "z-first",  # and not the later run on another machine
        "c-wider": "b-faster",
        "d-random": None,
        "e-random": "d-random",
    }
    assert [change.is_same_machine for change in found.values()] == [True, False, True, False, True, True]
    assert found["b-faster"].ratio == pytest.approx(0.5)
    assert (found["b-faster"].count("faster"), found["b-faster"].versions) == (4, ["numba 1 → 2"])
    assert (found["e-random"].ratio, found["e-random"].others) == (pytest.approx(2.0), 1.0)
    text = "\n".join(history.lines(found.values()))
    assert "a-other (another machine: A, 2 processors, Haswell → B, 2 processors, Haswell): " in text
    assert "z-first → b-faster: " in text
    assert "; 1 more; numba 1 → 2" in text
    rows = {line[2].text: [cell.text for cell in line[3:]] for line in history.table(list(found.values())).lines}
    assert rows["b-faster"] == ["same", "0.50", "–", "4", "0"]
    assert rows["e-random"] == ["same", "2.00", "1.00", "0", "4"]
    assert rows["z-first"] == ["first", "–", "–", "–", "–"]


def test_a_file_that_is_named_has_to_be_a_result(tmp_path):
    (tmp_path / "notes.json").write_text("[1]")
    for path, message in (
        (tmp_path / "notes.json", "schema 1"),
        (tmp_path / "absent", "no such path"),
        (tmp_path, "no results in"),
    ):
        with pytest.raises(DataError, match=message):
            history.find([tmp_path / path])


def test_the_committed_results_are_read():
    folder = Path(__file__).parents[3] / "benchmarks" / "results"
    runs, _ = history.find([folder])
    found = {change.run.name: change for change in history.changes(runs)}
    assert found["peers-2026-11-25-second"].before.name == "peers-2026-11-25"
    assert not found["random-2026-11-29-avx512-seed-0"].is_same_machine
    assert found["random-2026-11-29-avx512-seed-0"].others == pytest.approx(0.48, abs=0.01)
