"""Ranks connected by MPI: `mpirun -n 4 python train.py`, where the script calls `fit(..., distributed="mpi")`.

It uses mpi4py, with whatever MPI that was built for.
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
"""Seconds for which a waiting rank spins, and its longest pause between polls afterwards; and its pause within a step
if ranks share processors, because a spinning rank would keep a processor from the others."""


class Mpi(Communicator):
    """The ranks of one `mpirun`; a single one if the process was started without."""

    name = "mpi"

    def __init__(self) -> None:
        try:
            from mpi4py import MPI
        except ImportError as error:
            raise BackendUnavailable(
                f"distributed='mpi' needs mpi4py and an MPI library, which cannot be imported ({error}): "
                "pip install 'dnnkit[mpi]', and start with mpirun -n 4"
            ) from None
        self._mpi = MPI
        self._world = MPI.COMM_WORLD.Dup()  # isolates these messages from the program's own
        self.rank, self.size = self._world.Get_rank(), self._world.Get_size()
        near = self._world.Split_type(MPI.COMM_TYPE_SHARED)
        self._is_crowded = near.Get_size() > processors()
        """Whether ranks share processors, so that waiting ranks have to yield them."""
        near.Free()
        if self.size > 1:
            _end_all_on_errors(self)

    def all_gather(self, sent: Any) -> list[Any]:
        """Return the objects of all ranks."""
        if self.size == 1:
            return [sent]
        everybody, began, pause = self._world.Ibarrier(), time.perf_counter(), 1e-5
        try:
            while not everybody.Test():  # MPI's own wait would spin, and ignore Ctrl-C
                if time.perf_counter() - began > SPIN:
                    time.sleep(pause)
                    pause = min(2 * pause, LONGEST)
        except KeyboardInterrupt:  # the others wait in this call, so they cannot be told
            self.abort(130)
            raise
        return list(self._world.allgather(sent))

    def exchange(self, given: HostArray, other: int, out: HostArray) -> None:
        """Send and receive."""
        self._wait_for(self._world.Irecv(out, other, 0), self._world.Isend(given, other, 0))

    def send(self, given: HostArray, to: int) -> None:
        """Send."""
        self._wait_for(self._world.Isend(given, to, 1))

    def receive(self, out: HostArray, of: int) -> None:
        """Receive."""
        self._wait_for(self._world.Irecv(out, of, 1))

    def broadcast(self, array: HostArray) -> None:
        """Broadcast rank 0's array in place."""
        self._wait_for(self._world.Ibcast(array, 0))

    def _wait_for(self, *requests: Any) -> None:
        if not self._is_crowded:
            self._mpi.Request.Waitall(list(requests))
            return
        while not self._mpi.Request.Testall(list(requests)):
            time.sleep(CROWDED)

    def abort(self, status: int) -> None:
        """Terminate all ranks."""
        self._mpi.COMM_WORLD.Abort(status)


def _end_all_on_errors(communicator: Communicator) -> None:
    """Make unhandled errors terminate all ranks, because the others would wait for this one forever."""
    before = sys.excepthook

    def end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if getattr(error, "told_elsewhere", False):  # another rank reports it, and all end
            return
        if getattr(error, "all_know", False) or not issubclass(kind, Exception):
            before(kind, error, trace)
            return
        print(f"rank {communicator.rank} of {communicator.size}:", file=sys.stderr)
        traceback.print_exception(kind, error, trace)
        sys.stderr.flush()
        communicator.abort(1)

    sys.excepthook = end
