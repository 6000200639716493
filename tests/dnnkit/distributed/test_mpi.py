"""Training under `mpirun`, with processes on this machine."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.errors import BackendUnavailable
from tests import processes

ROOT = Path(__file__).parents[3]

SCRIPT = """
import hashlib, json, os, signal, sys
import numpy as np, dnnkit as dk

what, rank = sys.argv[1], int(os.environ.get("PMI_RANK", "0"))
print("pid", os.getpid(), flush=True)
rng = np.random.default_rng(0)
x, y = rng.normal(size=(203, 7)), rng.integers(0, 3, 203)
if what == "files":
    x, y = dk.streams.open("x.npy", "y.npy", buffer=60 * 64 / 2**20, block_rows=5), None
calls = 0

def metric(y_true, y_pred):
    global calls
    calls += 1
    if rank == 2 and calls == 60 and what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if rank == 2 and calls == 60 and what == "raise":
        raise ValueError("a metric that fails")
    return (y_true == y_pred.argmax(axis=1)).astype(float)

layers = [dk.Dense(16, activation="relu"), dk.Dropout(0.3), dk.Dense(3, activation="softmax")]
net = dk.Sequential(layers, seed=1, dtype="float64", backend="numba")
net.compile(dk.Adam(0.01), "sparse_categorical_crossentropy", metrics=[metric])
save = {} if what in ("plain", "raise") else {"checkpoint": "run", "checkpoint_every": "5 steps"}
alone = {} if what == "alone" else {"distributed": "mpi"}
history = net.fit(x, y, batch_size=30, epochs=12, verbose=0, validation_split=0.1, **save, **alone)
numbers = np.concatenate([net.parameters[name].ravel() for name in net.parameters])
print(json.dumps({"bits": hashlib.sha256(numbers.tobytes()).hexdigest(), "numbers": numbers.tolist(),
                  "val_loss": history["val_loss"]}), flush=True)
"""


def metric(y_true: Any, y_pred: Any) -> Any:
    return (y_true == y_pred.argmax(axis=1)).astype(float)


def mpiexec(ranks: int, *command: str | Path) -> list[str | Path]:
    """Return the command that starts this number of ranks; skip where MPI is missing."""
    pytest.importorskip("mpi4py")
    found = shutil.which("mpiexec", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if found is None:
        pytest.skip("needs mpiexec: pip install mpich")
    return [found, "-n", str(ranks), sys.executable, *command]


def run(ranks: int, what: str, folder: Path) -> subprocess.CompletedProcess[str]:
    script = folder / "script.py"
    script.write_text(SCRIPT)
    command = mpiexec(ranks, script, what) if ranks else [sys.executable, script, what]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = processes.run(command, cwd=folder, env=env, patience=120)
    for pid in re.findall(r"pid (\d+)", done.stdout):
        assert not Path(f"/proc/{pid}").exists(), f"process {pid} is left over"
    return done


def said(done: subprocess.CompletedProcess[str]) -> list[dict[str, object]]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in re.findall(r"\{.*?\}", done.stdout)]


@pytest.mark.extras
def test_ranks_have_the_bits_of_one_process_on_two_and_four_and_after_a_kill(tmp_path: Path) -> None:
    (alone,) = said(run(0, "alone", tmp_path))
    two, four = said(run(2, "plain", tmp_path)), said(run(4, "plain", tmp_path))
    assert len(two) == 2
    assert len(four) == 4
    assert len({str(found["bits"]) for found in two + four}) == 1
    assert four[0]["numbers"] == pytest.approx(alone["numbers"], rel=1e-9, abs=1e-12)
    assert four[3]["val_loss"] == pytest.approx(alone["val_loss"], rel=1e-9)
    shutil.rmtree(tmp_path / "run")
    killed = run(4, "kill", tmp_path)
    assert killed.returncode != 0
    assert "{" not in killed.stdout
    assert dk.load(tmp_path / "run", custom_objects={"metric": metric}).executable.state.step > 0  # it is complete
    assert {str(found["bits"]) for found in said(run(3, "checkpoint", tmp_path))} == {two[0]["bits"]}


@pytest.mark.extras
def test_ranks_that_read_files_have_equal_bits_on_two_and_four(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", rng.normal(size=(203, 7)))
    np.save(tmp_path / "y.npy", rng.integers(0, 3, 203))
    two = said(run(2, "files", tmp_path))
    shutil.rmtree(tmp_path / "run")
    four = said(run(4, "files", tmp_path))
    assert len(two + four) == 6
    assert all(found == two[0] for found in two + four)


@pytest.mark.extras
def test_a_rank_that_fails_ends_all_with_one_traceback(tmp_path: Path) -> None:
    done = run(4, "raise", tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 1
    assert done.stderr.rstrip().endswith("ValueError: a metric that fails")


@pytest.mark.extras
def test_an_interrupted_command_resumes_with_other_ranks(tmp_path: Path) -> None:
    train = ["-m", "dnnkit", "train", "digits", "--distributed", "mpi"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    begun = [*train, "--epochs", "100000", "--out", "run"]
    with processes.started(mpiexec(4, *begun), cwd=tmp_path, env=env, patience=120) as process:
        process.line("Epoch ")
        process.send_signal(signal.SIGINT)
        done = process.end()
    assert done.returncode == 130, done.stderr
    assert done.stdout.count("interrupted and saved; continue with  dnnkit train --resume run") == 1
    assert "Traceback" not in done.stderr
    epoch = dk.load(tmp_path / "run").executable.state.epoch + 2
    more = mpiexec(2, *train[:3], "--resume", "run", "--distributed", "mpi", "--epochs", str(epoch))
    done = processes.run(more, cwd=tmp_path, env=env, patience=120)
    assert done.returncode == 0, done.stderr
    assert dk.load(tmp_path / "run").executable.state.epoch == epoch
    assert (tmp_path / "run" / "curves.png").exists()
    done = processes.run(mpiexec(2, *begun), cwd=tmp_path, env=env, patience=120)
    assert done.returncode == 2
    assert done.stderr.count("dnnkit: run holds a run already") == 1


def test_without_mpi4py_one_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    net = dk.Sequential([dk.Dense(1)], seed=0)
    net.compile("sgd", "mean_squared_error")
    with pytest.raises(BackendUnavailable, match=r"pip install 'dnnkit\[mpi\]', and start with mpirun -n 4"):
        net.fit([[0.0]], [[1.0]], distributed="mpi")
