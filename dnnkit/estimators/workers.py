"""Members in threads: how many at once, and how many threads each network has then."""

import os
from collections.abc import Callable, Sequence
from threading import Event
from typing import Any, TypeVar

from dnnkit.backends.processors import processors

Made = TypeVar("Made")

BOUNDS = "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"
"""What joblib sets in its processes, so that all of them together have as many threads as there are processors."""


POLL = 0.1
"""Seconds between two looks for a signal."""


def allowed_threads() -> int:
    """Threads that this process may have: its processors, or fewer where joblib or the user bounds libraries."""
    bounds = [int(os.environ[name]) for name in BOUNDS if os.environ.get(name, "").isdecimal()]
    return min([processors(), *(bound for bound in bounds if bound > 0)])


def at_once(n_jobs: int | None, members: int) -> tuple[int, int]:
    """How many members are trained at once, and the threads of each; together no more than are allowed.

    The threads of a network decide the last bits of what it learns, so they do not depend on `n_jobs`.

    Arguments:
        n_jobs: at most so many at once, -1 and None for as many as there are threads for.
        members: how many there are.
    """
    from joblib import effective_n_jobs  # comes with scikit-learn

    allowed = allowed_threads()
    threads = max(1, allowed // members)
    most = min(members, allowed // threads)
    return max(1, most if n_jobs is None else min(effective_n_jobs(n_jobs), most)), threads


def each_in_threads(
    make: Callable[[Any, int], Made | None], given: Sequence[Any], n_jobs: int | None, stop: Event | None = None
) -> list[Made]:
    """What `make` gives for each, but None; the first error is raised.

    Arguments:
        make: called with each of `given` and the number of threads that it may use, in threads.
        given: what for.
        n_jobs: as `at_once` has it.
        stop: is set by Ctrl-C, and by an error, and tells `make` to come to an end; no more are begun then. After
            Ctrl-C there is what was made until then. None where Ctrl-C is to be raised.
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

    with ThreadPoolExecutor(workers, thread_name_prefix="dnnkit-member") as pool:
        futures: list[Future[Made | None]] = []
        try:
            try:  # none begins before all are known: what Ctrl-C makes us forget here has learned nothing
                for each in given:
                    futures.append(pool.submit(begin, each))
                has_all = True
            finally:
                all_wait.set()
            is_over = False
            while not is_over:  # a signal that the system gives to another thread is looked for now and then
                done, left = wait(futures, POLL, FIRST_EXCEPTION)
                is_over = not left or any(future.exception() for future in done)
        except KeyboardInterrupt:
            if stop is None or not has_all:
                raise
            stop.set()
        finally:
            if not all(future.done() for future in futures):
                for future in futures:
                    future.cancel()
                if stop is not None:
                    stop.set()
        made = [future.result() for future in futures if not future.cancelled()]
    return [one for one in made if one is not None]
