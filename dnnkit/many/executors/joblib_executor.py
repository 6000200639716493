"""joblib's backends as executors: local processes, threads, or backends that other packages register with joblib."""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

from dnnkit.backends.diagnosis import remark
from dnnkit.errors import ConfigurationError, WorkersLost
from dnnkit.many.executors.base import ATTEMPTS, EXECUTORS, Executor, Shared
from dnnkit.many.executors.dask_executor import DaskExecutor

MAPPED = "64K"
"""Size from which arrays are sent once, as a memory-mapped file shared by all processes."""

_LAST: list[tuple[str, Shared]] = []
"""The shared values of the last task in this process, which are reused although each task carries them."""


@EXECUTORS.named("joblib", "loky", "threading", "multiprocessing")
class JoblibExecutor(Executor):
    """Tasks on the workers of a `joblib.Parallel`, in successive calls: tasks submitted meanwhile are in the next
    call.

    joblib's own backend "loky" detects a killed process and then ends all of its processes; unfinished tasks are run
    again by new ones.
    """

    def __init__(self, parallel: Any) -> None:
        self._parallel, self._stack = parallel, ExitStack()
        self._shared, self._key = Shared(None), ""
        self._waiting: dict[int, tuple[Callable[..., Any], tuple[Any, ...]]] = {}
        self._results: Any = None

    @classmethod
    def takes(cls, given: object) -> bool:
        """Return whether it is a `joblib.Parallel`."""
        return isinstance(given, getattr(sys.modules.get("joblib"), "Parallel", ()))

    @classmethod
    def of(cls, given: Any, num_workers: int | None) -> Executor:
        """Return an executor for a Parallel, a joblib backend, or "joblib", which follows `joblib.parallel_config`."""
        try:
            import joblib
        except ImportError as error:
            raise ConfigurationError(
                f"executor={given!r} needs joblib, which cannot be imported ({error}): pip install joblib"
            ) from error
        if not isinstance(given, str):
            parallel = given
        else:
            jobs = num_workers or joblib.parallel.get_active_backend()[1] or -1
            settings = {"n_jobs": jobs, "backend": None if given == "joblib" else given, "max_nbytes": MAPPED}
            try:
                parallel = joblib.Parallel(**settings, return_as="generator_unordered")
            except ValueError:  # this backend gives all results at the end
                parallel = joblib.Parallel(**settings)
        client = getattr(getattr(parallel, "_backend", None), "client", None)
        if DaskExecutor.takes(client):  # which knows better what to do when something of the cluster is lost
            return DaskExecutor.of(client, num_workers)
        return cls(parallel)

    @property
    def workers(self) -> int:  # noqa: D102
        from joblib import effective_n_jobs

        return int(effective_n_jobs(self._parallel.n_jobs))

    def open(self, shared: Shared) -> None:  # noqa: D102
        self._shared, self._key = shared, uuid4().hex
        self._start()

    def _start(self) -> None:
        """Start workers that persist from call to call, and keep the shared values."""
        if not getattr(self._parallel, "_managed_backend", False):  # the user's `with` block has some
            self._stack.enter_context(self._parallel)

    def submit(self, number: int, function: Callable[..., Any], *arguments: Any) -> None:  # noqa: D102
        self._waiting[number] = function, arguments

    def completed(self) -> Iterator[tuple[int, Any]]:  # noqa: D102
        lost = 0
        while self._waiting:
            handed_out, self._waiting = self._waiting, {}
            try:
                self._results = self._run(handed_out)
                for number, result in self._results:
                    if handed_out.pop(number, None) is None:
                        continue  # after a loss, joblib may begin with what it had not handed out then
                    lost = 0
                    yield number, result
            except BrokenExecutor as error:
                lost += 1
                if lost == ATTEMPTS:
                    raise WorkersLost(
                        f"{ATTEMPTS} times in a row, a worker process ended before anything was done: is there enough "
                        f"memory for {self.workers} of them? ({' '.join(str(error).split())})"
                    ) from error
                remark(f"a worker process has ended: what {len(handed_out)} networks were doing is done again")
                self._waiting = handed_out | self._waiting
                self._stack.close()
                self._start()

    def _run(self, work: dict[int, tuple[Callable[..., Any], tuple[Any, ...]]]) -> Iterator[tuple[int, Any]]:
        """Yield the results of one joblib call, one by one or, with some backends, all at the end."""
        from joblib import delayed

        yield from self._parallel(
            delayed(_numbered)(self._key, self._shared, number, function, arguments)
            for number, (function, arguments) in list(work.items())
        )

    def pickled(self, thing: Any) -> bytes:
        """Pickle with cloudpickle, which includes functions and classes defined in the main program."""
        try:
            import cloudpickle
        except ImportError:  # before joblib 1.6, which needs it, joblib had its own
            from joblib.externals import cloudpickle

        return bytes(cloudpickle.dumps(thing))

    def close(self) -> None:  # noqa: D102
        if self._results is not None:
            self._results.close()
        self._waiting.clear()
        self._stack.close()
        if _LAST and _LAST[0][0] == self._key:  # of threads; processes keep it until they end, or the next comes
            _LAST.clear()


def _numbered(
    key: str, shared: Shared, number: int, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> tuple[int, Any]:
    """Run a task in a worker, with the shared values kept from earlier tasks."""
    last = _LAST[:]
    if not last or last[0][0] != key:
        last = _LAST[:] = [(key, shared)]
    return number, function(last[0][1], *arguments)
