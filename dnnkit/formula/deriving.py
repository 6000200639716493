"""Bounded differentiation of arbitrary formulas, by SymPy in a separate process that can be killed.

An exact power of a few characters can exhaust all memory, in a Python operation that neither a signal handler nor
another thread can interrupt; only the operating system can. The process serves many formulas, exits when idle, and
costs what importing SymPy in this process would.
"""

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from dnnkit.backends.mutex import Mutex
from dnnkit.errors import ConfigurationError
from dnnkit.extras import require
from dnnkit.formula import grammar
from dnnkit.formula.steps import Steps

SECONDS = 1.5
"""CPU time limit per formula, in seconds."""
PATIENCE = 4.0
"""Wall-clock time limit per formula, in seconds, for a busy machine."""
MEMORY = 500 << 20
"""Memory limit of the process, in bytes."""
START = 120.0
"""Time limit for the start of the process, in seconds."""

LIMITED, KILLED, OUT_OF_MEMORY = -getattr(signal, "SIGPROF", 0), -getattr(signal, "SIGKILL", 0), 1
"""Exit statuses for exceeding these limits."""

CODE = """
import sys, types
for name, folder in (("dnnkit", sys.argv[1]), ("dnnkit.formula", sys.argv[2])):  # not all that `import dnnkit` imports
    package = sys.modules[name] = types.ModuleType(name)
    package.__path__ = [folder]
from dnnkit.formula.differentiate import main
main(float(sys.argv[3]), int(sys.argv[4]))
"""


def derived(
    formula: str, parameters: Mapping[str, float | None], kind: grammar.Kind = "activation"
) -> dict[str, Steps]:
    """Return the functions derived from a formula, as steps; see `differentiate.functions_of`.

    Raises `ConfigurationError` for a formula that cannot be parsed or differentiated, or not within the limits.
    """
    grammar.parse(formula, parameters, kind)  # reports syntax errors without starting a process
    require("formula", f"the derivative of the {kind} {formula!r}")
    if not Path(sys.executable or "").name.startswith("python"):  # embedded in another program: no Python to start
        from dnnkit.formula.differentiate import functions_of

        return functions_of(formula, parameters, kind)
    with _lock:
        answer = _ask({"formula": formula, "parameters": dict(parameters), "kind": kind})
    if "error" in answer:
        raise ConfigurationError(answer["error"])
    return {name: Steps.from_json(steps) for name, steps in answer["functions"].items()}


class _Process:
    def __init__(self) -> None:
        here = Path(__file__).parent
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-P", "-c", CODE, str(here.parent), str(here), str(SECONDS), str(MEMORY)]
        apart: dict[str, Any] = {"process_group": 0} if os.name == "posix" else {}  # Ctrl-C must not reach it
        self._process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            **apart,
        )
        self.is_fresh, self.is_late = True, False
        try:
            ready = self._read(START)
        except BaseException:
            self.end()
            raise
        if ready is None:
            raise ConfigurationError(
                f"the process that differentiates formulas exited on start-up with status {self.end()}: check whether "
                f"{sys.executable} can import sympy"
            )

    def ask(self, question: object) -> Any:
        """Return the answer; None if the process has exited instead."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(question).encode() + b"\n")
            self._process.stdin.flush()
            return self._read(PATIENCE)
        except OSError:
            return None

    def _read(self, seconds: float) -> Any:
        assert self._process.stdout is not None
        timer = threading.Timer(seconds, self._stop)
        timer.daemon = True
        timer.start()
        try:
            line = self._process.stdout.readline()
        finally:
            timer.cancel()
        return json.loads(line) if line.endswith(b"\n") else None

    def _stop(self) -> None:
        self.is_late = True
        self._process.kill()

    def end(self) -> int:
        """Kill the process; return its exit status, negative for a signal."""
        if self._process.poll() is None:
            self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                assert pipe is not None
                pipe.close()
        return self._process.wait()

    def forget(self) -> None:
        """Detach from the process, which belongs to the parent of this forked process."""
        self._process.returncode = 0


_lock = Mutex()
_process: _Process | None = None


def _ask(question: Mapping[str, Any]) -> Any:
    global _process
    while True:
        try:
            process = _process = _process or _Process()
        except OSError as error:
            raise ConfigurationError(f"cannot start a process to differentiate the formula: {error}") from error
        was_fresh, process.is_fresh = process.is_fresh, False
        answer = None
        try:
            answer = process.ask(question)
        finally:
            if answer is None:
                _process, status = None, process.end()
        if answer is not None:
            return answer
        if status in (LIMITED, KILLED, OUT_OF_MEMORY) and (was_fresh or status == LIMITED or process.is_late):
            raise ConfigurationError(
                f"differentiating the formula {question['formula']!r} takes more than {SECONDS:g} s of CPU time or "
                f"{MEMORY >> 20} MiB: write it in a simpler way, with smaller numbers"
            )
        if was_fresh:
            raise ConfigurationError(f"SymPy crashes on the formula {question['formula']!r}, with status {status}")


def _end() -> None:
    if _process is not None:
        _process.end()


def _forget() -> None:
    """After a fork, leave the process to the parent."""
    global _process, _lock
    if _process is not None:
        _process.forget()
    _process, _lock = None, Mutex()


atexit.register(_end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
