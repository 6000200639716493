"""Ranks as threads of one process, for tests that need no MPI."""

import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from dnnkit.backends.state import HostArray
from dnnkit.distributed.communicator import Communicator

LONGEST = 60.0
"""Seconds after which a waiting rank gives up: the others have failed."""

Result = TypeVar("Result")


class _Shared:
    """What the ranks of one run share."""

    def __init__(self, size: int) -> None:
        self.size, self.sent = size, [None] * size
        self.barrier = threading.Barrier(size, timeout=LONGEST)
        self.boxes = {(one, other): queue.Queue[HostArray]() for one in range(size) for other in range(size)}


class Threads(Communicator):
    name = "threads"

    def __init__(self, shared: _Shared, rank: int) -> None:
        self._shared, self.rank, self.size = shared, rank, shared.size
        self.was_aborted = False

    def all_gather(self, sent: Any) -> list[Any]:
        shared = self._shared
        shared.sent[self.rank] = sent
        shared.barrier.wait()
        found = list(shared.sent)
        shared.barrier.wait()
        return found

    def exchange(self, given: HostArray, other: int, out: HostArray) -> None:
        self.send(given, other)
        self.receive(out, other)

    def send(self, given: HostArray, to: int) -> None:
        self._shared.boxes[self.rank, to].put(np.array(given))

    def receive(self, out: HostArray, of: int) -> None:
        out[...] = self._shared.boxes[of, self.rank].get(timeout=LONGEST)

    def broadcast(self, array: HostArray) -> None:
        array[...] = self.all_gather(np.array(array))[0]

    def abort(self, status: int) -> None:
        self.was_aborted = True
        self._shared.barrier.abort()


def run_ranks(size: int, work: Callable[[Threads], Result]) -> list[Result | BaseException]:
    """Return the results of the work on each rank, or the exception it raises."""
    shared = _Shared(size)
    found: list[Any] = [None] * size

    def run(rank: int) -> None:
        try:
            found[rank] = work(Threads(shared, rank))
        except BaseException as error:
            found[rank] = error

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found
