"""Run missing fits in processes of one thread each; each result is stored immediately."""

import os
import signal
import sys
from collections import defaultdict
from collections.abc import Callable, Collection
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path
from statistics import mean, median
from threading import Thread
from time import monotonic, sleep

from benchmarks.tables import records
from benchmarks.tables.measuring import Job, measure, one_thread
from benchmarks.tables.records import Record


def begin() -> None:
    """Set up a worker: Ctrl-C is handled by its parent, and it exits when its parent is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=follow, args=(os.getppid(),), daemon=True).start()


def follow(parent: int) -> None:
    """Exit when this process gets another parent; otherwise a waiting worker would wait forever."""
    while os.getppid() == parent:
        sleep(1)
    os._exit(1)


def run(
    todo: list[Job], path: Path, processes: int = 1, work: Callable[[Job], Record] = measure
) -> tuple[int, list[Record]]:
    """Run fits and append a record of each.

    Ctrl-C starts no more fits and waits for running ones; a second Ctrl-C exits at once.

    Arguments:
        todo: the fits, in this order.
        path: file of the records.
        processes: number of processes, of one thread each. Default: 1.
        work: function that returns the record of a fit; it has to be a module's. Default: `measure`.

    Returns:
        The number of fits run, and the records of failed ones.
    """
    one_thread()
    made, failed, waiting = 0, [], list(reversed(todo))
    progress = Progress(path)
    running: dict[Future[Record], Job] = {}
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=begin) as pool:
        while waiting or running:
            try:
                while waiting and len(running) < processes:
                    job = waiting.pop()
                    running[pool.submit(work, job)] = job
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    job, record = running.pop(future), future.result()
                    records.append(path, record)
                    made += 1
                    if "failed" in record:
                        failed.append(record)
                    progress.add(job, record)
                progress.show(made, len(todo), [*waiting, *running.values()], processes)
            except KeyboardInterrupt:
                if not waiting:
                    raise
                waiting.clear()
                print(
                    f"\ninterrupted: waiting for {len(running)} fits; Ctrl-C again exits at once",
                    file=sys.stderr,
                )
    progress.end()
    return made, failed


class Progress:
    """A progress line with the remaining time; if the output is no terminal, a new line every half minute."""

    def __init__(self, path: Path) -> None:
        self.seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
        for record in records.read(path).values():
            self.seconds[record["set"], record["method"]].append(record["seconds"])
        self.rates: dict[str, list[float]] = defaultdict(list)
        self.live, self.shown = sys.stderr.isatty(), 0.0

    def add(self, job: Job, record: Record) -> None:
        """Use the time of a fit to estimate that of others."""
        if "failed" in record:
            print(f"{job.method} on {job.set}: {record['failed']}", file=sys.stderr, flush=True)
            return
        self.seconds[job.set, job.method].append(record["seconds"])
        self.rates[job.method].append(record["seconds"] / job.rows)

    def left(self, jobs: Collection[Job]) -> float:
        """Estimate the seconds of jobs from the same fit on other halves, or from the method's seconds per row."""
        rates = {method: median(found) for method, found in self.rates.items()}
        usual = mean(rates.values()) if rates else 1e-3
        return sum(
            mean(known) if (known := self.seconds[job.set, job.method]) else rates.get(job.method, usual) * job.rows
            for job in jobs
        )

    def show(self, made: int, total: int, left: list[Job], processes: int) -> None:
        """Write the line if it is due."""
        now = monotonic()
        if now - self.shown < (0.5 if self.live else 30.0):
            return
        self.shown = now
        minutes = self.left(left) / processes / 60
        at = f"repeat {left[-1].repeat + 1}, {left[-1].set}" if left else "ending"
        line = f"{made} of {total} fits, about {minutes:.1f} minutes left; {at}"
        print(f"\r{line[:78]:78}" if self.live else line, end="" if self.live else "\n", file=sys.stderr, flush=True)

    def end(self) -> None:
        """End the line on a terminal."""
        if self.live:
            print(file=sys.stderr)
