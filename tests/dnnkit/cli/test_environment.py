"""Variables that other libraries refuse as they are imported: one line, and what was trained is kept."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("variable", "backend", "told"),
    [
        ({"NUMBA_NUM_THREADS": "0"}, "numba", "such as NUMBA_NUM_THREADS"),
        ({"MPLBACKEND": "nope"}, "numpy", "unset the variable MPLBACKEND"),
    ],
)
def test_a_variable_of_another_library_is_one_line(tmp_path: Path, variable: dict, backend: str, told: str) -> None:
    line = ["train", "digits", "--epochs", "1", "--hidden", "3", "--out", "run", "--quiet", "--backend", backend]
    environment = {**os.environ, **variable}
    done = subprocess.run(
        [sys.executable, "-m", "dnnkit", *line], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "run").exists() == (backend == "numpy")
