"""Tests whose compiler is missing are skipped and counted; in CI they fail."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import requirements

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(("environment", "said"), [({"CI": ""}, "1 skipped"), ({"CI": "1"}, "1 error")])
def test_without_a_compiler(environment: dict[str, str], said: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/cuda_on_cpu/test_planted_bugs.py"]
    result = subprocess.run(
        [*command, "-k", "test_more_shared_memory"],
        cwd=ROOT,
        env={**os.environ, **environment, "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert said in result.stdout, result.stdout + result.stderr
    assert "needs g++" in result.stdout


@pytest.mark.parametrize("marker", requirements.NEEDED)
def test_each_requirement_is_looked_for(
    marker: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    request.node.add_marker(marker)
    words, _ = requirements.NEEDED[marker]
    monkeypatch.setitem(requirements.NEEDED, marker, (words, lambda: "/usr/bin/there"))
    monkeypatch.delenv("CI", raising=False)
    requirements.require(request.node)
    monkeypatch.setitem(requirements.NEEDED, marker, (words, lambda: None))
    with pytest.raises(pytest.skip.Exception, match="needs"):
        requirements.require(request.node)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="CI must have it"):
        requirements.require(request.node)
