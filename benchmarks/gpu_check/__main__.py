"""The command; see the package."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.gpu_check.parts import PARTS, run_part
from benchmarks.gpu_check.processes import run_apart
from benchmarks.gpu_check.record import Record
from dnnkit.backends import get_backend
from dnnkit.errors import BackendUnavailable

COMMAND = (sys.executable, "-X", "faulthandler", "-m", "benchmarks.gpu_check")
"""What a part of its own process is started with: where a crash ended it, Python says on stderr."""


def main(arguments: list[str] | None = None, command: Sequence[str] = COMMAND) -> int:
    """Every part in a process of its own, or those named here and now; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_check", description="Checks a GPU, then times it.")
    parser.add_argument("--out", type=Path, required=True, help="the JSON to write")
    parser.add_argument("--part", action="append", choices=PARTS, help="this part alone, in this process; repeatable")
    parser.add_argument("--device", default="cupy", help="cupy, or cupy:1 and so on")
    parser.add_argument("--limit", type=float, default=300, help="seconds that a part may take")
    parser.add_argument("--quick", action="store_true", help="small shapes, one network, two rounds: says less")
    parser.add_argument("--megabytes", type=float, default=256, help="size of an array whose traffic is timed")
    parser.add_argument("--samples", type=int, default=60000, help="images to train on")
    parser.add_argument("--epochs", type=int, default=5)
    options = parser.parse_args(arguments)
    try:
        backend = get_backend(options.device)
    except BackendUnavailable as error:
        print(f"no GPU to check: {error}", file=sys.stderr)
        return 2
    record = Record(options.out)
    if options.part:
        return max(run_part(backend, name, options, record) for name in options.part)
    record.clear()  # of an earlier run, perhaps on another GPU
    given = [f"--{name}={getattr(options, name)}" for name in ("out", "device", "megabytes", "samples", "epochs")]
    return run_apart([*command, *given, *(["--quick"] if options.quick else [])], PARTS, options.limit, record)


if __name__ == "__main__":
    sys.exit(main())
