"""L-BFGS on several ranks: rank 0 runs the iterations, each rank evaluates loss and gradient on its blocks of rows."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from dnnkit.backends.aligned import zeros
from dnnkit.backends.around import Around
from dnnkit.backends.executable import Executable
from dnnkit.backends.full_batch import FullBatchExecutable
from dnnkit.backends.operations import Operations
from dnnkit.backends.program import FullBatch, Program
from dnnkit.backends.state import HostArray, Hyperparameters, Snapshot
from dnnkit.distributed.communicator import Communicator
from dnnkit.distributed.executable import AllGather, trains_elsewhere
from dnnkit.distributed.reduction import Reduction
from dnnkit.kernels.array import Array
from dnnkit.training.parts import Share


class Evaluate(NamedTuple):
    """Rank 0 evaluates loss and gradient for these trained parameters, in chunks of `rows` rows."""

    numbers: HostArray
    rows: int


class SharedEvaluations(Around):
    """An executable whose `differentiate_all` is computed by all ranks, each for its blocks of the rows.

    Losses and gradients of blocks are summed in a fixed order, so they are bitwise identical for any number of ranks.
    """

    def __init__(
        self, inner: Executable, communicator: Communicator, all_gather: AllGather, backend: Operations, blocks: int
    ) -> None:
        super().__init__(inner)
        self._all_gather, self._backend, self._blocks = all_gather, backend, blocks
        self.data: Any = None
        """The data that all ranks train on."""
        self.is_within_step = False
        """Whether other ranks wait for this rank's part of a sum."""
        sample = inner.empty_gradient()
        self._make: Callable[[], HostArray] = lambda: zeros(sample.shape, sample.dtype.name)
        self._sum = Reduction(communicator, blocks, self._make)
        self._part, self._own = inner.empty_gradient(), [self._make() for _ in self._sum.own]
        self._reduction = inner.program.loss.reduction if inner.program.loss is not None else "mean"

    @property
    def share(self) -> Share:
        """The blocks of the rows that this rank computes."""
        return Share(self._blocks, self._sum.own.start, self._sum.own.stop)

    def differentiate_all(  # noqa: D102
        self, data: Any, numbers: Array, rows: int, is_wanted: Callable[[], bool]
    ) -> tuple[float, Array] | None:
        if data is not self.data:
            raise trains_elsewhere()
        flat = np.array(self._backend.to_numpy(numbers))
        self._all_gather(Evaluate(flat, rows))
        loss, gradient = self.evaluate_blocks(flat, rows)
        return (loss, self._backend.asarray(gradient)) if is_wanted() else None

    def evaluate_blocks(self, numbers: HostArray, rows: int) -> tuple[float, HostArray]:
        """Return the loss and the gradient over all rows, on every rank."""
        weight, kept = self._inner.weight(self.data), self._inner.read_trained()
        self._inner.write_trained(self._backend.asarray(numbers))
        try:
            own = [self._block(block, weight, rows, out) for block, out in zip(self._sum.own, self._own, strict=True)]
        finally:
            self._inner.write_trained(kept)
        losses = [loss for part in self._all_gather(own) for loss in part]
        self.is_within_step = True
        gradient = self._sum.add_up(self._write_block).copy()
        self.is_within_step = False
        return float(np.add.accumulate(losses)[-1]) / (1.0 if self._reduction == "sum" else weight or 1.0), gradient

    def _block(self, block: int, weight: float, rows: int, out: HostArray) -> float:
        """Write the gradient of a block's rows, which may be none, and return the sum of their losses."""
        count = len(self.data)
        first, last = count * block // self._blocks, count * (block + 1) // self._blocks
        out.fill(0)
        loss = 0.0
        for start in range(first, last, rows):
            chosen = np.arange(start, min(start + rows, last))
            loss += self._inner.differentiate_part(self.data, chosen, start, weight, self._part)[0]
            out += self._part
        return loss

    def _write_block(self, block: int, out: HostArray) -> None:
        out[...] = self._own[block - self._sum.own.start]

    # -- what iterations use of the executable -------------------------------------------------------------------------

    def empty_gradient(self) -> HostArray:  # noqa: D102
        return self._inner.empty_gradient()

    def read_trained(self) -> Array:  # noqa: D102
        return self._inner.read_trained()

    def write_trained(self, numbers: Array) -> None:  # noqa: D102
        self._inner.write_trained(numbers)

    def name_trained(self, numbers: Array) -> dict[str, HostArray]:  # noqa: D102
        return self._inner.name_trained(numbers)

    def flatten_trained(self, values: Any) -> Array:  # noqa: D102
        return self._inner.flatten_trained(values)

    def write_parameter(self, name: str, value: HostArray) -> None:  # noqa: D102
        self._inner.write_parameter(name, value)

    def snapshot(self) -> Snapshot:  # noqa: D102
        return self._inner.snapshot()

    def restore(self, snapshot: Snapshot) -> None:  # noqa: D102
        self._inner.restore(snapshot)

    # Iterations run no steps of batches.

    def begin_epoch(self, data: Any, order: HostArray, batch_size: int) -> None:  # noqa: D102
        raise NotImplementedError

    def run_steps(self, first: int, last: int, hyperparameters: Hyperparameters) -> int:  # noqa: D102
        raise NotImplementedError

    def request_stop(self) -> None:  # noqa: D102
        raise NotImplementedError

    def totals(self) -> Any:  # noqa: D102
        raise NotImplementedError

    def update(self, gradients: Any, hyperparameters: Hyperparameters) -> None:  # noqa: D102
        raise NotImplementedError


class FullBatches(FullBatchExecutable):
    """L-BFGS whose iterations run on rank 0, with evaluations by all ranks."""

    feed: Any = None
    is_changed = True

    def __init__(self, shared: SharedEvaluations, program: Program, backend: Operations) -> None:
        assert isinstance(program.rule, FullBatch)
        super().__init__(shared, program, program.rule.pairs, backend)
        self._shared = shared

    @property
    def data(self) -> Any:
        """The data that all ranks train on."""
        return self._shared.data

    @data.setter
    def data(self, data: Any) -> None:
        self._shared.data = data

    @property
    def is_within_step(self) -> bool:
        """Whether other ranks wait for this rank's part of a sum."""
        return self._shared.is_within_step

    @property
    def share(self) -> Share:
        """The blocks of the rows that this rank computes."""
        return self._shared.share

    def obey(self, command: Any) -> None:
        """Do what rank 0 asks."""
        if isinstance(command, Evaluate):
            self._shared.evaluate_blocks(command.numbers, command.rows)

    def prepare(self, data: Any, batch_size: int, hyperparameters: Hyperparameters, held_out: Any = None) -> None:
        """Check the program; nothing is evaluated before all ranks train."""
        self._require_one_function()
