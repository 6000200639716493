"""Members in threads: none is lost, whenever Ctrl-C comes."""

import os
import signal
from threading import Event

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
