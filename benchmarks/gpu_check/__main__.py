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
"""Command that runs a part in its own process; with the fault handler, Python reports on stderr where it crashed."""


def main(arguments: list[str] | None = None, command: Sequence[str] = COMMAND) -> int:
    """Run every part in its own process, or the given parts in this one; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu_check", description="Check the CuPy backend on a GPU, then time it."
    )
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument(
        "--part", action="append", choices=PARTS, help="run only this part, in this process; repeatable"
    )
    parser.add_argument("--device", default="cupy", help="cupy, or cupy:1 and so on")
    parser.add_argument("--limit", type=float, default=300, help="timeout per part in seconds")
    parser.add_argument("--quick", action="store_true", help="small shapes, one network, two rounds: less detail")
    parser.add_argument("--megabytes", type=float, default=256, help="array size for bandwidth measurements")
    parser.add_argument("--samples", type=int, default=60000, help="number of training images")
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
    record.clear()  # remove results of an earlier run, perhaps on another GPU
    given = [f"--{name}={getattr(options, name)}" for name in ("out", "device", "megabytes", "samples", "epochs")]
    return run_apart([*command, *given, *(["--quick"] if options.quick else [])], PARTS, options.limit, record)


if __name__ == "__main__":
    sys.exit(main())
