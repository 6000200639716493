"""The tests that every backend passes, passed by the CuPy backend on the stand-in: kernels and all, on the CPU."""

import os
import re
import sys
from pathlib import Path

import pytest

from tests import processes

ROOT = Path(__file__).parents[2]
TESTS = {
    "trajectories and data": [
        "backends/test_executable.py",
        "backends/stagewise/test_finite.py",
    ],
    "functions, gradients and networks": [
        "dnnkit/test_ops.py",
        "dnnkit/network/test_gradients.py",
        "dnnkit/network/test_sequential.py",
        "dnnkit/test_optimizers.py",
        "dnnkit/test_losses_epsilon.py",
        "dnnkit/test_losses.py",
        "dnnkit/formula/test_losses.py",
        "dnnkit/training/test_loop.py",
        "dnnkit/training/test_interrupted.py",
        "dnnkit/saves/test_pickling.py",
        "dnnkit/saves/test_saving.py",
        "dnnkit/test_exercises.py",
        "dnnkit/network/test_lowering.py",
    ],
}


@pytest.mark.cuda_on_cpu
@pytest.mark.slow
@pytest.mark.parametrize("what", TESTS)
def test_the_tests_of_every_backend_pass(what: str) -> None:
    """In a separate process, where CuPy is the stand-in from the start."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "cupy"]
    plugin = ["-p", "tests.cuda_on_cpu.stand_in_plugin"]
    environment = {**os.environ, "DNNKIT_TEST_BACKENDS": "cupy"}
    files = [str(Path("tests") / name) for name in TESTS[what]]
    result = processes.run([*command, *plugin, *files], cwd=ROOT, env=environment)
    assert result.returncode == 0, result.stdout[-5000:] + result.stderr[-2000:]
    passed = re.search(r"(\d+) passed", result.stdout)
    assert passed is not None, result.stdout
    assert int(passed[1]) > 100
    assert "skipped" not in result.stdout
