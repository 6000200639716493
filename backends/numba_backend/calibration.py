"""Calibration: the few rates of this machine that decide how work is partitioned; measured once, and kept.

Rates are per second of processor time, not of wall time, so other work on the machine does not change them.
"""

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from math import inf
from time import perf_counter, process_time
from typing import Any

import numpy as np

from dnnkit.backends.aligned import zeros
from dnnkit.backends.processors import processors
from dnnkit.backends.program import HostArray
from dnnkit.files import replace

ROUNDS = 15
"""Repeats of each measurement; the best counts, for whatever disturbs only ever makes it slower."""

HANDED = 1 << 16
"""Bytes that two threads hand over to each other: as many as a small network's gradient has."""

MEETINGS, ENOUGH = 40, 0.3
"""Repeats for two threads that wait for each other, and seconds after which no other is begun: here the wall's time
counts, for waiting is what is measured, and where something else runs most repeats are of no use."""


@dataclass(frozen=True)
class Machine:
    """`flops` a second of one processor in a matrix product, and of each when all compute (`flops_each`); `bytes` a
    second that it reads and writes in its caches, and that it reads from another's (`crossing`); seconds for `call`ing
    a product at all, and for one `exchange` between two processors."""

    flops: float
    flops_each: float
    bytes: float
    call: float
    exchange: float
    crossing: float


@cache
def machine() -> Machine:
    """This machine, from the file of an earlier process or measured now, within a second."""
    from dnnkit.kernels._numba import blas
    from dnnkit.kernels._numba.jit import cache_folder

    path = cache_folder() / f"machine-{processors()}-{blas.kernels()}.json"
    try:
        return _sound(Machine(**json.loads(path.read_text())))
    except (OSError, ValueError, TypeError):
        pass
    measured = measure()
    with suppress(OSError):  # of a full disk the cache itself tells
        replace(path, json.dumps(asdict(measured), indent=1).encode(), durable=False)
    return measured


def _sound(numbers: Machine) -> Machine:
    """The numbers, if a machine can be like that."""
    if not all(0 < value < inf for value in asdict(numbers).values()):
        raise ValueError(f"{numbers} is no machine")
    return numbers


def measure() -> Machine:
    """Measure it."""
    from dnnkit.kernels.train_steps import calibration_loops

    large, small = _products(64, 512, 256), _products(8, 16, 8)
    source, target = zeros((1 << 15,), "float32"), zeros((1 << 15,), "float32")  # in the second-level cache
    flops = 2 * 64 * 512 * 256 * 4 / _best(lambda: calibration_loops.products(*large, 4))
    each = 2 * 64 * 512 * 256 * 200 * processors() / _best(lambda: _together(calibration_loops.products), 5)
    call = max(_best(lambda: calibration_loops.products(*small, 100)) / 100 - 2 * 8 * 16 * 8 / flops, 1e-8)
    copied = 2 * 20 * source.nbytes / _best(lambda: _copied(source, target, 20))
    each = min(each, flops)  # more is noise: something else ran while one was measured alone
    if processors() < 2:
        return Machine(flops, each, copied, call, 1.0, 1.0)  # as good as never
    exchange = _in_turn(calibration_loops.exchanges, 2000)
    handed = _in_turn(calibration_loops.hand_over, 50) / 2  # a turn of one thread, then one of the other
    crossing = HANDED / max(handed - exchange - 2 * HANDED / copied, exchange)
    return Machine(flops, each, copied, call, exchange, crossing)


def _copied(source: HostArray, target: HostArray, times: int) -> None:
    for _ in range(times):
        np.copyto(target, source)


def _products(rows: int, inputs: int, outputs: int) -> tuple[Any, ...]:
    return tuple(np.ones(shape, np.float32) for shape in ((rows, inputs), (inputs, outputs), (rows, outputs)))


def _together(products: Callable[..., None]) -> None:
    """Every processor computes 200 products: two that share a core, or its power, are slower than one alone."""
    threads = [threading.Thread(target=products, args=(*_products(64, 512, 256), 200)) for _ in range(processors())]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _best(work: Callable[[], Any], rounds: int = ROUNDS) -> float:
    """This process's seconds, of all its threads, in the fastest of several runs, after one that warms up."""
    work()
    times = []
    for _ in range(rounds):
        start = process_time()
        work()
        times.append(process_time() - start)
    return min(times)


def _in_turn(probe: Callable[..., None], count: int) -> float:
    """Seconds a turn that two threads need which wait for each other so many times."""
    numbers = zeros((HANDED // 4,), "float32")

    def both() -> None:
        flags = np.zeros(16, np.int64)
        other = threading.Thread(target=probe, args=(1, flags, numbers, count))
        try:
            other.start()
            probe(0, flags, numbers, count)
            other.join()
        finally:
            flags[0] = count  # or the other waits for ever for one that was interrupted

    probe(0, np.zeros(16, np.int64), numbers, 0)  # compiled before anybody waits for it
    both()
    best, began = inf, perf_counter()
    for _ in range(MEETINGS):
        start = perf_counter()
        both()
        best = min(best, (perf_counter() - start) / count)
        if perf_counter() - began > ENOUGH:
            break
    return best
