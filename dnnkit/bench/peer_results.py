"""Comparison of dnnkit with other libraries: runs `dnnkit/bench/peers` and reads its results.

That is a separate program, because a peer may need another interpreter, without dnnkit.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dnnkit.bench.peers import interpreters
from dnnkit.bench.results import Results, Row
from dnnkit.errors import ConfigurationError, DnnkitError

OWN = "dnnkit"
AGAIN = "-again"
"""Suffix of a peer that is measured a second time, to estimate the noise."""
FLOAT_BYTES = 4
TOLERANCES = {"accuracy": 0.01, "check": 1e-3, "loss": 1e-3}
"""Maximum difference from dnnkit in the first of these quantities that a workload has: absolute for the accuracy, which
depends on the order of the samples; relative for the mean prediction and the loss."""


class PeersFailed(DnnkitError, RuntimeError):
    """The program that runs the peers failed."""


def check(options: Sequence[str]) -> None:
    """Raise `ConfigurationError` for unknown peers or workloads."""
    done = _run("check", *options, errors=subprocess.PIPE)
    if done.returncode:
        raise ConfigurationError(done.stderr.strip().splitlines()[-1])


def measure(options: Sequence[str], results: Results) -> None:
    """Add the rows `peers`: seconds per epoch or workload; and a warning for each library that is not installed."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "results.json"
        # Its progress and messages go to standard error; what it prints about temporary files is dropped.
        done = _run(*options, "--out", str(file))
        if not file.exists():
            raise PeersFailed(f"the peers could not be measured (status {done.returncode}): see above")
        raw = json.loads(file.read_text())
    results.settings |= {"left out": sorted(raw["left_out"])}
    results.warnings += [f"{name} was skipped: {why}" for name, why in raw["left_out"].items()]
    results.warnings += [f"{f['peer']} failed on workload {f['work']}:  {f['error']}" for f in raw["failures"]]
    results.rows += rows(raw)
    results.warnings += disagreements(results.rows)
    results.identical += identical(raw)
    results.limits |= limits(raw)


def _run(*arguments: str, errors: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run the program and capture its standard output; `errors` redirects its standard error."""
    command, environment = interpreters.command(sys.executable, *arguments), interpreters.environment(sys.executable)
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True)


def rows(raw: dict[str, Any]) -> list[Row]:
    """Return the rows, workload by workload, dnnkit first; a sample is the median of a process's repetitions."""
    found = []
    for work in raw["works"]:
        for peer in sorted(raw["peers"], key=lambda name: name != OWN):
            records = _records(raw, work, peer)
            if not records or peer.endswith(AGAIN):
                continue
            samples = _samples(records)
            facts: dict[str, Any] = {"versions": raw["peers"][peer].get("versions", {})}
            for check in ("accuracy", "loss", "check"):
                values = [record[check] for record in records if record.get(check) is not None]
                facts |= {check: float(np.median(values))} if values else {}
            found.append(Row("peers", {"peer": peer, "work": f"{work['name']}. {work['title']}"}, "s", samples, facts))
    return found


def disagreements(rows: list[Row]) -> list[str]:
    """Describe peers whose results differ from dnnkit's, which may have done different work."""
    found = []
    for row in rows:
        own = next((other for other in rows if other.case == {**row.case, "peer": OWN}), None)
        name = next((name for name in TOLERANCES if name in row.facts), "")
        if own is None or name not in own.facts:
            continue
        value, expected = row.facts[name], own.facts[name]
        if not abs(value - expected) <= TOLERANCES[name] * (1 if name == "accuracy" else abs(expected)):
            found.append(f"{row.title}: {name} {value:.4g}, but dnnkit's is {expected:.4g}")
    return found


def identical(raw: dict[str, Any]) -> list[tuple[str, tuple[float, ...], tuple[float, ...]]]:
    """Return name and samples of what was measured twice, by workload."""
    found = []
    for work in raw["works"]:
        for again in (name for name in raw["peers"] if name.endswith(AGAIN)):
            peer = again.removesuffix(AGAIN)
            first, second = (_samples(_records(raw, work, name)) for name in (peer, again))
            if first and second:
                found.append((f"{peer}, {work['title']}", first, second))
    return found


def limits(raw: dict[str, Any]) -> dict[str, float]:
    """Return the FLOP and byte rates of the fastest product and copy of any peer."""
    found = {}
    for work in raw["works"]:
        seconds = [min(record["seconds"]) for record in raw["records"] if record["work"] == work["name"]]
        if seconds and work["kind"] == "gemm":
            found["product, float32, the fastest peer's, FLOPs per second"] = 2 * work["size"] ** 3 / min(seconds)
        if seconds and work["kind"] == "copy":
            found["copy, the fastest peer's, bytes per second"] = 2 * FLOAT_BYTES * work["size"] / min(seconds)
    return found


def _records(raw: dict[str, Any], work: dict[str, Any], peer: str) -> list[dict[str, Any]]:
    return [record for record in raw["records"] if (record["work"], record["peer"]) == (work["name"], peer)]


def _samples(records: list[dict[str, Any]]) -> tuple[float, ...]:
    """Return the median of each process's repetitions."""
    return tuple(float(np.median(record["seconds"])) for record in records)
