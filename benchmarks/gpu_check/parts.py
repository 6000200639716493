"""The parts of the check by name; each records results as it proceeds."""

from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from typing import Any

from benchmarks.gpu_check import bandwidth, correctness, machine, steps, training
from benchmarks.gpu_check.record import Record
from dnnkit.backends.base import Backend

Found = dict[str, Any]
Part = Callable[[Backend, Namespace, Found], Iterator[str]]
"""Fills a dictionary and yields a description of each addition; the process may crash at any time."""

CLOSEST = 10
"""Number of passed checks kept in the record, those closest to their bounds."""


def run_part(backend: Backend, name: str, options: Namespace, record: Record) -> int:
    """Run a part in this process; return 1 if something is wrong."""
    found: Found = {"status": "begun"}
    record.write(name, found)
    begin = perf_counter()
    for last in PARTS[name](backend, options, found):
        record.write(name, {**found, "last": last})  # the next step may crash the process
    is_wrong = bool(found.get("wrong"))
    found |= {"status": "wrong" if is_wrong else "done", "seconds": round(perf_counter() - begin, 1)}
    record.write(name, found)
    return int(is_wrong)


def _machine(backend: Backend, options: Namespace, found: Found) -> Iterator[str]:
    found |= machine.gpu(backend)
    print(f"{backend.device}; CuPy {backend.version}", flush=True)
    yield "the GPU's properties"


def _checked(checks: Iterable[dict[str, Any]], found: Found) -> Iterator[str]:
    """Record comparisons: their number, the failed ones, and those closest to failing."""
    found |= {"checks": 0, "wrong": [], "closest_to_their_bound": []}
    for check in checks:
        found["checks"] += 1
        if check["passed"]:
            closest = [*found["closest_to_their_bound"], check]
            closest.sort(key=lambda each: -each["error"] / (each["bound"] or 1.0))
            found["closest_to_their_bound"] = closest[:CLOSEST]
        else:
            found["wrong"].append(check)
            error = "not a number" if check["error"] is None else f"{check['error']:.3g}"
            print(f"  {check['check']}, {check['dtype']}: {error}, at most {check['bound']:.3g}", flush=True)
        yield f"{check['check']}, {check['dtype']}"
    print(f"  {found['checks']} checks, {len(found['wrong'])} wrong", flush=True)


def _of_kernels(family: str) -> Part:
    def run(backend: Backend, options: Namespace, found: Found) -> Iterator[str]:
        yield from _checked(correctness.operations(backend, family, quick=options.quick), found)

    return run


def _trajectories(backend: Backend, options: Namespace, found: Found) -> Iterator[str]:
    samples = min(1437, options.samples)
    yield from _checked(correctness.trajectories(backend, samples, quick=options.quick), found)


def _steps(backend: Backend, options: Namespace, found: Found) -> Iterator[str]:
    found["times"] = []

    def checks() -> Iterator[dict[str, Any]]:
        for times, check in steps.measure(backend, options.samples, options.quick):
            found["times"].append(times)
            whole, host = times["microseconds_per_step"], times["host_microseconds_per_step"]
            print(
                f"{whole:8.1f} µs per step, {host:.1f} of the host's: {times['network']}, {times['step']}", flush=True
            )
            yield check

    yield from _checked(checks(), found)


def _bandwidth(backend: Backend, options: Namespace, found: Found) -> Iterator[str]:
    found["kernels"] = []
    rounds = bandwidth.QUICK if options.quick else bandwidth.ROUNDS
    for record in bandwidth.measure(backend, int(options.megabytes * 2**20) // 1024 * 1024, rounds):
        found["kernels"].append(record)
        speed = f"{record['bytes_per_second'] / 1e9:8.1f} GB/s {record['share']:6.1%}"
        print(f"{speed}  {record['kernel']}, {record['dtype']}", flush=True)
        yield f"{record['kernel']}, {record['dtype']}"


def _training(backend: Backend, options: Namespace, found: Found) -> Iterator[str]:
    found |= training.train(backend, options.samples, options.epochs)
    seconds = ", ".join(f"{value:.3f}" for value in found["seconds_per_epoch"])
    print(f"784-128-10: {seconds} s per epoch, test accuracy {found['test_accuracy']:.4f}", flush=True)
    yield "784-128-10"


PARTS: dict[str, Part] = {
    "machine": _machine,
    **{family: _of_kernels(family) for family in correctness.FAMILIES},
    "trajectories": _trajectories,
    "steps": _steps,
    "bandwidth": _bandwidth,
    "training": _training,
}
"""Parts in the order of execution: correctness before speed."""
