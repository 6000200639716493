"""Ranks that MPI connects: `mpirun -n 4 python train.py`, in which `fit(..., distributed="mpi")` is called.

Only mpi4py is used, with whatever MPI it was built for.
"""

import sys
import time
import traceback
from types import TracebackType
from typing import Any

from dnnkit.backends.processors import processors
from dnnkit.backends.state import HostArray
from dnnkit.distributed.communicator import Communicator
from dnnkit.errors import BackendUnavailable

SPIN, LONGEST, CROWDED = 1e-3, 2e-3, 2e-5
"""Seconds for which a rank that waits for others asks all the time, and then between two questions at most; and within
a step where ranks share processors, which one that asks all the time would keep from the others."""


class Mpi(Communicator):
    """The ranks of one `mpirun`; in a process that was started without, a single one."""

    name = "mpi"

    def __init__(self) -> None:
        try:
            from mpi4py import MPI
        except ImportError as error:
            raise BackendUnavailable(
                f"distributed='mpi' needs mpi4py and an MPI, which cannot be imported here ({error}): "
                "pip install 'dnnkit[mpi]', and start with mpirun -n 4"
            ) from None
        self._mpi = MPI
        self._world = MPI.COMM_WORLD.Dup()  # whatever else the program sends, it is not received here
        self.rank, self.size = self._world.Get_rank(), self._world.Get_size()
        near = self._world.Split_type(MPI.COMM_TYPE_SHARED)
        self._is_crowded = near.Get_size() > processors()
        """Whether ranks share processors: who waits must let others have theirs."""
        near.Free()
        if self.size > 1:
            _end_all_on_errors(self)

    def meet(self, said: Any) -> list[Any]:
        """What every rank says."""
        if self.size == 1:
            return [said]
        everybody, began, pause = self._world.Ibarrier(), time.perf_counter(), 1e-5
        try:
            while not everybody.Test():  # MPI itself would ask all the time, and not hear Ctrl-C
                if time.perf_counter() - began > SPIN:
                    time.sleep(pause)
                    pause = min(2 * pause, LONGEST)
        except KeyboardInterrupt:  # the others wait for what this rank was to say: nothing else can be said now
            self.abort(130)
            raise
        return list(self._world.allgather(said))

    def exchange(self, given: HostArray, other: int, out: HostArray) -> None:
        """Send and receive."""
        self._wait_for(self._world.Irecv(out, other, 0), self._world.Isend(given, other, 0))

    def send(self, given: HostArray, to: int) -> None:
        """Send."""
        self._wait_for(self._world.Isend(given, to, 1))

    def receive(self, out: HostArray, of: int) -> None:
        """Receive."""
        self._wait_for(self._world.Irecv(out, of, 1))

    def spread(self, array: HostArray) -> None:
        """Make the array that of rank 0."""
        self._wait_for(self._world.Ibcast(array, 0))

    def _wait_for(self, *requests: Any) -> None:
        if not self._is_crowded:
            self._mpi.Request.Waitall(list(requests))
            return
        while not self._mpi.Request.Testall(list(requests)):
            time.sleep(CROWDED)

    def abort(self, status: int) -> None:
        """End all ranks."""
        self._mpi.COMM_WORLD.Abort(status)


def _end_all_on_errors(communicator: Communicator) -> None:
    """From now on an error that nobody handles ends all ranks: the others would wait for this one for ever."""
    before = sys.excepthook

    def end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if getattr(error, "told_elsewhere", False):  # another rank says it, and all end
            return
        if getattr(error, "all_know", False) or not issubclass(kind, Exception):
            before(kind, error, trace)
            return
        print(f"rank {communicator.rank} of {communicator.size}:", file=sys.stderr)
        traceback.print_exception(kind, error, trace)
        sys.stderr.flush()
        communicator.abort(1)

    sys.excepthook = end
