"""Standard output that cannot be written, or not in all characters: the work is done and saved all the same."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import dnnkit as dk
from tests import processes
from tests.dnnkit.cli import command

TRAIN = ("train", "--epochs", "2", "--hidden", "4", "--backend", "numpy", "--out", "run")


def dnnkit(folder: Path, *arguments: str, redirect: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    line = ["bash", "-c", f'"$0" "$@" {redirect}', sys.executable, "-c", command.WITHOUT_PICTURES, *arguments]
    return processes.run(line, cwd=folder, env={**os.environ, **variables})


@pytest.mark.parametrize("encoding", ["ascii", "gbk", "cp932", "big5"])
def test_letters_that_it_has_not_end_nothing(encoding: str, tmp_path: Path) -> None:
    if encoding == "ascii":
        done = dnnkit(tmp_path, *TRAIN, PYTHONIOENCODING=encoding)
    else:  # with streams created like Python's own
        done = command.dnnkit(tmp_path, *TRAIN, encoding=encoding)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count(" us/sample") == 2
    assert len(dk.load(tmp_path / "run").history.epoch) == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize(
    ("redirect", "said"), [("> /dev/full", "No space left"), (">&-", ""), ("| true", "Broken pipe")]
)
def test_a_run_is_saved_without_standard_output(redirect: str, said: str, tmp_path: Path) -> None:
    done = dnnkit(tmp_path, *TRAIN, redirect=redirect, PYTHONUNBUFFERED="")  # Python's default
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert said in done.stderr
    assert len(done.stderr.splitlines()) <= 2
    assert len(dk.load(tmp_path / "run").history.epoch) == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("speaker", ["--help", "backends", "doctor"])
def test_commands_that_only_print_fail_in_one_line(speaker: str, tmp_path: Path) -> None:
    done = dnnkit(tmp_path, speaker, redirect="> /dev/full")
    assert done.returncode == 2
    assert done.stderr.splitlines() == ["dnnkit: cannot write to standard output: No space left on device"]


def test_in_a_script_training_continues_too(tmp_path: Path) -> None:
    program = """
import sys
import numpy as np
import dnnkit as dk
if sys.argv[1] == "none":
    sys.stdout = None
else:
    sys.stdout.close()
for verbose in ("auto", 1, 2):
    net = dk.Sequential([dk.Dense(1)], seed=0, backend="numpy")
    net.compile("sgd", "mean_squared_error")
    net.fit(np.ones((9, 2)), np.ones((9, 1)), epochs=3, verbose=verbose)
    assert len(net.history.epoch) == 3, verbose
"""
    for stream in ("none", "closed"):
        done = processes.run([sys.executable, "-c", program, stream], cwd=tmp_path)
        assert done.returncode == 0, (stream, done.stderr)
        assert "Traceback" not in done.stderr
