"""Ctrl-C and SIGTERM while a network trains: heard between two steps, so that every number is of a whole step."""

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
"""Seconds in which more signals are the same one: a key that was held, or a terminal and a shell that both send it."""


_heard_at = -inf


def _is_repeated() -> bool:
    """Whether a signal that has just come is the same as the one before."""
    global _heard_at
    before, now = _heard_at, monotonic()
    if now - before < KEY_REPEAT:
        return True
    _heard_at = now
    return False


def end_program(number: int, frame: FrameType | None) -> None:
    """Handle SIGINT and SIGTERM for a command: end it, and do not be disturbed at that."""
    if not _is_repeated():
        raise error_of(number)


def error_of(number: int) -> BaseException:
    """What ends the program as the signal would have."""
    return KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)


_IS_DIVIDED: dict[CodeType, bool] = {}
"""Of functions that say so: whether a signal may be raised within."""

Function = TypeVar("Function", bound=Callable[..., Any])


def undivided(function: Function) -> Function:
    """Decorate what takes or gives back a lock: a signal of `Interrupts` is raised after it, never within.

    Python raises between any two operations, also where a lock is held already and nobody knows it yet.
    """
    _IS_DIVIDED[function.__code__] = False
    return function


def interruptible(function: Function) -> Function:
    """Decorate what waits within something undivided: there, who does not wait any longer is heard."""
    _IS_DIVIDED[function.__code__] = True
    return function


def _is_divided(frame: FrameType | None) -> bool | None:
    """What the innermost function says that says anything."""
    while frame is not None:
        if (is_divided := _IS_DIVIDED.get(frame.f_code)) is not None:
            return is_divided
        frame = frame.f_back
    return None


def _nothing() -> None:
    pass


class Interrupts:
    """A `with` block in which signals are noted, and raised where that does no harm.

    Only Python's own handlers are replaced, and `end_program`; and only in the main thread, which alone may. SIGTERM is
    left alone unless `hears_sigterm`. What is noted is never lost, whoever swallows the exception: foreign code that
    calls back to Python does.
    """

    def __init__(self, hears_sigterm: bool) -> None:
        self.stop: Callable[[], None] = _nothing
        """What makes the running steps end."""
        self.received: list[int] = []
        self.is_forced = False
        """Whether somebody did not wait for the end of a step, which may have been left half done."""
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
                    self._before[number] = signal.signal(number, self._hear)
            self._hook_before, sys.unraisablehook = sys.unraisablehook, self._forget_own
        return self

    @undivided
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._hook_before is not None:
            sys.unraisablehook = self._hook_before
        for number, handler in reversed(self._before.items()):  # that of Ctrl-C last: it may raise at once
            signal.signal(number, handler)
        if kind is None:
            self.check()

    def _forget_own(self, unraisable: Any) -> None:
        """Python tells of exceptions that a callback from C swallowed; ours is noted, and raised again."""
        if unraisable.exc_value is not self._raised or self._raised is None:
            self._hook_before(unraisable)

    def _hear(self, number: int, frame: FrameType | None) -> None:
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
        if is_divided is None:  # else another thread's steps may be running, and its own begin later, or not at all
            self.stop()

    def error(self) -> BaseException:
        """What ends the program as the first signal would have."""
        return error_of(self.received[0])

    def check(self) -> None:
        """Raise what was noted."""
        if self.received:
            raise self.error()

    @contextmanager
    def between_steps(self, stop: Callable[[], None]) -> Iterator[None]:
        """Within, signals are noted only, and steps asked to stop; a later one, of who does not wait, is raised."""
        self.stop, self._raises = stop, False
        try:
            yield
        finally:
            self.stop, self._raises = _nothing, True

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Within `between_steps`, signals are raised: for what may be given up anywhere."""
        self._raises = True
        try:
            self.check()
            yield
        finally:
            self._raises = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within, no signal ends anything: a save that somebody waits for."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
