"""The file of results: written, read again, compared; and files that are none."""

import csv
import json
from math import inf

import pytest

from dnnkit.bench.compare import compare, to_json, words
from dnnkit.bench.results import Results, Row, read
from dnnkit.errors import DataError


def make(factor: float = 1.0, noise: float = 1.0) -> Results:
    """Twenty rows with a spread of a few thousandths, one of them never reached."""
    results = Results("activations", {"seeds": 3})
    for number in range(20):
        samples = tuple((1 + number) * (1 + 0.001 * place) * factor for place in range(9))
        results.rows.append(Row("step", {"activation": f"a{number}", "backend": "numpy"}, "µs per step", samples))
    results.rows.append(Row("learning", {"activation": "a0", "quantity": "seconds"}, "s", (1.0, inf), {"reached": 1}))
    results.identical.append(("twin", (1.0, 1.0), (noise, noise)))
    return results


def write(path, results):
    path.write_text(json.dumps(results.to_json(), allow_nan=False))
    return path


def test_json_and_back(tmp_path):
    results = make()
    again = read(write(tmp_path / "a.json", results))
    assert again.rows == results.rows
    assert again.to_json() == results.to_json()
    assert again.machine["processors"] >= 1


def test_names_of_older_files_are_read_as_those_of_now(tmp_path):
    raw = make().to_json()
    raw["rows"][0]["unit"] = "µs a call"
    raw["limits"] = {"copy, warm, numpy, bytes a second": 1e9}
    raw["settings"] = {"seconds a round": 0.003, "seeds": 3}
    (tmp_path / "a.json").write_text(json.dumps(raw))
    again = read(tmp_path / "a.json")
    assert again.rows[0].unit == "µs per call"
    assert again.limits == {"copy, warm, numpy, bytes per second": 1e9}
    assert again.settings == {"seconds per round": 0.003, "seeds": 3}


def test_csv_has_a_line_per_row_and_the_columns_of_all():
    lines = list(csv.DictReader(make().to_csv().splitlines()))
    assert len(lines) == 21
    assert (lines[3]["activation"], lines[3]["table"], float(lines[3]["median"])) == ("a3", "step", 4 * 1.004)
    assert (lines[-1]["reached"], lines[-1]["backend"], lines[-1]["median"]) == ("1", "", "inf")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[1]", "schema"),
        ('{"schema": 1, "kind": "x"}', "schema"),
        ('{"schema": 1, "rows": []}', "damaged"),
        ('{"schema": 7, "rows": []}', "schema"),
        ("[" * 100_000, "not JSON"),
        (b"\xff\xfe", "not JSON"),
    ],
)
def test_other_files_are_one_error(tmp_path, text, message):
    path = tmp_path / "x.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=message):
        read(path)
    with pytest.raises(DataError, match="cannot read"):
        read(tmp_path / "absent.json")


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "indistinguishable"), (1.2, "slower"), (0.8, "faster")])
def test_every_row_that_both_have_gets_its_verdict(factor, verdict):
    found, _, noise = compare(make(), make(factor))
    assert len(found) == 20  # a goal that was never reached has no time
    assert {item.verdict for item in found} == {verdict}
    assert noise == 0.05
    assert f"20 {verdict}" in words(found, noise)
    assert to_json(found, [], noise)["rows"][0]["ratio"] == pytest.approx(factor)


def test_noise_in_either_file_hides_differences_below_it():
    assert {item.verdict for item in compare(make(), make(1.2, noise=1.3))[0]} == {"indistinguishable"}
    assert {item.verdict for item in compare(make(noise=1.3), make(1.2))[0]} == {"indistinguishable"}


def test_causes_of_doubt_in_a_comparison_are_reported():
    a, b = make(), make()
    b.machine |= {"processor": "another"}
    b.settings = {"seeds": 5}
    b.rows.pop(3)
    a.controls, b.controls = {"NumPy's tanh": 1.0}, {"NumPy's tanh": 1.25}
    text = " ".join(compare(a, b)[1])
    for word in (
        "processor differs",
        "settings differ in seeds",
        "1 rows are in one file",
        "work outside dnnkit differs by 25.0%",
    ):
        assert word in text


def test_files_without_a_common_row_are_an_error():
    with pytest.raises(DataError, match="no rows in common"):
        compare(make(), Results("step", {}))


def test_noise_and_other_work_are_warned_of():
    results = make(noise=1.2)
    results.machine |= {"load before": 1000.0}
    results.judge(1000.0)
    assert "identical code differed by 20% (twin)" in results.warnings[0]
    assert "other work was running" in results.warnings[1]
    quiet = make()
    quiet.machine |= {"load before": 0.0}
    quiet.judge(0.0)
    assert quiet.warnings == []


def test_a_slower_machine_is_not_reported_as_slower_code():
    a, b = make(), make(1.2)
    a.limits, b.limits = {"copy": 1.25e10}, {"copy": 1e10}
    assert {item.verdict for item in compare(a, b)[0]} == {"indistinguishable"}
    b.limits = {"copy": 1.24e10}
    assert {item.verdict for item in compare(a, b)[0]} == {"slower"}
