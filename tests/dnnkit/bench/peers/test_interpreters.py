"""A peer in another interpreter, which has NumPy and the peer's library but not dnnkit."""

import json
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest

from dnnkit.bench.peers import parent, samples
from dnnkit.bench.peers.interpreters import FOLDER, command, environment
from tests import processes
from tests.dnnkit.bench.peers.made_up import ROOT, SMALL

NEW = """
from importlib.util import find_spec

from .works import Work

PACKAGES = ("numpy",)
VARIANTS = ("",)


def about(variant):
    return {"setting": f"works: {find_spec('works')}", "threads": "1"}
"""


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter with NumPy, borrowed from this one, and nothing else."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    for found in Path(np.__file__).parents[1].glob("numpy*"):
        (packages / found.name).symlink_to(found)
    return str(folder / "bin" / "python")


@pytest.fixture
def _dnnkit_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a checkout that is not installed."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def run(python: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return processes.run(command(python, *arguments), env=environment(python))


@pytest.mark.usefixtures("_dnnkit_on_the_path")
def test_nothing_of_this_environment_is_found_there(other: str, tmp_path: Path) -> None:
    code = "import numpy, sys; print(numpy.__version__); import dnnkit"
    result = processes.run([other, "-c", code], env=environment(other), cwd=tmp_path)
    assert result.stdout.strip() == np.__version__, result.stderr
    assert "No module named 'dnnkit'" in result.stderr


@pytest.mark.usefixtures("_dnnkit_on_the_path")
def test_a_child_needs_no_dnnkit(other: str, tmp_path: Path) -> None:
    samples.write(tmp_path, samples.random_digits(SMALL.samples, 100), SMALL.samples)
    done = run(other, "run-one", "numpy", json.dumps(SMALL.to_json()), str(tmp_path))
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["counted"] == SMALL.counted
    assert np.isfinite(answer["loss"])
    assert json.loads(run(other, "run-one", "dnnkit").stdout) == {"missing": "dnnkit"}


@pytest.mark.usefixtures("_dnnkit_on_the_path")
def test_one_run_with_peers_in_two_interpreters(other: str, tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    options = ["--rounds", "1", "--samples", "100", "--epochs", "1", "--product", "8", "--data", "random"]
    options += ["--works", "6", "--peers", "numpy,scikit-learn", "--twins", "numpy", "--out", str(out)]
    assert parent.main([*options, "--python", f"numpy={other}", "--python", f"scikit-learn={other}"]) == 0
    results = json.loads(out.read_text())
    assert list(results["peers"]) == ["numpy", "numpy-again"]
    assert results["left_out"] == {"scikit-learn": "sklearn is not installed; to install it: pip install scikit-learn"}
    assert [record["peer"] for record in results["records"] if record["work"] == "6"] == ["numpy", "numpy-again"]


def test_this_interpreter_finds_the_dnnkit_that_runs(tmp_path: Path) -> None:
    """Also from a folder that has another one."""
    (tmp_path / "dnnkit").mkdir()
    (tmp_path / "dnnkit" / "__init__.py").write_text("raise ImportError('the wrong one')\n")
    done = processes.run(
        command(sys.executable, "run-one", "dnnkit"),
        env=environment(sys.executable),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "neuron" in json.loads(done.stdout)["kinds"]


def test_a_new_peer_is_one_file_and_no_file_hides_a_library(other: str, tmp_path: Path) -> None:
    copy = shutil.copytree(FOLDER, tmp_path / "peers", ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "new_peer.py").write_text(NEW)
    done = processes.run([other, str(copy), "run-one", "new"])
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["setting"] == "works: None"
