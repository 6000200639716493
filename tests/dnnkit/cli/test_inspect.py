"""`dnnkit inspect`: a run is shown and not changed."""

import json
from pathlib import Path

import numpy as np
import pytest

import dnnkit as dk
from tests.dnnkit.cli.command import dnnkit


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("inspect") / "run"
    net = dk.Sequential([dk.Dense(8, activation="relu"), dk.Dense(3, activation="softmax")], seed=1, backend="numba")
    net.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    rng = np.random.default_rng(0)
    net.fit(rng.normal(size=(60, 4)), rng.integers(0, 3, 60), batch_size=20, verbose=0)
    net.save(folder)
    return folder


def test_inspect_shows_layers_parts_and_the_schedule_of_the_run(run: Path, tmp_path: Path) -> None:
    before = {file.name: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    done = dnnkit(tmp_path, "inspect", str(run), "--schedule")
    assert done.returncode == 0, done.stderr
    for text in ("dense (relu)", "batches of 20", "a step", "predicted", "update_fused"):
        assert text in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
    assert before == {file.name: file.read_bytes() for file in run.rglob("*") if file.is_file()}


def test_json_agrees_with_the_table(run: Path, tmp_path: Path) -> None:
    done = dnnkit(tmp_path, "inspect", str(run), "--batch-size", "8", "--backend", "numpy", "--json", "-")
    found = json.loads(done.stdout)
    assert (found["backend"], found["batch_size"]) == ("numpy", 8)
    assert found["step"]["parts"][0]["name"] == "inputs"
    assert found["step"]["measured"] > 0


def test_a_folder_that_is_not_a_run_is_one_line(tmp_path: Path) -> None:
    done = dnnkit(tmp_path, "inspect", "nothing")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr
