"""The second process that compiles: never missed, never left behind, and of use where nothing is compiled yet."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dnnkit as dk

beside = pytest.importorskip("dnnkit.backends.numba_backend.beside")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The second processes, which are started though all is compiled; afterwards none is left."""
    found: list[subprocess.Popen[bytes]] = []

    class Watched(subprocess.Popen):
        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, **more)
            found.append(self)

    monkeypatch.setattr(beside.Beside, "_is_worth_it", lambda self: True)
    monkeypatch.setattr(beside.subprocess, "Popen", Watched)
    yield found
    assert all(process.poll() is not None for process in found), "a process is left"


def trained() -> dk.Sequential:
    rng = np.random.default_rng(0)
    net = dk.Sequential([dk.Dense(8, activation="relu"), dk.Dense(3, activation="softmax")], seed=0, backend="numba")
    net.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    net.fit(rng.normal(size=(60, 5)), rng.integers(0, 3, 60), verbose=0)
    return net


def test_training_is_the_same_with_a_second_process_with_one_that_fails_and_without(
    started: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    nets = [trained()]
    assert len(started) == 1
    monkeypatch.setattr(beside.sys, "executable", "/bin/false")  # it ends at once, and the pipe to it breaks
    nets.append(trained())
    monkeypatch.setattr(beside.sys, "executable", "/nowhere/python")  # it cannot be started
    nets.append(trained())
    monkeypatch.setattr(beside.Beside, "_is_worth_it", lambda self: False)
    nets.append(trained())
    for net in nets[1:]:
        np.testing.assert_equal(dict(net.parameters), dict(nets[0].parameters))


def test_data_that_are_refused_leave_no_process(started: list[Any]) -> None:
    net = trained()
    with pytest.raises(dk.errors.DataError):
        net.fit(np.full((60, 5), np.nan), np.zeros(60, int), verbose=0)
    del net


def test_it_compiles_what_it_is_told_and_skips_what_it_cannot() -> None:
    tasks = [
        ("activation", "relu", "forward"),
        ("loss", "mean_squared_error", "values"),
        ("metric", "binary_accuracy", "values"),
        ("rule", "sgd"),
        ("opcode", "activate"),
        ("opcode", "begin"),
    ]
    for task in tasks:
        beside.compile_task(*task, dtype="float64")
    with pytest.raises(KeyError):
        beside.compile_task("opcode", "nothing", dtype="float64")
    lines = "".join(json.dumps(task) + "\n" for task in [("opcode", "nothing"), ("nonsense", "x", "y"), *tasks])
    command = [sys.executable, "-P", "-m", beside.__name__, "float64"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, input=lines, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_where_all_is_compiled_or_one_processor_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    trained()
    assert not beside.Beside("float32")._is_worth_it()
    monkeypatch.setattr(beside, "holds", lambda title: False)
    monkeypatch.setattr(beside, "_trained_in", set())
    monkeypatch.setattr(beside, "processors", lambda: 2)
    assert beside.Beside("float32")._is_worth_it()
    monkeypatch.setattr(beside, "processors", lambda: 1)
    assert not beside.Beside("float32")._is_worth_it()
    monkeypatch.setattr(beside, "processors", lambda: 2)
    for executable in ("", None, "/usr/bin/some-program"):
        monkeypatch.setattr(beside.sys, "executable", executable)
        assert not beside.Beside("float32")._is_worth_it()


COLD = """
import numpy as np
import dnnkit as dk
from dnnkit.kernels._numba.places import cache_folder
net = dk.Sequential([dk.Dense(8, activation="relu"), dk.Dense(3, activation="softmax")], seed=0, backend="numba")
net.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
net.fit(np.eye(60, 5), np.arange(60) % 3, verbose=0)
print(len(list(cache_folder().glob("*.kernel"))), len(list(cache_folder().glob("*.part"))))
print(net.parameters["dense/kernel"].tobytes().hex())
"""


@pytest.mark.slow
def test_from_an_empty_cache_one_or_two_processes_compile_the_same(tmp_path: Path) -> None:
    printed = []
    alone = "from dnnkit.backends import processors\nprocessors.processors = lambda: 1\n"
    for place, before in (("two", ""), ("one", alone)):
        environment = {**os.environ, "DNNKIT_CACHE_DIR": str(tmp_path / place), "DNNKIT_PARTITION": "units/1"}
        done = subprocess.run([sys.executable, "-c", before + COLD], env=environment, capture_output=True, text=True)
        printed.append(done.stdout.splitlines())
        assert done.returncode == 0, done.stderr
    assert printed[0] == printed[1]
    kernels, parts = map(int, printed[0][0].split())
    assert kernels > 10
    assert parts == 0
