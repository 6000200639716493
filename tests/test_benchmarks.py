"""The suites of pytest-benchmark: results are stored, compared and plotted as its users expect."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests import processes

ROOT = Path(__file__).parents[1]
ALONE = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
"""pytest-benchmark measures nothing in a worker of pytest-xdist."""

SHORT = "-k 'thousand or (steps and 64)' --benchmark-max-time=0.001 --benchmark-min-rounds=2 -p no:cacheprovider"


def commands() -> list[str]:
    """The commands that docs/benchmarking.md gives for comparing backends."""
    (block,) = re.findall(r"^```\n(DNNKIT_BACKEND=.*?)^```", (ROOT / "docs/benchmarking.md").read_text(), re.M | re.S)
    return block.splitlines()


def run_here(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of the documents, with little to measure; stored results go to the folder."""
    scripts = str(Path(sys.executable).parent)
    settings = f" -c {shlex.quote(str(ROOT / 'pyproject.toml'))} --rootdir={shlex.quote(str(ROOT))} {SHORT}"
    command = command.replace("benchmarks/", f"{shlex.quote(str(ROOT))}/benchmarks/")
    command += settings if "--benchmark-save" in command else ""
    environment = {**ALONE, "PATH": os.pathsep.join([scripts, os.environ["PATH"]]), "COLUMNS": "250"}
    return processes.run(command, shell=True, cwd=folder, env=environment)


def test_two_backends_are_compared_as_it_is_documented(tmp_path: Path) -> None:
    pytest.importorskip("numba")
    *measured, compare = commands()
    rows = {}
    for command in measured:
        result = run_here(command, tmp_path)
        assert result.returncode == 0, result.stdout + result.stderr
        name = command.partition("=")[2].split()[0]
        (file,) = tmp_path.glob(f".benchmarks/*/*_{name}.json")
        benchmarks = json.loads(file.read_text())["benchmarks"]
        assert {each["extra_info"]["backend"] for each in benchmarks} == {name}
        rows[name] = {each["name"] for each in benchmarks}
    assert list(rows) == ["numpy", "numba"]
    assert rows["numpy"] == rows["numba"]
    for work in ("sigmoid", "softmax_cross_entropy", "weight_update", "steps"):
        of_work = [name for name in rows["numpy"] if name.startswith(f"test_{work}[")]
        assert {"unfused" in name for name in of_work} == {True, False}
    result = run_here(compare, tmp_path)
    assert result.returncode == 0, result.stderr
    for name in rows["numpy"]:
        for number, backend in enumerate(rows, start=1):
            assert f"{name} ({number:04}_{backend})" in result.stdout


def test_an_unusable_backend_ends_the_run_with_the_reason(tmp_path: Path) -> None:
    result = run_here(commands()[0].replace("=numpy ", "=nonsense "), tmp_path)
    assert result.returncode == pytest.ExitCode.USAGE_ERROR
    assert "there is no backend 'nonsense' (from: environment variable DNNKIT_BACKEND)" in result.stderr


@pytest.mark.slow
def test_results_are_saved_compared_and_drawn(tmp_path: Path) -> None:
    def measure(*options: str) -> str:
        suite, settings = ROOT / "benchmarks" / "test_activations.py", ROOT / "pyproject.toml"
        command = [sys.executable, "-m", "pytest", str(suite), "-c", str(settings), f"--rootdir={ROOT}", "-q"]
        chosen = ["-p", "no:cacheprovider", "-k", "relu and numpy", "--benchmark-max-time=0.01"]
        result = processes.run([*command, *chosen, *options], cwd=tmp_path, env=ALONE)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    measure("--benchmark-autosave")
    compared = measure("--benchmark-compare", "--benchmark-histogram=drawn")
    assert "(NOW)" in compared
    assert "(0001_" in compared
    assert len(list(tmp_path.glob("drawn*.svg"))) >= 1
