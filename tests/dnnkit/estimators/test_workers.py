"""Members in threads: none is lost, whenever Ctrl-C comes."""

import os
import signal
from collections.abc import Iterator
from threading import Event
from weakref import ref

import pytest

from dnnkit.estimators import workers


def test_ctrl_c_in_the_first_while_others_start_loses_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "allowed_threads", lambda: 2)
    for _ in range(50):
        stop = Event()

        def make(number: int, threads: int, stop: Event = stop) -> int:
            if number == 0:
                os.kill(os.getpid(), signal.SIGINT)
            assert stop.wait(60)
            return number

        assert 0 in workers.each_in_threads(make, range(20), 2, stop)


def test_ctrl_c_that_python_ignores_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "allowed_threads", lambda: 2)
    stop = Event()

    class Items(list[int]):
        def __iter__(self) -> Iterator[int]:
            yield from range(10)
            forgotten = Event()
            # What a weak reference's callback raises is only reported.
            watch = ref(forgotten, lambda _: signal.raise_signal(signal.SIGINT))
            del forgotten
            assert watch() is None

    def make(number: int, threads: int) -> int:
        assert stop.wait(60)
        return number

    assert workers.each_in_threads(make, Items(range(10)), 2, stop)
    assert stop.is_set()
