"""`dnnkit train`, ended by a signal at a random moment, and resumed."""

import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

EPOCHS = 6
COMMAND = (sys.executable, "-m", "dnnkit", "train")
OPTIONS = ("mnist", "--epochs", str(EPOCHS), "--out", "run", "--checkpoint-every", "0.3 s")


@dataclass
class Signals:
    """Results of commands that were ended."""

    number: str
    sent: int = 0
    ended_before: int = 0
    """Commands that had finished before the signal."""
    saved: int = 0
    """Ended commands that left a run to resume."""
    slowest: float = 0.0
    """Seconds from the signal until the slowest command had ended."""
    slowest_to_say: float = 0.0
    """Seconds from the signal until the slowest command had reported the interruption."""
    wrong: list[str] = field(default_factory=list)


def end(number: signal.Signals, count: int, seed: int) -> Signals:
    """End commands with two signals 20 ms apart, as terminals or held keys send them; then resume the saved ones."""
    outcome, source = Signals(number.name), random.Random(seed)
    with tempfile.TemporaryDirectory() as place:
        start = time.perf_counter()
        whole = _run(Path(place) / "whole", *OPTIONS, "--quiet")
        assert whole.returncode == 0, whole.stderr
        once, expected = time.perf_counter() - start, _weights(Path(place) / "whole")
        for attempt in range(count):
            folder = Path(place) / str(attempt)
            _end_one(outcome, number, folder, source.uniform(0.6, once))
            if (folder / "run" / "manifest.json").exists():
                outcome.saved += 1
                resumed = _run(folder, "--resume", "run", "--quiet")
                if resumed.returncode or _weights(folder) != expected:
                    outcome.wrong.append(f"resumed: {resumed.returncode} {resumed.stderr[-300:]}")
    return outcome


def _end_one(outcome: Signals, number: signal.Signals, folder: Path, delay: float) -> None:
    folder.mkdir()
    process = subprocess.Popen(
        (*COMMAND, *OPTIONS), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    time.sleep(delay)
    began = time.perf_counter()
    for _ in range(2):
        process.send_signal(number)
        time.sleep(0.02)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("interrupted"):
            outcome.slowest_to_say = max(outcome.slowest_to_say, time.perf_counter() - began)
    _, errors = process.communicate()
    took = time.perf_counter() - began
    outcome.sent += 1
    outcome.slowest = max(outcome.slowest, took)
    if any(line.startswith("run folder") for line in lines) and not any(
        line.startswith("interrupted") for line in lines
    ):  # only Python itself was left to end
        outcome.ended_before += 1
        return
    if process.returncode != 128 + number or errors:
        outcome.wrong.append(f"after {delay:.2f} s: exit status {process.returncode}, {errors[-300:]}")


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    return subprocess.run((*COMMAND, *arguments), cwd=folder, capture_output=True, text=True)


def _weights(folder: Path) -> bytes:
    return next((folder / "run" / "versions").glob(f"{_newest(folder)}/weights.safetensors")).read_bytes()


def _newest(folder: Path) -> str:
    return max(path.name for path in (folder / "run" / "versions").iterdir())
