"""Environment variables that other libraries reject at import: one line, and the trained network is kept."""

import os
import subprocess
import sys
from pathlib import Path

from tests import processes

TRAIN = ("-m", "dnnkit", "train", "digits", "--epochs", "1", "--hidden", "3", "--out", "run", "--quiet")

FORMULA = """
import dnnkit as dk
net = dk.Sequential([dk.Dense(3, activation=dk.activation("mine", "x * sigmoid(1.7351 * x)"))], backend="numba")
try:
    net.build(2)
    net.predict([[1.0, 2.0]])
except dk.errors.DnnkitError as error:
    print(error)
"""


def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "DNNKIT_CACHE_DIR": str(folder / "cache"), **variables}
    command = [sys.executable, *arguments]
    return processes.run(command, cwd=folder, env=environment)


def test_an_invalid_variable_of_matplotlib_is_one_line_after_training(tmp_path: Path) -> None:
    done = run(tmp_path, *TRAIN, "--backend", "numpy", MPLBACKEND="nope")
    assert done.returncode == 2
    assert "unset the variable MPLBACKEND" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "run").exists()


def test_an_invalid_variable_of_numba_is_one_line_where_it_is_needed(tmp_path: Path) -> None:
    done = run(tmp_path, "-c", FORMULA, NUMBA_NUM_THREADS="0")
    assert done.returncode == 0, done.stderr
    assert "Numba cannot be imported" in done.stdout
    assert "NUMBA_" in done.stdout
