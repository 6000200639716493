"""No more threads than processors: further ones would wait for each other, and a network may come from a larger
machine."""

import os

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import Backend, processors


@pytest.mark.parametrize(("asked", "expected"), [(None, 4), (1, 1), (4, 4), (5, 4), (10**30, 4)])
def test_usable(asked, expected, monkeypatch):
    monkeypatch.setattr(processors, "processors", lambda: 4)
    assert processors.usable(asked) == expected


def trained(backend: Backend, num_threads: int | None) -> dk.Sequential:
    net = dk.Sequential([dk.Dense(32), dk.Dense(8)], seed=0, backend=backend, num_threads=num_threads)
    net.compile("adam", "mean_squared_error")
    x = np.random.default_rng(0).normal(size=(512, 64))
    net.fit(x, x[:, :8], batch_size=64, epochs=2, verbose=0)
    return net


def test_any_number_of_threads_trains_like_all_processors_and_is_kept(backend: Backend, tmp_path):
    here = processors.processors()
    expected, many = trained(backend, here), trained(backend, 10**30)
    for name, value in expected.parameters.items():
        np.testing.assert_array_equal(many.parameters[name], value)
    assert many.num_threads == 10**30
    many.save(tmp_path / "run")
    assert dk.load(tmp_path / "run").num_threads == 10**30


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads cannot be moved here")
def test_a_thread_leaves_a_processor_and_may_come_back(monkeypatch):
    allowed, moved = os.sched_getaffinity(0), []
    monkeypatch.setattr(os, "sched_setaffinity", lambda thread, to: moved.append(to))
    processors.leave(None)
    assert processors.current() in {None, *allowed}
    assert moved == []
    one = min(allowed)
    processors.leave(one)
    assert moved == ([allowed - {one}, allowed] if len(allowed) > 1 else [])


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads cannot be moved here")
def test_a_thread_that_must_stay_stays(monkeypatch):
    allowed = os.sched_getaffinity(0)
    processors.leave(min(allowed))
    assert os.sched_getaffinity(0) == allowed
    monkeypatch.setattr(os, "sched_getaffinity", lambda thread: {3})
    processors.leave(3)

    def refuse(thread: int, to: set[int]) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    monkeypatch.setattr(os, "sched_getaffinity", lambda thread: {3, 4})
    processors.leave(3)
