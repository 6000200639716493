"""Signals that are recorded first, and raised where that does no harm."""

import ctypes
import signal
import sys

import pytest

from dnnkit.training.interrupts import Interrupts


def test_a_signal_swallowed_by_a_c_callback_is_raised_later_and_once(capfd) -> None:
    """F8: Python prints such an exception and continues; LLVM calls back like this while compiled code is read."""
    hook, reached = sys.unraisablehook, []
    called_from_c = ctypes.CFUNCTYPE(None)(lambda: signal.raise_signal(signal.SIGINT))

    def work() -> None:
        with Interrupts(hears_sigterm=False):
            called_from_c()
            reached.append(1)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == [1]
    assert capfd.readouterr().err == ""
    assert sys.unraisablehook is hook


def test_other_exceptions_there_are_printed_as_usual(monkeypatch) -> None:
    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: told.append(unraisable.exc_value))
    error = ValueError("of somebody else")

    def fail() -> None:
        raise error

    with Interrupts(hears_sigterm=False):
        ctypes.CFUNCTYPE(None)(fail)()
    assert told == [error]


def test_sigterm_is_not_handled_unless_requested() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Interrupts(hears_sigterm=False):
        assert signal.getsignal(signal.SIGTERM) is before
    with pytest.raises(SystemExit) as ended, Interrupts(hears_sigterm=True):
        signal.raise_signal(signal.SIGTERM)
    assert ended.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before
