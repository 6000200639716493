"""Members in threads: how many at once, and how many threads each network has then."""

import os
from collections.abc import Callable, Sequence
from threading import Event
from typing import Any, TypeVar

from dnnkit.backends.processors import processors

Made = TypeVar("Made")

BOUNDS = "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"
"""What joblib sets in its processes, so that all of them together have as many threads as there are processors."""


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
    make: Callable[[Any, int], Made], given: Sequence[Any], n_jobs: int | None, stop: Event | None = None
) -> list[Made]:
    """What `make` gives for each, and the number of threads that it may use; the first error is raised.

    Arguments:
        make: called for each of `given`, in threads.
        given: what for.
        n_jobs: as `at_once` has it.
        stop: is set by Ctrl-C, and by an error, and tells `make` to come to an end; no more are begun then. After
            Ctrl-C there is what was made until then. None where Ctrl-C is to be raised.
    """
    workers, threads = at_once(n_jobs, len(given))
    if workers == 1:
        made = []
        for each in given:
            if stop is None or not stop.is_set():
                made.append(make(each, threads))
        return made
    from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait

    with ThreadPoolExecutor(workers, thread_name_prefix="dnnkit-member") as pool:
        futures: list[Future[Made]] = []
        try:
            for each in given:
                futures.append(pool.submit(make, each, threads))
            wait(futures, return_when=FIRST_EXCEPTION)
        except KeyboardInterrupt:
            if stop is None:
                raise
            stop.set()
        finally:
            if not all(future.done() for future in futures):
                for future in futures:
                    future.cancel()
                if stop is not None:
                    stop.set()
        return [future.result() for future in futures if not future.cancelled()]
