"""Several networks in one compiled call: who does what, how much memory, and who interrupts."""

import os
import signal
import threading
from contextlib import suppress
from pathlib import Path
from time import sleep
from typing import Any

import pytest

import dnnkit as dk
from dnnkit.backends import get_backend
from dnnkit.backends.numba_backend import NumbaBackend
from dnnkit.backends.numba_backend.many import CompiledMany
from dnnkit.kernels.compressed_rows import CompressedRows
from dnnkit.many import together
from tests.dnnkit.many.sweeps import BATCH, data, everything, network, wide

pytestmark = pytest.mark.skipif(NumbaBackend.unavailable_reason() is not None, reason="Numba is not installed")


def sweep(count: int = 6) -> list[dk.Sequential]:
    """Networks of two kinds."""
    backend = get_backend("numba")
    return [
        network(backend, seed, units=(6, 16)[seed % 2], dropout=0.2, optimizer=dk.Adam(1e-3 * (seed + 1)))
        for seed in range(count)
    ]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[CompiledMany]:
    """The objects that were made to train networks together."""
    found: list[CompiledMany] = []

    def many(self: NumbaBackend, workers: int) -> CompiledMany:
        found.append(CompiledMany(workers))
        return found[-1]

    monkeypatch.setattr(NumbaBackend, "many", many)
    return found


# one epoch per call, or several
@pytest.mark.parametrize(("stretch", "given"), [(0.0, data), (1.0, data), (1.0, wide)])
def test_nothing_depends_on_who_trains_whom(made, monkeypatch, stretch, given):
    monkeypatch.setattr(together, "STRETCH", stretch)
    results, alone = [], sweep()
    for net in alone:
        net.fit(*given(), batch_size=BATCH, epochs=9, validation_split=0.2, verbose=0)
    for workers in (1, 2, 5):
        nets = sweep()
        many = dk.fit_many(
            nets, *given(), batch_size=BATCH, epochs=9, validation_split=0.2, num_workers=workers, verbose=0
        )
        results.append([everything(net) for net in nets])
        assert many.stopped == ["epochs"] * 6
        assert all(0 < sum(history.seconds) < 60 for history in many.histories)
    assert isinstance(nets[0].executable.epoch.batches.data.x, CompressedRows) == (given is wide)
    assert results == [[everything(net) for net in alone]] * 3


def test_memory_grows_with_workers_and_not_with_networks(made):
    nets = sweep(8)
    dk.fit_many(nets, *data(), batch_size=BATCH, epochs=2, validation_split=0.2, num_workers=2, verbose=0)
    (many,) = made
    assert len(many._teams) == 4  # two kinds, each trained and measured
    assert [len(teams.teams) for teams in many._teams.values()] == [2] * 4
    assert not any(net.executable._teams for net in nets)
    assert not any(net.executable._idle_teams._idle for net in nets)


def test_ctrl_c_ends_between_two_steps_wherever_it_comes(made, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("dnnkit.training.interrupts.KEY_REPEAT", 0.0)
    options: dict[str, Any] = {"batch_size": 1, "epochs": 120, "validation_split": 0.3, "verbose": 0}
    whole = sweep()
    dk.fit_many(whole, *data(), **options)
    run = CompiledMany.run
    for times in range(5):
        timer = threading.Timer(0.03, lambda: os.kill(os.getpid(), signal.SIGINT))

        def run_and_press(self, works, timer=timer, presses=times < 4):
            if presses and not timer.is_alive() and timer.ident is None:
                timer.start()
            run(self, works)

        monkeypatch.setattr(CompiledMany, "run", run_and_press)
        nets = sweep()
        with suppress(KeyboardInterrupt):
            dk.fit_many(nets, *data(), checkpoint=tmp_path, resume=times > 0, **options)
            if timer.ident is not None:
                timer.join()
                sleep(1.0)  # until the signal arrives, even if training ended before
    assert [everything(net) for net in nets] == [everything(net) for net in whole]


def test_another_thread_reads_a_network_meanwhile(made):
    x, y = data()
    nets, whole, is_over, asked = sweep(), sweep(), threading.Event(), 0
    dk.fit_many(whole, x, y, batch_size=1, epochs=60, verbose=0)
    nets[0].build(x.shape[1])

    def ask() -> None:
        nonlocal asked
        while not is_over.is_set():
            nets[0].predict(x)
            asked += 1

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        dk.fit_many(nets, x, y, batch_size=1, epochs=60, verbose=0)
    finally:
        is_over.set()
        thread.join()
    assert asked
    assert [everything(net) for net in nets] == [everything(net) for net in whole]
