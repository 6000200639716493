"""A common update of all ranks in each step, with the sum of the gradients of the batch's blocks."""

from functools import partial

import numpy as np

from dnnkit.backends.aligned import zeros
from dnnkit.backends.executable import Executable
from dnnkit.backends.state import EpochSums, HostArray, Hyperparameters
from dnnkit.distributed.communicator import Communicator
from dnnkit.distributed.executable import FAILED, STOP, TAIL, AllGather, SharedExecutable
from dnnkit.distributed.reduction import Reduction
from dnnkit.training.parts import Share


class SharedBatches(SharedExecutable):
    """Gradients by blocks, summed over all ranks and applied by each: parameters stay bitwise identical."""

    def __init__(
        self, inner: Executable, communicator: Communicator, all_gather: AllGather, leads: bool, blocks: int
    ) -> None:
        super().__init__(inner, communicator, all_gather, leads)
        self._blocks, sample = blocks, inner.empty_gradient()
        self._size, dtype = len(sample), sample.dtype.name
        self._sum = Reduction(communicator, blocks, lambda: zeros((self._size + TAIL,), dtype))
        self._own_sums = np.zeros((len(self._sum.own), inner.program.measured))
        self._own_nan_step = -1

    @property
    def share(self) -> Share:  # noqa: D102
        return Share(self._blocks, self._sum.own.start, self._sum.own.stop)

    def _begin_own(self) -> None:
        self._own_sums.fill(0)
        self._own_nan_step = -1

    def _takes(self, sums: EpochSums) -> bool:
        if len(sums.sums) != self._blocks:
            return False
        self._own_sums[...] = sums.sums[self._sum.own.start : self._sum.own.stop]
        return True

    def _measured(self) -> tuple[list[list[float]], int]:
        return self._own_sums.tolist(), self._own_nan_step

    def _run_own(self, first: int, last: int, hyperparameters: Hyperparameters) -> int:
        for step in range(first, last):
            total = self._sum.add_up(partial(self._write_block, step, self._batches.weight(step)))
            if total[FAILED]:
                return step
            try:
                self._inner.update_flat(total[: self._size], hyperparameters.at(step - first))
            except Exception as error:
                self._failure = self._failure or error  # reported to the others in the next step
            if total[STOP]:
                return step + 1
        return last

    def _write_block(self, step: int, weight: float, block: int, out: HostArray) -> None:
        """Write the gradient of a block's rows, which may be none, and the flags for other ranks."""
        count = self._batches.size(step)
        first, last = count * block // self._blocks, count * (block + 1) // self._blocks
        place, gradient = block - self._sum.own.start, out[: self._size]
        try:
            if first < last and self._failure is None:
                rows = self._batches.rows(step, first, last)
                found = self._inner.differentiate_part(self.data, rows, first, weight, gradient)
                self._own_sums[place] += found
                if found[0] != found[0] and self._own_nan_step < 0:
                    self._own_nan_step = step
            else:
                gradient.fill(0)
        except Exception as error:
            self._failure = error
            gradient.fill(0)
        self._add_flags(out)
