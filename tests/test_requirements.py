"""Tests that need a GPU are skipped where there is none, and fail where one is required."""

import os
import re
import sys
from pathlib import Path

import pytest

from tests import processes

ROOT = Path(__file__).parents[1]
FIGURES = "tests/notes/test_figures.py::test_every_figure_on_a_gpu"
ONE_CALL = "tests/backends/test_executable.py::test_a_snapshot_is_a_copy"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("required", "test", "outcome"),
    [
        ("", FIGURES, "1 skipped"),
        ("0", FIGURES, "1 skipped"),
        ("1", FIGURES, "1 error"),
        ("", ONE_CALL, "[2-9] passed"),
        ("1", ONE_CALL, "[2-9] passed, 1 error"),
    ],
)
def test_a_gpu_that_is_required_is_missed(required: str, test: str, outcome: str) -> None:
    environment = {**os.environ, "DNNKIT_REQUIRE_GPU": required, "CUDA_VISIBLE_DEVICES": "", "CI": "1"}
    environment.pop("DNNKIT_TEST_BACKENDS", None)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test]
    result = processes.run(command, cwd=ROOT, env=environment)
    assert re.search(outcome, result.stdout), result.stdout[-3000:]
    assert ("DNNKIT_REQUIRE_GPU" in result.stdout) == (outcome == "1 error")
