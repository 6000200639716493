"""The command; see the package."""

import argparse
import json
import os
import platform
import sys
from contextlib import ExitStack
from pathlib import Path

from benchmarks.threads import __doc__ as description
from benchmarks.threads.calls import beside_assignments, beside_fit, readers
from benchmarks.threads.server import serve

STAND_IN = "cupy"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.threads",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--backend", action="append", help="can be repeated; default: numpy and numba")
    parser.add_argument("--stand-in", action="store_true", help="also run the CuPy backend on the CPU")
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--calls", type=int, default=200_000, help="calls per backend, without the server's")
    parser.add_argument("--requests", type=int, default=100_000, help="requests to each server; the stand-in has none")
    parser.add_argument("--json", type=Path, metavar="FILE", help="file for the results")
    options = parser.parse_args(arguments)
    outcomes = []
    for backend in (options.backend or ["numpy", "numba"]) + [STAND_IN] * options.stand_in:
        with ExitStack() as stack:
            works = [(work, options.calls // 3) for work in (readers, beside_assignments, beside_fit)]
            if options.stand_in and backend == STAND_IN:
                from tests.cuda_on_cpu.cupy_stand_in import in_place_of_cupy

                stack.enter_context(in_place_of_cupy())
            else:
                works.append((serve, options.requests))
            for work, calls in works:
                outcome = work(backend, options.threads, calls)
                outcomes.append(outcome)
                rate = outcome.calls / outcome.seconds
                print(
                    f"{backend:8} {outcome.work:20} {outcome.threads} threads {outcome.calls:9,} calls "
                    f"{outcome.wrong:6,} wrong {rate:9,.0f} per second",
                    flush=True,
                )
    if options.json is not None:
        facts = {"python": platform.python_version(), "processors": os.cpu_count()}
        found = {**facts, "outcomes": [vars(outcome) for outcome in outcomes]}
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return int(any(outcome.wrong or not outcome.calls for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
