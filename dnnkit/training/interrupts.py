"""Ctrl-C and SIGTERM during training: handled between two steps, so that all numbers are those of a completed step."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from time import monotonic
from types import CodeType, FrameType, TracebackType
from typing import Any, Self, TypeVar

KEY_REPEAT = 1.0
"""Seconds in which repeated signals count as one: a held key, or a terminal and a shell that both send it."""


_heard_at = -inf


def _is_repeated() -> bool:
    """Whether a signal that has just arrived repeats the previous one."""
    global _heard_at
    before, now = _heard_at, monotonic()
    if now - before < KEY_REPEAT:
        return True
    _heard_at = now
    return False


def end_program(number: int, frame: FrameType | None) -> None:
    """Handle SIGINT and SIGTERM in a command by ending it, ignoring repeated signals while it ends."""
    if not _is_repeated():
        raise error_of(number)


def error_of(number: int) -> BaseException:
    """Return the exception that ends the program like the signal would."""
    return KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)


_IS_DIVIDED: dict[CodeType, bool] = {}
"""By decorated function: whether a signal may raise within it."""

Function = TypeVar("Function", bound=Callable[..., Any])


def undivided(function: Function) -> Function:
    """Decorate a function that acquires or releases a lock: `Interrupts` raises after it, never within.

    Python may raise between any two bytecodes, including when a lock has been acquired but not yet recorded.
    """
    _IS_DIVIDED[function.__code__] = False
    return function


def interruptible(function: Function) -> Function:
    """Decorate a function that waits within an undivided one: signals may raise within it."""
    _IS_DIVIDED[function.__code__] = True
    return function


def _is_divided(frame: FrameType | None) -> bool | None:
    """Return what the innermost decorated function says; None if there is none."""
    while frame is not None:
        if (is_divided := _IS_DIVIDED.get(frame.f_code)) is not None:
            return is_divided
        frame = frame.f_back
    return None


def _nothing() -> None:
    pass


class Interrupts:
    """A `with` block that records signals and raises them only where that is safe.

    Replaces only Python's default handlers and `end_program`, and only in the main thread, which alone can. SIGTERM is
    handled only if `hears_sigterm`. A recorded signal is never lost, even if the exception is swallowed, as happens
    when C code calls back into Python.
    """

    def __init__(self, hears_sigterm: bool) -> None:
        self.stop: Callable[[], None] = _nothing
        """Asks the running steps to stop."""
        self.received: list[int] = []
        self.is_forced = False
        """Whether the user did not wait for the end of a step, which may be incomplete."""
        self._signals = [signal.SIGINT, signal.SIGTERM] if hears_sigterm else [signal.SIGINT]
        self._before: dict[int, Any] = {}
        self._raises, self._is_held = True, False
        self._raised: BaseException | None = None
        self._hook_before: Any = None

    @undivided
    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in self._signals:
                if signal.getsignal(number) in (signal.default_int_handler, signal.SIG_DFL, end_program):
                    self._before[number] = signal.signal(number, self._on_signal)
            self._hook_before, sys.unraisablehook = sys.unraisablehook, self._forget_own
        return self

    @undivided
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._hook_before is not None:
            sys.unraisablehook = self._hook_before
        for number, handler in reversed(self._before.items()):  # Ctrl-C's handler last: it may raise immediately
            signal.signal(number, handler)
        if kind is None:
            self.check()

    def _forget_own(self, unraisable: Any) -> None:
        """Suppress Python's report of our own exception swallowed by C code: it is recorded and raised again."""
        if unraisable.exc_value is not self._raised or self._raised is None:
            self._hook_before(unraisable)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        is_repeated = _is_repeated() and bool(self.received)
        self.received.append(number)
        is_divided = _is_divided(frame)
        if self._is_held or is_repeated or is_divided is False:
            return
        if self._raises:
            self._raised = self.error()
            raise self._raised
        if len(self.received) > 1:
            self.is_forced = True
            raise self.error()
        if is_divided is None:  # otherwise, another thread's steps may be running
            self.stop()

    def error(self) -> BaseException:
        """Return the exception that ends the program like the first signal would."""
        return error_of(self.received[0])

    def check(self) -> None:
        """Raise the recorded signal, if any."""
        if self.received:
            raise self.error()

    @contextmanager
    def between_steps(self, stop: Callable[[], None]) -> Iterator[None]:
        """Only record signals and ask the steps to stop; a second signal raises immediately."""
        self.stop, self._raises = stop, False
        try:
            yield
        finally:
            self.stop, self._raises = _nothing, True

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Within `between_steps`, raise signals immediately: for work that may be abandoned anywhere."""
        self._raises = True
        try:
            self.check()
            yield
        finally:
            self._raises = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Suspend signals, such as during a save."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
