"""How functions are compiled: by one process, while others wait, and by a thread that can be abandoned."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from llvmlite.binding import ffi

from dnnkit.kernels._native import compile_progress, compiling, kept
from dnnkit.kernels._native.compiling import alone, apart
from dnnkit.kernels._native.functions import Function
from tests.kernels._native.small_functions import compiled, folders, new, value
from tests.kernels.checkouts import REPORT, finish, start
from tests.processes import Process, started

__all__ = ["compiled", "folders"]  # fixtures

needs_signals = pytest.mark.skipif(os.name != "posix", reason="sends a signal to itself")


def test_the_result_or_the_failure_is_that_of_the_work():
    assert apart(lambda: 3) == 3
    with pytest.raises(KeyError, match="gone"):
        apart(lambda: {}["gone"])
    where = apart(threading.current_thread)
    assert where is not threading.current_thread()
    assert where.daemon


@needs_signals
def test_ctrl_c_works_during_a_call_and_the_work_is_still_done(monkeypatch):
    monkeypatch.setattr(compiling.atexit, "register", lambda function: at_exit.append(function))
    at_exit, release, ended = [], threading.Event(), threading.Event()

    def long_call():
        with ffi.lib._lock:
            os.kill(os.getpid(), signal.SIGINT)
            release.wait(300)
        ended.set()

    with pytest.raises(KeyboardInterrupt):
        apart(long_call)
    assert not ended.is_set()
    assert at_exit == [compiling._leave]
    release.set()
    assert apart(lambda: ended.wait(300))


def test_a_call_of_llvm_is_awaited_where_a_process_cannot_exit(monkeypatch):
    monkeypatch.setattr(compiling.ctypes, "CDLL", lambda _: object())
    monkeypatch.setattr(compiling.gc, "freeze", lambda: None)
    begun, ended = threading.Event(), threading.Event()

    def call():
        with ffi.lib._lock:
            begun.set()
            time.sleep(0.2)
            ended.set()

    thread = threading.Thread(target=call)
    thread.start()
    begun.wait()
    compiling._leave()
    assert ended.is_set()
    ffi.lib._lock._lock.release()
    thread.join()


@pytest.fixture
def folder(folders):
    return folders[0]


@needs_signals
def test_after_ctrl_c_the_same_process_compiles(folder, compiled, monkeypatch):
    (function, number), keep, slow = new(), kept.keep, threading.Event()

    def keep_late(*what):
        os.kill(os.getpid(), signal.SIGINT)
        slow.wait(300)
        keep(*what)

    monkeypatch.setattr(kept, "keep", keep_late)
    monkeypatch.setattr(compiling.atexit, "register", lambda function: None)
    with pytest.raises(KeyboardInterrupt):
        value(function)
    monkeypatch.setattr(kept, "keep", keep)
    threading.Timer(0.2, slow.set).start()
    assert value(function) == 2 * number
    assert len(compiled) == 1  # by the abandoned thread


def test_an_error_of_the_compiler_is_raised_and_leaves_no_lock(folder):
    def make(symbol):
        raise TypeError("nothing_like_that")

    for _ in range(2):
        with pytest.raises(TypeError, match="nothing_like_that"):
            value(Function("wrong", "float64", make))
    assert list(folder.iterdir()) == []


def test_threads_compile_once(folder, compiled):
    (function, number), results = new(), []
    threads = [threading.Thread(target=lambda: results.append(value(function))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [2 * number] * 4
    assert len(compiled) == 1


WAITS = """
import sys, threading
from pathlib import Path
from dnnkit.kernels._native.compiling import alone
with alone(Path(sys.argv[1]), "relu.forward", "float32"):
    print("alone", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def holder(lock: Path) -> Iterator[Process]:
    """A process that holds the lock until it reads a line."""
    with started([sys.executable, "-c", WAITS, str(lock)], stdin=subprocess.PIPE) as process:
        process.line("alone")
        yield process


@pytest.mark.parametrize("is_killed", [False, True])
def test_another_process_is_awaited_until_it_has_compiled_or_died(is_killed, folder):
    entered = threading.Event()

    def enter():
        with alone(folder / "relu.lock", "relu.forward", "float32"):
            entered.set()

    with holder(folder / "relu.lock") as process:
        thread = threading.Thread(target=enter)
        thread.start()
        while not compile_progress._under_way:
            time.sleep(0.01)
        assert compile_progress._under_way[0].is_awaited
        assert not entered.is_set()
        if is_killed:
            process.kill()
        process.end("\n")
        thread.join()
    assert entered.is_set()
    assert list(folder.iterdir()) == []


def test_a_stopped_process_is_not_awaited_for_ever(folder, monkeypatch):
    monkeypatch.setattr(compiling, "LONGEST_WAIT", 0.1)
    with holder(folder / "relu.lock") as process:
        with alone(folder / "relu.lock", "relu.forward", "float32"):
            assert (folder / "relu.lock").exists()
        assert (folder / "relu.lock").exists()  # it belongs to the other process
        process.end("\n")


@pytest.mark.parametrize("error", [OSError(37, "No locks available"), NotImplementedError("flock")])
def test_where_there_are_no_locks_it_compiles(error, folder, monkeypatch):
    import filelock

    def fail(*_, **__):
        raise error

    monkeypatch.setattr(filelock.FileLock, "acquire", fail)
    with alone(folder / "relu.lock", "relu.forward", "float32"):
        pass
    function, number = new()
    assert value(function) == 2 * number


COUNT = """
import os
from dnnkit.kernels._native import kept
keep = kept.keep

def count(name, code):
    with open(os.path.join(os.environ["XDG_CACHE_HOME"], f"counted-{os.getpid()}"), "a") as file:
        print(code.symbol, file=file)
    keep(name, code)

kept.keep = count
"""


def test_two_processes_at_once_compile_once(checkout, tmp_path):
    cache = tmp_path / "cache"
    with start(COUNT + REPORT, checkout, cache) as one, start(COUNT + REPORT, checkout, cache) as other:
        results = [finish(one), finish(other)]
    assert [result["relu"] for result in results] == [[0, 2, 3]] * 2
    assert [result["gathered"] for result in results] == [[-2, 4, 6]] * 2
    assert results[0]["folder"] == results[1]["folder"]
    counted = [line for file in tmp_path.glob("cache/counted-*") for line in file.read_text().splitlines()]
    assert sorted(counted) == ["dnnkit.activation.relu.forward.float32", "dnnkit.gather.float32.gather.float32"]
    assert not list(Path(results[0]["folder"]).glob("*.lock"))


@needs_signals
def test_ctrl_c_is_heard_while_another_process_compiles(folder, monkeypatch):
    monkeypatch.setattr(compiling.atexit, "register", lambda function: None)

    def wait():
        os.kill(os.getpid(), signal.SIGINT)
        with alone(folder / "relu.lock", "relu.forward", "float32"):
            ended.set()

    ended = threading.Event()
    with holder(folder / "relu.lock") as process:
        with pytest.raises(KeyboardInterrupt):
            apart(wait)
        assert not ended.is_set()
        process.end("\n")
        assert ended.wait(300)


TWICE = """
import numpy as np
import dnnkit as dk

x, y = np.random.default_rng(0).normal(size=(200, 30)), np.arange(200) % 4
net = dk.Sequential([dk.Dense(16, activation="relu"), dk.Dense(4, activation="softmax")], seed=0, backend="numba")
net.compile("adam", "sparse_categorical_crossentropy")
try:
    net.fit(x, y, verbose=0)
except KeyboardInterrupt:
    print("heard", flush=True)
net.fit(x, y, verbose=0)
print("trained", len(net.history.epoch))
"""


def interrupted(command, cache: Path, seconds: float, folder: Path) -> subprocess.CompletedProcess:
    """Return the end of a process that gets Ctrl-C this long after it began to compile for an empty cache."""
    environment = {**os.environ, "DNNKIT_CACHE_DIR": str(cache)}
    with started([sys.executable, *command], env=environment, cwd=folder) as process:
        while not list(cache.glob("*/*.lock")):
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        return process.end()


@pytest.mark.slow
@needs_signals
@pytest.mark.parametrize("seconds", [0.0, 0.2, 0.5])
def test_a_command_that_compiles_ends_at_once_and_leaves_nothing(seconds, tmp_path):
    command = ["-m", "dnnkit", "train", "--backend", "numba", "--epochs", "2", "--out", "run"]
    began = time.monotonic()
    done = interrupted(command, tmp_path / "cache", seconds, tmp_path)
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    assert time.monotonic() - began < 200  # it would have trained
    assert os.listdir(tmp_path) == ["cache"]
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.slow
@needs_signals
@pytest.mark.parametrize("seconds", [0.1, 0.8])
def test_after_ctrl_c_the_same_program_can_train(seconds, tmp_path):
    done = interrupted(["-c", TWICE], tmp_path / "cache", seconds, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["heard", "trained 1"]
