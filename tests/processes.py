"""Processes that tests start: each is ended, its pipes are closed, and a hanging one reports its stacks."""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer
from typing import Any, NoReturn

PATIENCE = 300.0
"""Seconds after which a process counts as hanging: many times what any takes on a slow, busy machine."""

LAST_WORDS = 20.0
"""Seconds that a hanging process has to print its stacks."""


class Process(subprocess.Popen[str]):
    """A process that `started` has started."""

    def __init__(self, command: Sequence[str | Path], patience: float, **options: Any) -> None:
        super().__init__(command, **options)
        self.hangs = False
        self._output, self._patience = {"output": "", "errors": ""}, patience
        self._watchdog = Timer(patience, self._ask_where)
        self._watchdog.daemon = True
        self._watchdog.start()

    def _ask_where(self) -> None:
        """End it by the signal that makes Python print the stack of each thread, which also ends the wait for it."""
        self.hangs = True
        self.send_signal(signal.SIGABRT)
        with suppress(subprocess.TimeoutExpired):
            self.wait(LAST_WORDS)
        self._kill_all()

    def _kill_all(self) -> None:
        """Kill it with all its children, which may hold its pipes."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def line(self, beginning: str = "") -> str:
        """Return the next output line that begins with this; there has to be one."""
        assert self.stdout is not None
        for line in self.stdout:
            self._output["output"] += line
            if line.startswith(beginning):
                return line
        self.end()
        self.fail(f"ended with {self.returncode} before a line {beginning!r}")

    def end(self, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """Wait for its end and return its output."""
        output, errors = self.communicate(given)
        self._output["output"] += output or ""
        self._output["errors"] += errors or ""
        self._watchdog.cancel()
        self.check()
        return subprocess.CompletedProcess(self.args, self.returncode, self._output["output"], self._output["errors"])

    def close(self) -> None:
        """Kill it and read the rest of its output."""
        self._watchdog.cancel()
        if self.hangs:
            self._watchdog.join()
        elif self.returncode is None:
            self._kill_all()
        for name, pipe in (("input", self.stdin), ("output", self.stdout), ("errors", self.stderr)):
            if pipe is not None and not pipe.closed:
                if name in self._output:
                    self._output[name] += pipe.read()
                with suppress(BrokenPipeError):
                    pipe.close()
        self.wait()

    def check(self) -> None:
        """Fail if it hung."""
        if self.hangs:
            self.fail(f"hung for {self._patience:g} s")

    def fail(self, what: str) -> NoReturn:
        """Raise an error with its whole output if it failed."""
        said = "".join(f"\n--- its {name}:\n{text}" for name, text in self._output.items())
        raise AssertionError(f"{self.args} {what}{said}")


@contextmanager
def started(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    stdout: int | None = subprocess.PIPE,
    stderr: int | None = subprocess.PIPE,
    patience: float = PATIENCE,
    **options: Any,
) -> Iterator[Process]:
    """Start a process that ends with this block at the latest; fail with its threads' stacks after `patience` seconds.

    It has its own session. Other options are those of `subprocess.Popen`.
    """
    environment = {**(os.environ if env is None else env), "PYTHONFAULTHANDLER": "1"}
    process = Process(
        command,
        patience,
        env=environment,
        stdout=stdout,
        stderr=stderr,
        text=True,
        errors="backslashreplace",
        start_new_session=True,
        **options,
    )
    try:
        yield process
    finally:
        process.close()
        process.check()  # reported before what a test says about a process that was ended


def run(
    command: Sequence[str | Path], *, given: str | None = None, check: bool = False, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a process to its end and return its output; a failure is raised if it is checked.

    Options are those of `started`.
    """
    if given is not None:
        options["stdin"] = subprocess.PIPE
    with started(command, **options) as process:
        done = process.end(given)
        if check and done.returncode:
            process.fail(f"ended with {done.returncode}")
        return done
