"""Each part in its own process, so that an illegal address or a hang affects only that part."""

import contextlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from time import perf_counter

from benchmarks.gpu_check.record import Record

LAST_WORDS = 40
"""Lines of stderr that are kept for a crashed part: Python's traceback and CUDA's messages."""

GRACE = 10
"""Seconds for a process to report where it hangs, and then to exit."""


def run_apart(command: Sequence[str], parts: Iterable[str], limit: float, record: Record) -> int:
    """Run all parts, one after the other; return 1 if anything is wrong or a part did not finish."""
    status = 0
    for name in parts:
        print(f"{name} …", flush=True)
        before = perf_counter()
        code, words, hung = _run([*command, "--part", name], limit)
        if code not in (0, 1) or record.read().get(name, {}).get("status") in (None, "begun"):
            begun = record.read().get(name, {})
            ended = {"status": "hung" if hung else "crashed", "exit": code, "last_words": words[-LAST_WORDS:]}
            record.write(name, {**begun, **ended, "seconds": round(perf_counter() - before, 1)})
            print(f"  {name} {ended['status']}, after: {begun.get('last', 'nothing')}", flush=True)
            code = 1
        status = max(status, code)
    return status


def _run(command: Sequence[str], limit: float) -> tuple[int, list[str], bool]:
    """Return (exit status, stderr lines, whether the process had to be killed)."""
    hung = False
    with tempfile.TemporaryFile("w+", errors="replace") as stderr:
        process = subprocess.Popen(command, stderr=stderr)
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            hung, code = True, _ended(process)
        finally:
            process.kill()  # leave nothing on the GPU, also on interruption
        stderr.seek(0)
        said = stderr.read()
    sys.stderr.write(said)
    return code, said.splitlines(), hung


def _ended(process: subprocess.Popen[bytes]) -> int:
    """End a process so that it reports where it was; one that waits for a GPU may not end at all, and is left."""
    for how in (getattr(signal, "SIGABRT", signal.SIGTERM), getattr(signal, "SIGKILL", signal.SIGTERM)):
        process.send_signal(how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(GRACE)
    return -1
