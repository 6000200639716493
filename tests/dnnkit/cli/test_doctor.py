"""`dnnkit doctor` as a command."""

import os
import subprocess
import sys

import pytest

from dnnkit.backends.cupy_backend import cuda_diagnosis
from dnnkit.cli.doctor import doctor
from tests import processes


def run(**variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "200", **variables}
    return processes.run([sys.executable, "-m", "dnnkit", "doctor"], env=environment)


def test_a_sound_machine_exits_with_0():
    done = run()
    assert done.returncode == 0
    assert {line.split(" for ")[0] for line in done.stderr.splitlines()} <= {"dnnkit: compiling"}  # to measure
    for word in ("numba", "numpy", "BLAS", "compiled kernels", "cache folder", "data folder", "GPU", "No problems"):
        assert word in done.stdout


def test_a_problem_exits_with_1_and_says_what_to_do():
    done = run(DNNKIT_BACKEND="nonsense")
    assert done.returncode == 1
    assert "problem" in done.stdout
    assert "1 problem" in done.stdout.splitlines()[-1]
    assert "→" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("columns", ["80", "300"])
def test_suggested_commands_can_be_copied(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing of it is read as markup, as the [gpu] of a pip command could be, and nothing is cut off."""
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(cuda_diagnosis, "probe", lambda: cuda_diagnosis.CudaState(driver=13000))
    doctor()
    told = capsys.readouterr().out
    assert "→ pip install 'dnnkit[gpu]'" in told
    assert "…" not in told
