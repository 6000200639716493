"""A reader in a separate process, which may hang or crash: the outcomes of many cases."""

import logging
import multiprocessing
import random
import resource
import time
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.outcomes import PATIENCE, is_allowed, outcome_of
from tests.fuzz.readers import READERS

ROUND = 500
"""Run the cases between two seeds."""


def work(name: str, first_seed: int, minutes: float, pipe: Connection) -> None:
    """Send every case before it is tried, then its outcome."""
    reader, end = READERS[name], time.monotonic() + 60 * minutes
    logging.getLogger("dnnkit").setLevel(logging.CRITICAL)
    reader.prepare()
    with TemporaryDirectory() as folder:
        number = first_seed

        def one(case: object) -> None:
            if time.monotonic() > end:
                return
            pipe.send(("try", repr(case)[:20_000]))
            start = time.monotonic()
            outcome = outcome_of(lambda: reader.read(case, Path(folder)))
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            pipe.send(("done", outcome, time.monotonic() - start, peak))

        while time.monotonic() < end:
            tried = given(reader.cases)(one)
            quick = settings(
                max_examples=ROUND, deadline=None, database=None, phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )  # fmt: skip
            seed(number)(quick(tried))()
            number += 1
    pipe.send(("end",))


def run(name: str, first_seed: int, minutes: float) -> tuple[Counter[str], dict[str, str], float, int]:
    """Counts of outcomes, a case of each that must not occur, the slowest time in seconds and the peak in KiB."""
    counts: Counter[str] = Counter()
    findings: dict[str, str] = {}
    slowest, peak, end = 0.0, 0, time.monotonic() + 60 * minutes
    context = multiprocessing.get_context("spawn")
    while time.monotonic() < end:
        here, there = context.Pipe()
        left = (end - time.monotonic()) / 60
        child = context.Process(target=work, args=(name, first_seed, left, there))
        child.start()
        there.close()
        case = ""
        try:
            while here.poll(PATIENCE + 80):
                kind, *rest = here.recv()
                if kind == "end":
                    break
                if kind == "try":
                    case = rest[0]
                    continue
                outcome, seconds, size = rest
                counts[outcome] += 1
                slowest, peak = max(slowest, seconds), max(peak, size)
                if not is_allowed(outcome):
                    findings.setdefault(outcome, case)
                case = ""
            else:
                counts["hangs in compiled code"] += 1
                findings.setdefault("hangs in compiled code", case)
                child.kill()
        except EOFError:
            child.join()
            counts[f"killed by signal {-(child.exitcode or 0)}"] += 1
            findings.setdefault(f"killed by signal {-(child.exitcode or 0)}", case)
        child.join()
        first_seed += random.randrange(1000, 10**6)
    return counts, findings, slowest, peak
