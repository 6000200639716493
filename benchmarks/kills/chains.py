"""Chains of processes that are killed."""

import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.kills.job import Job


@dataclass
class Outcome:
    """Result of the chains of a job."""

    job: Job
    kills: int = 0
    chains: int = 0
    wrong: list[str] = field(default_factory=list)
    """Descriptions of what went wrong."""
    seconds: float = 0.0


def kill(job: Job, kills: int, seed: int) -> Outcome:
    """Run chains until `kills` processes were killed."""
    outcome, source, start = Outcome(job), random.Random(seed), time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        undisturbed = Path(place) / "undisturbed"
        undisturbed.mkdir()
        expected = job.run(undisturbed, saves=False)  # in this process: its children have nothing to import
        whole = Path(place) / "whole"
        whole.mkdir()
        began = time.perf_counter()
        assert _child(lambda: job.run(whole), None) == expected
        once = time.perf_counter() - began
        while outcome.kills < kills:
            folder = Path(place) / f"chain-{outcome.chains}"
            folder.mkdir()
            found = None
            while found is None:
                found = _child(lambda: job.run(folder), source.uniform(0, once))  # noqa: B023 - run at once
                outcome.kills += found is None
            outcome.chains += 1
            if found != expected:
                outcome.wrong.append(f"chain {outcome.chains}: {_difference(expected, found)}")
            leftovers = [path.name for path in (folder / "run").iterdir() if path.name.endswith(".part")]
            if leftovers:
                outcome.wrong.append(f"chain {outcome.chains}: left behind {leftovers}")
            shutil.rmtree(folder)
    outcome.seconds = time.perf_counter() - start
    return outcome


def _child(work, seconds: float | None) -> str | None:
    """Return the result of `work` in a child process, or its traceback; None if it was killed after `seconds`."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            text = work()
        except BaseException:
            text = traceback.format_exc()
        with os.fdopen(writer, "w") as file:
            file.write(text)
        sys.stdout.flush()
        os._exit(0)
    os.close(writer)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    with os.fdopen(reader) as file:
        text = file.read()
    _, status = os.waitpid(child, 0)
    return None if os.WIFSIGNALED(status) else text


def _difference(expected: str, found: str) -> str:
    pairs = zip(expected.splitlines(), found.splitlines(), strict=False)
    return next((f"{one} became {other}" for one, other in pairs if one != other), found[-400:])
