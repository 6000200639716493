"""Members in threads: how many run at once, and how many threads each network has."""

import os
from collections.abc import Callable, Sequence
from threading import Event
from typing import Any, TypeVar

from dnnkit.backends.processors import processors
from dnnkit.training.interrupts import Interrupts

Made = TypeVar("Made")

BOUNDS = "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"
"""Variables that joblib sets in its processes, so that together they use one thread per processor."""


POLL = 0.1
"""Interval in seconds between checks for a signal."""


def allowed_threads() -> int:
    """Return the number of threads this process may use: its processors, or a lower limit from joblib or users."""
    bounds = [int(os.environ[name]) for name in BOUNDS if os.environ.get(name, "").isdecimal()]
    return min([processors(), *(bound for bound in bounds if bound > 0)])


def at_once(n_jobs: int | None, members: int) -> tuple[int, int]:
    """Return the number of members trained at once and the threads of each; their product stays within the limit.

    The number of threads determines the last bits of the results, so it does not depend on `n_jobs`.

    Arguments:
        n_jobs: maximum number of members at once; -1 and None for as many as there are threads for.
        members: number of members.
    """
    from joblib import effective_n_jobs  # comes with scikit-learn

    allowed = allowed_threads()
    threads = max(1, allowed // members)
    most = min(members, allowed // threads)
    return max(1, most if n_jobs is None else min(effective_n_jobs(n_jobs), most)), threads


def each_in_threads(
    make: Callable[[Any, int], Made | None], given: Sequence[Any], n_jobs: int | None, stop: Event | None = None
) -> list[Made]:
    """Call `make` for each item in threads; return the results that are not None, or raise the first error.

    Arguments:
        make: called with an item and the number of threads that it may use.
        given: the items.
        n_jobs: as in `at_once`.
        stop: event that is set on Ctrl-C or an error, and asks `make` to finish; no further calls start then. After
            Ctrl-C the results so far are returned. None to raise KeyboardInterrupt instead.
    """
    workers, threads = at_once(n_jobs, len(given))
    made: list[Made | None] = []
    if workers == 1:
        for each in given:
            if stop is None or not stop.is_set():
                made.append(make(each, threads))
        return [one for one in made if one is not None]
    from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait

    all_wait, has_all = Event(), False

    def begin(each: Any) -> Made | None:
        all_wait.wait()
        return make(each, threads) if has_all else None

    # `Interrupts` remembers a Ctrl-C that Python ignores, as in the callback of a weak reference.
    with Interrupts(hears_sigterm=False) as interrupts, ThreadPoolExecutor(workers, "dnnkit-member") as pool:
        futures: list[Future[Made | None]] = []
        try:
            try:  # start only when all are submitted, so that Ctrl-C here loses no work
                for each in given:
                    futures.append(pool.submit(begin, each))
                has_all = True
            finally:
                all_wait.set()
            is_over = False
            while not is_over:  # poll: a signal may be delivered to another thread
                done, left = wait(futures, POLL, FIRST_EXCEPTION)
                interrupts.check()
                is_over = not left or any(future.exception() for future in done)
        except KeyboardInterrupt:
            if stop is None or not has_all:
                raise
            interrupts.received.clear()
            stop.set()
        finally:
            if not all(future.done() for future in futures):
                for future in futures:
                    future.cancel()
                if stop is not None:
                    stop.set()
        made = [future.result() for future in futures if not future.cancelled()]
    return [one for one in made if one is not None]
