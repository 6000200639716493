"""`dnnkit doctor` as a command."""

import os
import subprocess
import sys


def run(**variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "200", **variables}
    return subprocess.run(
        [sys.executable, "-m", "dnnkit", "doctor"], env=environment, capture_output=True, text=True, timeout=60
    )


def test_a_sound_machine_exits_with_0():
    done = run()
    assert (done.returncode, done.stderr) == (0, "")
    for word in ("numba", "numpy", "BLAS", "compiled kernels", "data folder", "GPU", "nothing to mend"):
        assert word in done.stdout


def test_a_problem_exits_with_1_and_says_what_to_do():
    done = run(DNNKIT_BACKEND="nonsense")
    assert done.returncode == 1
    assert "problem" in done.stdout
    assert "1 problem" in done.stdout.splitlines()[-1]
    assert "→" in done.stdout
    assert "Traceback" not in done.stderr
