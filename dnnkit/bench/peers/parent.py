"""The parent: runs the children in turn and records their measurements. Usage: see `__init__.py`."""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from . import interpreters, machine, report, samples
from .registry import Peer, choose_peers, not_installed
from .results import SCHEMA, duration, seconds_of
from .works import COPY, PRODUCT, Work, choose, growth_works

GROWTH_PEERS = "dnnkit,torch,jax"


def main(arguments: list[str] | None = None) -> int:
    """Return the exit status: 0 if everything requested was measured."""
    options = _parser().parse_args(arguments)
    if options.command == "report":
        if not options.results:
            raise SystemExit("report needs a results file: python -m dnnkit.bench.peers report results.json")
        print(*report.write(options.results), sep="\n")
        return 0
    growth = options.command == "growth"
    peers = choose_peers(options.peers or (GROWTH_PEERS if growth else None))
    peers = [peer for peer in peers if not (options.plain and peer.variant)]
    twins = [peer._replace(again=True) for peer in (choose_peers(options.twins) if options.twins else [])]
    works = list(growth_works()) if growth else [PRODUCT, COPY, *choose(options.works)]
    out = Path(options.out or ("growth.json" if growth else "results.json"))
    if not out.absolute().parent.is_dir():
        raise SystemExit(f"cannot write {out}: its folder does not exist")
    run = Run(options, out, [_limited(work, options) for work in works], [*peers, *twins])
    if options.command == "check":
        return 0
    with tempfile.TemporaryDirectory() as folder:
        count = max(work.samples for work in run.works)
        samples.write(Path(folder), _images(options.data, count), count)
        run.measure(folder)
    print(*report.write(out), sep="\n")
    return 1 if run.results["failures"] else 0


def _images(source: str, count: int) -> samples.Samples:
    """Return MNIST, or `count` random images."""
    if source == "random":
        return samples.random_digits(min(count, 60_000), 1_000)
    # Imported here, so that with random images the parent does not need dnnkit.
    from dnnkit.datasets import mnist
    from dnnkit.errors import DataError

    try:
        train, test = mnist.load_data()
    except DataError as error:
        raise SystemExit(f"{error}; for a trial run use --data random") from None
    return samples.Samples(*train, *test)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dnnkit.bench.peers", description="Compare dnnkit with other libraries."
    )
    parser.add_argument("command", nargs="?", choices=["works", "growth", "report", "check"], default="works")
    parser.add_argument("results", nargs="?", type=Path, help="for report: an existing results file")
    parser.add_argument("--rounds", type=_count, default=5, help="processes per peer and workload (default 5)")
    parser.add_argument("--works", help="comma-separated workloads: 1,7 is 1, 7a and 7b (default all)")
    parser.add_argument("--peers", help=f"comma-separated peers (default all; growth: {GROWTH_PEERS})")
    parser.add_argument("--plain", action="store_true", help="no variants, some of which compile or search for minutes")
    parser.add_argument("--twins", help="peers to measure twice, to estimate the noise")
    parser.add_argument("--out", help="JSON file; the report is written next to it (default results.json, growth.json)")
    parser.add_argument(
        "--python",
        action="append",
        default=[],
        type=_interpreter,
        metavar="PEER=PATH",
        help="interpreter for a peer; it needs NumPy and the peer's library, not dnnkit",
    )
    parser.add_argument("--samples", type=_count, help="maximum training samples (default: the workload's)")
    parser.add_argument("--epochs", type=_count, help="timed epochs, after an untimed one (default: the workload's)")
    parser.add_argument("--product", type=_count, help=f"width of the product for the floor (default {PRODUCT.size})")
    parser.add_argument(
        "--data", choices=["mnist", "random"], default="mnist", help="training data; random downloads nothing (mnist)"
    )
    parser.add_argument("--timeout", type=_count, default=1200, help="timeout per process in seconds (default 1200)")
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _interpreter(text: str) -> tuple[str, str]:
    name, separator, path = text.partition("=")
    if not separator or not Path(path).exists():
        raise argparse.ArgumentTypeError(f"{text}: expected PEER=PATH, where PATH is an interpreter")
    return name, path


def _limited(work: Work, options: argparse.Namespace) -> Work:
    """Return a workload, reduced as the options say."""
    if options.samples:
        work = replace(work, samples=min(work.samples, options.samples))
    if options.epochs and work.kind == "train":
        work = replace(work, counted=options.epochs)
    if options.product and work.kind in ("gemm", "copy"):
        size = min(work.size, options.product if work.kind == "gemm" else 16 * options.product**2)
        work = replace(work, size=size)
    return work


class Run:
    """Rounds of workloads by peers, and their results."""

    def __init__(self, options: argparse.Namespace, out: Path, works: list[Work], peers: list[Peer]) -> None:
        self._options, self._out, self.works = options, out, works
        self._interpreters = dict(options.python)
        self._console = Console(stderr=True, soft_wrap=True, highlight=False)
        self._wanted = peers
        self.results: dict[str, Any] = {
            "schema": SCHEMA,
            "kind": options.command,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine.describe(),
            "options": {name: getattr(options, name) for name in ("rounds", "samples", "epochs", "product", "data")},
            "works": [work.to_json() for work in works],
            "peers": {},
            "left_out": {},
            "records": [],
            "failures": [],
        }

    def measure(self, folder: str) -> None:
        """Run all rounds on the samples in the folder; results are saved after each round."""
        if machine.CHOICE in os.environ:
            chosen = f"{machine.CHOICE}={os.environ[machine.CHOICE]}"
            self._console.print(f"{chosen} is set: OpenBLAS may not use this processor's best kernels", style="yellow")
        peers = [peer for peer in self._wanted if self._is_there(peer)]
        tasks = [(work, peer) for work in self.works for peer in peers if self._can(peer, work)]
        columns = (TextColumn("{task.description}"), BarColumn(24), MofNCompleteColumn())
        times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        disable = not self._console.is_terminal
        with Progress(*columns, *times, console=self._console, transient=True, disable=disable) as progress:
            bar = progress.add_task("", total=self._options.rounds * len(tasks))
            for number in range(self._options.rounds):
                for work in self.works:
                    able = [peer for peer in peers if self._can(peer, work)]
                    turn = number % max(1, len(able))
                    for place, peer in enumerate(able[turn:] + able[:turn]):
                        progress.update(bar, description=f"round {number + 1}  {work.name}  {peer.title}")
                        self._one(number, place, work, peer, folder)
                        progress.advance(bar)
                self._save()

    def _is_there(self, peer: Peer) -> bool:
        """Return whether the peer's library is installed; add its description to the results."""
        answer, error = self._child(peer)
        if error is None and "missing" in answer:
            error = not_installed(peer, answer)
        if error is not None:
            self.results["left_out"][peer.title] = error
            self._console.print(f"{peer.title} was skipped: {error}", style="yellow")
            return False
        self.results["peers"][peer.title] = {"family": peer.family, "variant": peer.variant, **answer}
        return True

    def _can(self, peer: Peer, work: Work) -> bool:
        """Return whether a peer can do a workload: products and copies have no variants, bytes are not standardized."""
        about = self.results["peers"][peer.title]
        able = work.kind in about["kinds"] and not (work.standardized and about["bytes"])
        return able and not (work.kind in ("gemm", "copy") and (peer.variant or peer.again))

    def _one(self, number: int, place: int, work: Work, peer: Peer, folder: str) -> None:
        load = machine.load_average()
        answer, error = self._child(peer, json.dumps(work.to_json()), folder)
        about = {"round": number, "place": place, "work": work.name, "peer": peer.title, "load": load}
        title = f"round {number + 1}  {work.name:8s} {peer.title:14s}"
        if error is not None:
            self.results["failures"].append(about | {"error": error})
            self._console.print(f"{title} failed: {error}", style="red")
            return
        record = about | answer
        self.results["records"].append(record)
        self._console.print(f"{title} {duration(seconds_of(record)):>9s}  load {load}")

    def _child(self, peer: Peer, *arguments: str) -> tuple[dict[str, Any], str | None]:
        """Return a child's answer, or its error."""
        names = (peer.name, peer.family)
        python = next((self._interpreters[name] for name in names if name in self._interpreters), sys.executable)
        child = subprocess.Popen(
            interpreters.command(python, "run-one", peer.name, *arguments),
            env=interpreters.environment(python),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            output, errors = child.communicate(timeout=self._options.timeout)
        except BaseException as error:
            os.killpg(child.pid, signal.SIGKILL)  # including compilers that it may have started
            child.communicate()
            if isinstance(error, subprocess.TimeoutExpired):
                return {}, f"took longer than {self._options.timeout} s"
            raise
        if child.returncode != 0:
            lines = [line for line in errors.splitlines() if line.strip()] or [f"ended with {child.returncode}"]
            return {}, interpreters.without_paths(lines[-1])
        return json.loads(output), None

    def _save(self) -> None:
        temporary = self._out.with_suffix(".tmp")
        temporary.write_text(json.dumps(self.results, indent=1) + "\n")
        os.replace(temporary, self._out)
