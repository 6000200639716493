"""`dnnkit bench` as commands: the files they write, and one line for what cannot be measured."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests import processes
from tests.dnnkit.cli.command import dnnkit

SMALL = ["--quick", "--rounds", "2", "--backend", "numpy"]
ACTIVATIONS = [*SMALL, "--activation", "relu,tanh", "--seeds", "2", "--epochs", "3", "--width", "8", "--depth", "2"]


def bench(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return dnnkit(folder, "bench", *arguments)


def bench_in_a_process(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dnnkit", "bench", *arguments]
    return processes.run(command, cwd=folder)


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> Path:
    """A folder with the files of one run."""
    folder = tmp_path_factory.mktemp("bench")
    files = ["--json", "a.json", "--csv", "a.csv", "--report", "a.html"]
    done = bench(folder, "activations", *ACTIVATIONS, *files, "--full")
    assert done.returncode == 0, done.stderr
    for word in ("One element", "A training step", "Learning", "against relu", "identical code differed by"):
        assert word in done.stdout
    first = done.stdout.splitlines()[0]
    assert "within these epochs on numpy" in first or "reaches" in first
    assert "Faster per iteration?" in done.stdout
    return folder


def test_activations_are_measured_in_every_way(measured):
    raw = json.loads((measured / "a.json").read_text())
    rows = raw["rows"]
    assert {row["case"]["activation"] for row in rows} == {"relu", "tanh"}
    elements = [row for row in rows if row["table"] == "elements"]
    assert {(r["case"]["pass"], r["case"]["cache"]) for r in elements} == {
        (direction, cache) for direction in ("forward", "backward") for cache in ("warm", "cold")
    }
    assert all(len(row["samples"]) == 2 and row["median"] > 0 and row["facts"]["error"] < 1e-5 for row in elements)
    assert {row["case"]["task"] for row in rows if row["table"] == "learning"} == {
        "truth table, rate 1",
        "truth table, rate 0.3",
        "digits to 95%",
        "digits to 97%",
        "digits",
    }
    assert all(row["facts"]["of"] == 2 for row in rows if row["case"].get("quantity") == "iterations")
    assert raw["settings"]["depth"] == 2
    assert raw["command"].startswith("dnnkit bench activations --quick")
    assert len(raw["identical"]) >= 6


def test_csv_has_the_same_rows(measured):
    lines = list(csv.DictReader((measured / "a.csv").read_text().splitlines()))
    assert len(lines) == len(json.loads((measured / "a.json").read_text())["rows"])
    assert {line["table"] for line in lines} == {"elements", "step", "learning"}


def test_two_files_are_compared(measured):
    done = bench(measured, "compare", "a.json", "a.json", "--json", "-")
    assert (done.returncode, "0 slower" in done.stderr) == (0, True)
    rows = json.loads(done.stdout)["rows"]
    assert {row["verdict"] for row in rows} == {"indistinguishable"}
    assert {row["ratio"] for row in rows} == {1.0}


def test_runs_are_shown_in_their_order(measured):
    done = bench(measured, "history", "a.json", "a.json", "--json", "-")
    assert done.returncode == 0, done.stderr
    first, second = json.loads(done.stdout)["runs"]
    assert (first["before"], second["before"], second["same_machine"]) == (None, "a", True)
    assert (second["ratio"], second["faster"], second["slower"]) == (1.0, 0, 0)
    assert "no difference above" in done.stderr


def test_json_on_standard_output_is_alone_there(tmp_path):
    done = bench_in_a_process(tmp_path, "step", *SMALL, "--network", "64-128", "--json", "-")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["rows"]
    assert row["case"] == {"network": "64-128-10 tanh adam batch 32", "backend": "numpy"}
    assert row["facts"]["of floor"] > 0


def test_csv_on_standard_output_is_alone_there(tmp_path):
    kernels = ["relu forward", "dense backward", "update adam"]
    done = bench(tmp_path, "kernels", *SMALL, "--kernel", ",".join(kernels), "--csv", "-")
    assert done.returncode == 0, done.stderr
    lines = list(csv.DictReader(done.stdout.splitlines()))
    assert {line["kernel"] for line in lines} == {*kernels, "copy", "matrix product", "matrix product, NumPy's BLAS"}
    assert {line["size"] for line in lines} == {"small", "large"}
    assert {line["bound by"] for line in lines if line["kernel"] == "dense backward"} == {"operations"}


def test_a_formula_is_measured_next_to_the_built_in_of_its_name(tmp_path):
    pytest.importorskip("dnnkit.formula", reason="activations from formulas are not part of this checkout")
    own = ["--add", "tanh=1-2/(1+exp(2*x))"]  # which replaces the name for the rest of the process
    done = bench_in_a_process(tmp_path, "activations", *ACTIVATIONS, "--epochs", "1", *own, "--json", "-")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    assert {row["case"]["activation"] for row in rows} == {"relu", "tanh", "tanh (formula)"}


@pytest.mark.slow
def test_peers_are_measured_in_processes_of_their_own(tmp_path):
    options = ["--quick", "--peer", "dnnkit,numpy", "--work", "6", "--json", "-"]
    done = bench(tmp_path, "peers", *options)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    neuron = [row for row in rows if row["case"]["work"].startswith("6.")]
    assert [row["case"]["peer"] for row in neuron] == ["dnnkit", "numpy"]
    assert neuron[0]["facts"]["loss"] == pytest.approx(neuron[1]["facts"]["loss"], rel=1e-3)


def test_a_random_network_is_measured_by_dnnkit_alone(tmp_path):
    options = ["--count", "1", "--seed", "2", "--quick", "--peer", "dnnkit"]
    done = bench(tmp_path, "random", *options, "--json", "a.json", "--markdown", "a.md")
    assert done.returncode == 0, done.stderr
    raw = json.loads((tmp_path / "a.json").read_text())
    (row,) = raw["rows"]
    assert f"1 of 1: {row['case']['network']}" in done.stderr
    assert row["case"]["network"].split()[0] in done.stdout
    assert row["facts"]["loss"] > 0
    assert raw["settings"]["seed"] == 2
    assert len(raw["identical"]) == 1
    assert f"| {row['case']['network']} |" in (tmp_path / "a.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["activations", "--activation", "rleu"], "rleu"),
        (["activations", "--activation", "softmax"], "softmax"),
        (["activations", "--backend", "nonsense"], "nonsense"),
        (["activations", "--seeds", "0"], "--seeds"),
        (["activations", "--rounds", "0"], "--rounds"),
        (["activations", "--json", "-", "--csv", "-"], "--csv -"),
        (["activations", "--report", "absent/report.html"], "absent/report.html"),
        (["kernels", "--kernel", "nonsense"], "relu forward"),
        (["kernels", "--dtype", "float16"], "float16"),
        (["step", "--network", "1-2-3"], "1-2-3"),
        (["peers", "--peer", "nonsense"], "unknown peers nonsense: choose from dnnkit"),
        (["peers", "--work", "99"], "unknown works 99"),
        (["peers", "--data", "nonsense"], "nonsense"),
        (["random", "--count", "0"], "--count"),
        (["random", "--seed", "-1"], "--seed"),
        (["random", "--rounds", "0"], "--rounds"),
        (["random", "--peer", "keras"], "unknown peers keras: choose from dnnkit"),
        (["random", "--markdown", "-", "--json", "-"], "--markdown -"),
        (["random", "--markdown", "absent/a.md"], "absent/a.md"),
        (["compare", "absent.json", "absent.json"], "absent.json"),
        (["history"], "no such path benchmarks"),
        (["history", "."], "no results in ."),
    ],
)
def test_bad_input_is_one_error_and_status_2(tmp_path, arguments, message):
    done = dnnkit(tmp_path, "bench", *arguments)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert message in line
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []
