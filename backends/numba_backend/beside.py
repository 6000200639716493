"""A second process that compiles beside the first one of a machine: both have half of it to do.

Numba and LLVM compile under a lock, so threads would gain nothing. The two work through what is needed from different
ends; what one has compiled, or is about to, the other reads (`kernels/_numba/compiling.py`). Without the second
process, or if it fails, the first compiles all.
"""

import json
import os
import subprocess
import sys
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from dnnkit.backends.processors import processors
from dnnkit.kernels._numba.telling import holds

Task = tuple[str, ...]
"""A kind of thing to compile, and what says which: `compile_task`."""


_trained_in: set[str] = set()
"""Dtypes of which something is kept."""


class Beside:
    """The second process, which lives from `compile` to `end`, if at all."""

    def __init__(self, dtype: str) -> None:
        self._dtype = dtype
        self._process: subprocess.Popen[bytes] | None = None
        self._given: set[Task] = set()

    def compile(self, tasks: Sequence[Task]) -> None:
        """Let it compile these, too, after what it was given before."""
        if self._process is None and self._is_worth_it():
            self._process = self._start()
        if self._process is None or self._process.stdin is None:
            return
        lines = "".join(json.dumps(task) + "\n" for task in dict.fromkeys(tasks) if task not in self._given)
        self._given.update(tasks)
        with suppress(OSError):  # it has ended, for whatever reason
            self._process.stdin.write(lines.encode())
            self._process.stdin.flush()

    def end(self) -> None:
        """All is compiled, or not wanted any more."""
        if self._process is not None:
            _end(self._process)
            self._process = None

    def _is_worth_it(self) -> bool:
        """Whether nobody has trained here in this dtype, and there is a processor to spare."""
        if self._dtype in _trained_in:
            return False
        if holds(f"multiply_in_tiles.{self._dtype}"):
            _trained_in.add(self._dtype)  # looking takes half a millisecond
            return False
        return Path(sys.executable or "").name.startswith("python") and processors() > 1

    def _start(self) -> "subprocess.Popen[bytes] | None":
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        flags = getattr(subprocess, "CREATE_NO_WINDOW", 0)  # Windows would show one
        silent: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        command = [sys.executable, "-P", "-m", __name__, self._dtype]
        try:
            process = subprocess.Popen(command, env=environment, creationflags=flags, **silent)
        except OSError:  # no second process, then
            return None
        weakref.finalize(self, _end, process)  # also where nobody calls `end`
        return process


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    with suppress(OSError):
        process.communicate()


def compile_task(kind: str, name: str, *which: str, dtype: str) -> None:
    """Compile an activation in a direction, a loss or a metric for its targets, a rule, or an opcode."""
    from dnnkit.backends.numba_backend.bytecode import compile_opcode
    from dnnkit.kernels._numba import entry_points

    match kind:
        case "activation":
            entry_points.activation_entry_points(name, dtype).compiled(*which)
        case "loss":
            entry_points.loss_entry_points(name, *which, dtype).compiled("loss")
        case "metric":
            entry_points.metric_entry_points(name, *which, dtype).compiled("total")
        case "rule":
            entry_points.optimizer_entry_points(name, dtype).compiled("update")
        case "opcode":
            compile_opcode(name, dtype)


def main(dtype: str) -> None:
    """Compile what comes in by standard input, a task a line, until the process at its other end has ended."""
    for line in sys.stdin:
        with suppress(Exception):  # the other process says what is wrong, if it is
            compile_task(*json.loads(line), dtype=dtype)


if __name__ == "__main__":
    main(*sys.argv[1:])
