"""The parent's side of a child that stays (stay.py): questions, answers, and what it said when it broke."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Timer
from typing import Any

from . import interpreters
from .registry import Peer

ENDING = 10.0
"""Seconds that a child has to end once it has stopped answering."""


class ChildFailed(Exception):
    """The child broke or took too long; the message is its last line."""


class Child:
    """A peer's process, ended with the block.

    Arguments:
        peer: which one.
        timeout: seconds that one answer may take.
        python: the interpreter, by default this one.
    """

    def __init__(self, peer: Peer, timeout: float, python: str = sys.executable) -> None:
        self.peer, self._timeout, self._python = peer, timeout, python
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the child
        self._process = subprocess.Popen(
            interpreters.command(python, "stay", peer.name),
            env=interpreters.environment(python),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def begin(self) -> dict[str, Any]:
        """What the peer is; {"missing": ...} if its library is not installed."""
        return self._answer(lambda: None)

    def ask(self, do: str, **question: Any) -> dict[str, Any]:
        """The answer to one of the questions of stay.py; raises `ChildFailed`, after which the child is no more."""

        def send() -> None:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps({"do": do, **question}) + "\n")
            self._process.stdin.flush()

        return self._answer(send)

    def _answer(self, send: Callable[[], None]) -> dict[str, Any]:
        assert self._process.stdout is not None
        is_late = Event()

        def give_up() -> None:
            is_late.set()
            self._kill()

        timer = Timer(self._timeout, give_up)
        timer.daemon = True
        timer.start()
        try:
            with suppress(BrokenPipeError):  # its last words say why
                send()
            line = self._process.stdout.readline()
        finally:
            timer.cancel()
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(ENDING)  # it still writes why
        words = f"took longer than {self._timeout:g} s" if is_late.is_set() else self._last_words()
        self.end()
        raise ChildFailed(words)

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = [line for line in self._errors.read().splitlines() if line.strip()]
        return interpreters.without_paths(lines[-1]) if lines else f"ended with {self._process.returncode}"

    def end(self) -> None:
        """Kill it, and compilers that it may have started."""
        self._kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            assert stream is not None
            with suppress(BrokenPipeError):
                stream.close()

    def _kill(self) -> None:
        if self._process.returncode is None:  # once it was waited for, another may have its number
            os.killpg(self._process.pid, signal.SIGKILL)
