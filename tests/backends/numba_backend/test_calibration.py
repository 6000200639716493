"""What a machine can do is measured once, kept, and measured anew where that is damaged."""

import json
import math
import threading
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from dnnkit.backends.numba_backend.calibration import Machine, _in_turn, machine
from dnnkit.backends.processors import processors
from dnnkit.kernels._numba import blas, jit
from dnnkit.kernels.train_steps import calibration_loops
from tests.backends.numba_backend.machines import INFINITE, usual


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of its own; what is compiled for measuring stays where it was declared."""
    assert calibration_loops.products
    monkeypatch.setattr(jit, "cache_folder", lambda: tmp_path)
    return tmp_path


def numbers_of(folder: Path) -> dict[str, float]:
    (file,) = folder.glob("machine*")  # no temporary one is left
    assert file.name == f"machine-{processors()}-{blas.kernels()}.json"
    return json.loads(file.read_text())


def check_sensible(here: Machine) -> None:
    """Not by how much time anything took, but that all are numbers a model can divide by."""
    for value in asdict(here).values():
        assert isinstance(value, float)
        assert 0 < value < INFINITE


def test_this_machine_is_measured_once_and_kept(folder: Path) -> None:
    here = machine.__wrapped__()
    check_sensible(here)
    assert numbers_of(folder) == asdict(here)
    assert machine.__wrapped__() == here
    kept = usual(flops=123.0)
    (folder / f"machine-{processors()}-{blas.kernels()}.json").write_text(json.dumps(asdict(kept)))
    assert machine.__wrapped__() == kept
    assert numbers_of(folder) == asdict(kept)


def test_a_full_disk_costs_the_next_process_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dnnkit.backends.numba_backend.calibration.replace", fail)
    monkeypatch.setattr("dnnkit.backends.numba_backend.calibration.measure", usual)
    assert machine.__wrapped__() == usual()
    assert list(folder.iterdir()) == []


def test_ctrl_c_leaves_no_thread_that_waits_for_the_one_it_ended() -> None:
    others = []

    def probe(thread: int, flags: np.ndarray, numbers: np.ndarray, count: int) -> None:
        if thread == 1:
            others.append(threading.current_thread())
            while flags[0] < count:
                time.sleep(0.001)
        elif count > 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _in_turn(probe, 5)
    for other in others:
        other.join(60)
        assert not other.is_alive()


GOOD = asdict(usual())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        "null",
        "{}",
        json.dumps(GOOD)[:-9],
        json.dumps(GOOD | {"more": 1.0}),
        json.dumps({name: value for name, value in GOOD.items() if name != "bytes"}),
        json.dumps(GOOD | {"flops": "fast"}),
        json.dumps(GOOD | {"flops": None}),
        json.dumps(GOOD | {"bytes": 0.0}),
        json.dumps(GOOD | {"exchange": math.nan}),
        json.dumps(GOOD | {"call": -1.0}),
    ],
)
def test_a_damaged_file_is_measured_anew_and_replaced(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dnnkit.backends.numba_backend.calibration.measure", lambda: usual(flops=77.0))
    (folder / f"machine-{processors()}-{blas.kernels()}.json").write_text(text)
    assert machine.__wrapped__() == usual(flops=77.0)
    assert numbers_of(folder) == asdict(usual(flops=77.0))


def test_a_file_of_bytes_that_are_no_text_is_measured_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dnnkit.backends.numba_backend.calibration.measure", usual)
    (folder / f"machine-{processors()}-{blas.kernels()}.json").write_bytes(b"\xff\xfe\x00\x80")
    assert machine.__wrapped__() == usual()
    assert numbers_of(folder) == asdict(usual())


def test_processes_that_measure_at_once_leave_one_whole_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads here: their temporary files are as many as those of processes would be."""
    monkeypatch.setattr(
        "dnnkit.backends.numba_backend.calibration.measure", lambda: usual(flops=float(threading.get_ident() % 997 + 1))
    )
    file, writers = folder / f"machine-{processors()}-{blas.kernels()}.json", 8
    barrier, found, failures = threading.Barrier(writers), [], []

    def work() -> None:
        barrier.wait()
        for _ in range(20):
            try:
                found.append(machine.__wrapped__())
                file.unlink(missing_ok=True)
            except Exception as error:
                failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert {(here.bytes, here.call, here.exchange) for here in found} == {(1e11, 1e-7, 1e-6)}
    machine.__wrapped__()
    assert numbers_of(folder).keys() == GOOD.keys()
