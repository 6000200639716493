"""The parent's side of a persistent child (stay.py): questions, answers, and its last message if it fails."""

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
"""Seconds that a child has to exit once it has stopped answering."""


class ChildFailed(Exception):
    """The child failed or timed out; the message is its last line."""


class Child:
    """A peer's process; it ends with the block.

    Arguments:
        peer: the peer.
        timeout: timeout of an answer in seconds.
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
        """Return what the peer is; {"missing": ...} if its library is not installed."""
        return self._answer(lambda: None)

    def ask(self, do: str, **question: Any) -> dict[str, Any]:
        """Return the answer to a question (see stay.py); raise `ChildFailed`, after which the child has ended."""

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
            with suppress(BrokenPipeError):  # its standard error says why
                send()
            line = self._process.stdout.readline()
        finally:
            timer.cancel()
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(ENDING)  # it may still be writing the reason
        words = f"took longer than {self._timeout:g} s" if is_late.is_set() else self._last_words()
        self.end()
        raise ChildFailed(words)

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = [line for line in self._errors.read().splitlines() if line.strip()]
        return interpreters.without_paths(lines[-1]) if lines else f"ended with {self._process.returncode}"

    def end(self) -> None:
        """Kill the child, and compilers that it may have started."""
        self._kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            assert stream is not None
            with suppress(BrokenPipeError):
                stream.close()

    def _kill(self) -> None:
        if self._process.returncode is None:  # once waited for, its process id may be reused
            os.killpg(self._process.pid, signal.SIGKILL)
