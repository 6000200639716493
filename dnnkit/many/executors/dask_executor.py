"""Dask as an executor: the workers of a cluster, reached through a `distributed.Client`."""

import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from functools import partial
from math import inf
from queue import Empty, SimpleQueue
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

from dnnkit.backends.diagnosis import remark
from dnnkit.backends.processors import processors
from dnnkit.errors import ConfigurationError, WorkersLost
from dnnkit.many.executors.base import ATTEMPTS, EXECUTORS, Executor, Shared

POLL = 0.2
"""Seconds between checks of the scheduler."""

RECONNECTION = 5.0
"""Seconds for a lost scheduler to come back."""

PATIENCE = 10.0
"""Seconds without a result after which the number of workers is checked."""

GONE = "cancelled", "lost"
"""Dask's status of results that it cannot recompute."""

LARGE = 1 << 20
"""Size in bytes from which arguments are sent to workers directly, bypassing the scheduler."""

Work = tuple[Callable[..., Any], tuple[Any, ...]]


@contextmanager
def _ctrl_c_is_ours() -> Iterator[None]:
    """Block SIGINT in processes that are started within; this process ends them, and handles Ctrl-C afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # which opens the ears of the thread that first needs it
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@EXECUTORS.named("dask", "distributed")
class DaskExecutor(Executor):
    """Tasks on the workers of a Dask cluster, as many at a time as they have threads.

    Dask reruns tasks whose worker was lost. It cannot recover data that were only on lost workers, or anything after
    its scheduler has forgotten this client: then the data and the unfinished tasks are sent again.
    """

    def __init__(self, client: Any, owned: tuple[Any, ...] = ()) -> None:
        """`owned` objects are closed at the end, in this order."""
        if getattr(client, "asynchronous", False):
            raise ConfigurationError(
                "executor is an asynchronous distributed.Client: expected one made without asynchronous=True"
            )
        self._client, self._owned = client, owned
        self._address = str(getattr(client.scheduler, "address", "the cluster"))
        self._shared, self._data = Shared(None), None
        self._work: dict[int, Work] = {}
        self._futures: dict[int, Any] = {}
        self._done: SimpleQueue[tuple[int, Any]] = SimpleQueue()
        self._lost: dict[int, int] = {}
        """Number of times that a task was lost with the scheduler or the data."""

    @classmethod
    def takes(cls, given: object) -> bool:
        """Return whether it is a `distributed.Client`."""
        return isinstance(given, getattr(sys.modules.get("distributed"), "Client", ()))

    @classmethod
    def of(cls, given: Any, num_workers: int | None) -> Executor:
        """Return an executor for a client; by name, for the current client, or for a new local cluster."""
        if not isinstance(given, str):
            return cls(given)
        try:
            import distributed
        except ImportError as error:
            raise ConfigurationError(
                f"executor={given!r} needs Dask, which cannot be imported ({error}): pip install 'dnnkit[dask]'"
            ) from error
        try:
            return cls(distributed.Client.current())
        except ValueError:  # there is none
            pass
        with _ctrl_c_is_ours():
            cluster = distributed.LocalCluster(
                n_workers=num_workers or processors(), threads_per_worker=1, dashboard_address=":0"
            )
        client = distributed.Client(cluster, set_as_default=False)
        return cls(client, (client, cluster))

    @property
    def workers(self) -> int:  # noqa: D102
        return sum(self._client.nthreads().values())

    def open(self, shared: Shared) -> None:  # noqa: D102
        self._shared = shared
        self._check()
        self._send_data()

    def submit(self, number: int, function: Callable[..., Any], *arguments: Any) -> None:  # noqa: D102
        self._work[number] = function, arguments
        self._lost[number] = 0
        self._send(number)

    def completed(self) -> Iterator[tuple[int, Any]]:  # noqa: D102
        from distributed import KilledWorker

        while self._work:
            number, future = self._next()
            try:
                result = future.result()
            except CancelledError as error:  # not by us
                self._lost[number] += 1
                if self._lost[number] == ATTEMPTS:
                    raise WorkersLost(
                        f"{ATTEMPTS} times in a row, workers of {self._address} were lost with all data, and with what "
                        f"network {number} had learned: are they ended by the system, for their memory?"
                    ) from error
                self._begin_again(number)
                continue
            except KilledWorker as error:
                raise WorkersLost(
                    f"{error.allowed_failures + 1} workers of {self._address} ended, one after another, while they "
                    f"trained network {number}; the last was {error.last_worker.address}. Is there enough memory?"
                ) from error
            del self._work[number], self._futures[number]
            yield number, result

    def _next(self) -> tuple[int, Any]:
        """Wait for the next task that finishes or is lost."""
        look = monotonic() + PATIENCE
        while True:
            try:
                number, future = self._done.get(timeout=POLL)
            except Empty:
                if self._client.status == "closed":
                    self._check()
                if monotonic() > look:
                    look = inf
                    if not self.workers:
                        remark(f"{self._address} has no workers: waiting for new ones")
                continue
            if self._futures.get(number) is future:  # else it was begun again meanwhile
                return number, future

    def pickled(self, thing: Any) -> bytes:
        """Pickle with cloudpickle, which includes functions and classes defined in the main program."""
        import cloudpickle  # which Dask needs

        return bytes(cloudpickle.dumps(thing))

    def close(self) -> None:  # noqa: D102
        futures, self._futures = [*self._futures.values(), *(() if self._data is None else (self._data,))], {}
        self._work.clear()
        self._done = SimpleQueue()
        if self._client.status == "running":
            self._client.cancel(futures, force=True)
        self._data = None
        for each in self._owned:
            each.close()

    # -- sending -----------------------------------------------------------------------------------------------------

    def _check(self) -> None:
        """Raise `WorkersLost` if there is no scheduler, after giving it some seconds to come back."""
        end = monotonic() + RECONNECTION
        while self._client.status == "connecting" and monotonic() < end:
            sleep(POLL)
        if self._client.status != "running":
            raise WorkersLost(f"the scheduler of the Dask cluster at {self._address} does not answer any more")

    def _send_data(self) -> None:
        """Send the data to all current workers; later ones get them from these."""
        if not self.workers:
            remark(f"{self._address} has no workers yet: waiting for some")
            probe = self._client.submit(int, key=f"dnnkit-probe-{uuid4().hex}")  # an adaptive cluster starts some
            while not probe.done():
                self._check()
                sleep(POLL)
        [self._data] = self._client.scatter([self._shared], broadcast=True, hash=False)

    def _send(self, number: int) -> None:
        function, arguments = self._work[number]
        sent = [
            self._client.scatter([each], hash=False)[0] if isinstance(each, bytes) and len(each) > LARGE else each
            for each in arguments
        ]
        key = f"dnnkit-{number}-{uuid4().hex}"
        future = self._futures[number] = self._client.submit(function, self._data, *sent, key=key, pure=False)
        future.add_done_callback(partial(self._tell, number))

    def _tell(self, number: int, future: Any) -> None:
        """Report a finished or lost task, from one of Dask's threads, unless it was sent again meanwhile."""
        if self._futures.get(number) is future:
            self._done.put((number, future))

    def _begin_again(self, number: int) -> None:
        """Send a task again, and all others that were lost."""
        self._check()
        assert self._data is not None
        lost = [each for each, future in self._futures.items() if each == number or future.status in GONE]
        remark(f"workers of {self._address} are gone: what {len(lost)} networks were doing is done again")
        if self._data.status in GONE:
            self._send_data()
        for each in lost:
            self._send(each)
