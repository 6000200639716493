"""A lock that Ctrl-C cannot leave acquired."""

import contextlib
import signal
import sys
import threading
import time
from types import FrameType

import pytest

from dnnkit.backends import mutex as module
from dnnkit.backends.mutex import Mutex


def test_one_thread_at_a_time() -> None:
    lock, count = Mutex(), 0

    def work() -> None:
        nonlocal count
        for _ in range(200):
            with lock:
                before = count
                time.sleep(0)
                count = before + 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count == 800


def test_an_exception_in_the_block_releases_and_passes() -> None:
    lock = Mutex()
    with pytest.raises(ZeroDivisionError), lock:
        raise ZeroDivisionError
    assert not lock._lock.locked()


def test_an_exception_at_any_moment_releases() -> None:
    lock, moment, is_there = Mutex(), 0, True

    def interrupt(frame: FrameType, event: str, _: object) -> None:
        nonlocal count
        count += event in ("call", "c_return") and frame.f_code.co_filename in (module.__file__, __file__)
        if count == moment:
            sys.setprofile(None)
            raise KeyboardInterrupt

    while is_there:
        moment, count = moment + 1, 0
        with contextlib.suppress(KeyboardInterrupt):
            sys.setprofile(interrupt)
            try:
                with lock:
                    pass
            finally:
                sys.setprofile(None)
        assert not lock._lock.locked(), moment
        is_there = count >= moment
    assert moment > 3


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="sends a signal to a thread")
def test_a_signal_while_waiting_leaves_the_lock_to_others() -> None:
    lock, main = Mutex(), threading.main_thread().ident
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    interrupted = 0
    try:
        for attempt in range(100):
            held = threading.Event()

            def hold(held: threading.Event = held, is_early: bool = bool(attempt % 2)) -> None:
                with lock:
                    held.set()
                    time.sleep(1e-3)
                    if is_early:
                        signal.pthread_kill(main, signal.SIGINT)
                if not is_early:
                    signal.pthread_kill(main, signal.SIGINT)

            thread = threading.Thread(target=hold)
            try:
                thread.start()
                held.wait()
                with lock:
                    thread.join()
            except KeyboardInterrupt:
                interrupted += 1
            thread.join()
            assert not lock._lock.locked(), attempt
    finally:
        signal.signal(signal.SIGINT, before)
    assert interrupted == 100
