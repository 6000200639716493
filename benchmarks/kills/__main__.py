"""The command; see the package."""

import argparse
import json
import os
import platform
import sys
from dataclasses import asdict
from pathlib import Path
from signal import SIGINT, SIGTERM

from benchmarks.kills import __doc__ as description
from benchmarks.kills.chains import kill
from benchmarks.kills.commands import end
from benchmarks.kills.job import Job

EVERY = ("0.01 s", "4 steps", "50 steps", "1 epoch")


def jobs(backends: list[str]) -> list[Job]:
    """Return jobs with both dtypes, one and two threads, and all checkpoint intervals, in turn."""
    return [
        Job(backend, threads, "float32" if number % 2 else "float64", every, 1 + number % 3)
        for backend in backends
        for threads in (1, 2)
        for number, every in enumerate(EVERY)
    ]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.kills",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--backend", action="append", help="default: numpy and numba")
    parser.add_argument("--kills", type=int, default=320, help="total number of kills")
    parser.add_argument(
        "--signals", type=int, default=0, help="number each of SIGINT and SIGTERM to `dnnkit train mnist`"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to this file")
    options = parser.parse_args(arguments)
    chosen, outcomes = jobs(options.backend or ["numpy", "numba"]), []
    for number, job in enumerate(chosen if options.kills else []):
        outcome = kill(job, -(-options.kills // len(chosen)), options.seed + number)
        outcomes.append(outcome)
        print(
            f"{job.backend:6} {job.num_threads} threads {job.dtype} every {job.every:8} kept {job.keep}: "
            f"{outcome.kills:4} kills in {outcome.chains:3} chains, {len(outcome.wrong)} wrong",
            *outcome.wrong,
            sep="\n  ",
            flush=True,
        )
    ended = [end(number, options.signals, options.seed) for number in (SIGINT, SIGTERM) if options.signals]
    for found in ended:
        print(
            f"{found.number:7} {found.sent} sent, {found.ended_before} too late, {found.saved} runs to resume, "
            f"{len(found.wrong)} wrong; the slowest reported it after {found.slowest_to_say:.2f} s, and ended after "
            f"{found.slowest:.2f} s",
            *found.wrong,
            sep="\n  ",
        )
    if options.json is not None:
        facts = {"python": platform.python_version(), "processors": os.cpu_count()}
        results = {
            **facts,
            "kills": [asdict(outcome) for outcome in outcomes],
            "signals": [asdict(outcome) for outcome in ended],
        }
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return int(any(outcome.wrong for outcome in (*outcomes, *ended)))


if __name__ == "__main__":
    sys.exit(main())
