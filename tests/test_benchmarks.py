"""The suites of pytest-benchmark: results are kept, compared and drawn as its users expect."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_results_are_saved_compared_and_drawn(tmp_path: Path) -> None:
    # With one of several processes that test, nothing would be measured.
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}

    def measure(*options: str) -> str:
        suite, settings = ROOT / "benchmarks" / "test_activations.py", ROOT / "pyproject.toml"
        command = [sys.executable, "-m", "pytest", str(suite), "-c", str(settings), f"--rootdir={ROOT}", "-q"]
        chosen = ["-p", "no:cacheprovider", "-k", "relu and numpy", "--benchmark-max-time=0.01"]
        result = subprocess.run([*command, *chosen, *options], cwd=tmp_path, env=alone, capture_output=True, text=True)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    measure("--benchmark-autosave")
    compared = measure("--benchmark-compare", "--benchmark-histogram=drawn")
    assert "(NOW)" in compared
    assert "(0001_" in compared
    assert len(list(tmp_path.glob("drawn*.svg"))) >= 1
