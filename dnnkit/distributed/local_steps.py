"""Local SGD: each rank trains on its own part of every batch, and parameters are averaged every k steps."""

import numpy as np

from dnnkit.backends.aligned import zeros
from dnnkit.backends.executable import Executable
from dnnkit.backends.operations import Operations
from dnnkit.backends.state import HostArray, Hyperparameters, Snapshot
from dnnkit.distributed.communicator import Communicator
from dnnkit.distributed.executable import FAILED, STOP, TAIL, AllGather, SharedExecutable
from dnnkit.distributed.reduction import Reduction
from dnnkit.training.parts import Share


class LocalSteps(SharedExecutable):
    """Steps that each rank runs alone; ranks communicate only to average their parameters.

    Averages are taken after steps whose number, counted from the network's first, is a multiple of `every`, and at
    the end of an epoch, independent of when callbacks look at the network.
    """

    def __init__(
        self,
        inner: Executable,
        communicator: Communicator,
        all_gather: AllGather,
        leads: bool,
        backend: Operations,
        every: int,
    ) -> None:
        super().__init__(inner, communicator, all_gather, leads)
        self._backend, self._every = backend, every
        flat = self._read()
        self._size = len(flat)
        self._sum = Reduction(communicator, communicator.size, lambda: zeros((self._size + TAIL,), flat.dtype.name))
        self._own_steps = 0

    @property
    def share(self) -> Share:  # noqa: D102
        return Share(self._communicator.size, self._communicator.rank, self._communicator.rank + 1)

    def _begin_own(self) -> None:
        batches = self._batches
        parts = [batches.rows(step, *self.share.rows(batches.size(step))) for step in range(batches.steps)]
        self._own_steps = sum(len(part) > 0 for part in parts)
        if self._own_steps:
            self._inner.begin_epoch(self.data, np.concatenate(parts), len(parts[0]))

    def _take(self, numbers: Snapshot) -> None:
        within = self._own_steps > 0 and self._last > 0
        sums = self._inner.sums() if within else None
        super()._take(numbers)
        if within:
            self._begin_own()
            if sums is not None:
                self._inner.go_on_from(sums)

    def _measured(self) -> tuple[list[list[float]], int]:
        sums = self._inner.sums() if self._own_steps else None
        if sums is None or not sums.sums:
            return [], -1
        return [list(sums.total)], sums.nan_step

    def _run_own(self, first: int, last: int, hyperparameters: Hyperparameters) -> int:
        step = first
        while step < last:
            left = self._every - self.state.step % self._every
            end = min(last, step + left)
            self._run_alone(step, end, hyperparameters.of_steps(np.arange(step - first, end - first)))
            step = end
            if self.state.step % self._every and not (self._batches.is_end and step == self._batches.steps):
                continue  # only the end of the requested steps, or of a chunk
            total = self._sum.add_up(self._write_parameters)
            if total[FAILED]:
                return step
            total[: self._size] /= self._communicator.size
            with self._backend.on_device():
                self._inner.write_trained(self._backend.asarray(total[: self._size].copy()))
            if total[STOP]:
                return step
        return last

    def _run_alone(self, first: int, last: int, hyperparameters: Hyperparameters) -> None:
        """Run steps on this rank's rows; the last batch of an epoch may have none."""
        before, count = self.state.step, last - first
        own = max(first, min(last, self._own_steps))
        try:
            if own > first and self._failure is None:
                done = first
                while done < own:
                    given = hyperparameters.of_steps(np.arange(done - first, own - first))
                    done = self._inner.run_steps(done, own, given)
        except Exception as error:
            self._failure = error
        self.state.step = before + count

    def _read(self) -> HostArray:
        with self._backend.on_device():
            found: HostArray = self._backend.to_numpy(self._inner.read_trained())
        return found

    def _write_parameters(self, rank: int, out: HostArray) -> None:
        out[: self._size] = self._read()
        self._add_flags(out)
