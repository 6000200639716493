"""The command; see the package."""

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.same_bits import __doc__ as description
from benchmarks.same_bits.networks import COUNT
from benchmarks.trajectories.environment import environment

ROOT = Path(__file__).parents[2]
LIMITS = (1, 2, 3, 4, 8)
PARTITIONS = tuple(f"{by}/{workers}" for by in ("units", "rows") for workers in LIMITS[1:])
BUSY = 3
"""Number of processes that create load."""

Results = list[tuple[str, str]]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.same_bits",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to this file")
    options = parser.parse_args(arguments)
    settings = [(limit, "") for limit in LIMITS] + [(int(name.partition("/")[2]), name) for name in PARTITIONS]
    one, outcomes = None, []
    for limit, partition in settings:
        quiet = train(limit, partition)
        with busy():
            loaded = train(limit, partition)
        one = one or quiet
        outcome = {
            "threads": limit,
            "partition": partition or "chosen",
            "chosen": dict(Counter(chosen for chosen, _ in quiet)),
            "networks": COUNT,
            "equal under load": equal(quiet, loaded),
            "equal to one thread": equal(quiet, one),
        }
        outcomes.append(outcome)
        print(
            f"{limit} threads, {partition or 'any partition':13}: equal under load {outcome['equal under load']} of "
            f"{COUNT}, equal to one thread {outcome['equal to one thread']}",
            flush=True,
        )
    if options.json is not None:
        found = {"environment": environment(), "busy processes": BUSY, "outcomes": outcomes}
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return int(any(outcome["equal under load"] != COUNT for outcome in outcomes))


def train(limit: int, partition: str) -> Results:
    """Return the partition and hash of each network, from a fresh process."""
    variables = {**os.environ, "DNNKIT_PARTITION": partition}
    command = [sys.executable, "-m", "benchmarks.same_bits.networks", str(limit)]
    result = subprocess.run(command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, text=True, check=True)
    return [(chosen, digest) for chosen, digest in json.loads(result.stdout)]


def equal(first: Results, second: Results) -> int:
    """Return the number of networks with equal bits."""
    return sum(mine[1] == other[1] for mine, other in zip(first, second, strict=True))


@contextmanager
def busy() -> Iterator[None]:
    """Create load on the machine within a block."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(BUSY)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
