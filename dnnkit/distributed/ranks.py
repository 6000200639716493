"""Coordination of the ranks and their errors: rank 0 runs the training loop, the others do what it asks.

Ranks synchronize before training, whenever rank 0 begins an epoch or runs steps, after these steps, and at the end.
Each time every rank sends an object or reports that it failed, in which case all of them raise. Callbacks, progress,
checkpoints and Ctrl-C are therefore those of rank 0, and an error on any rank ends all with one error.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self, cast

from dnnkit.backends import choosing
from dnnkit.backends.choosing import Chosen
from dnnkit.backends.one_function import drawing, draws_parts, has_statistics
from dnnkit.backends.program import Program
from dnnkit.backends.stages import Op
from dnnkit.backends.state import Snapshot, TrainingState
from dnnkit.callbacks.callback_list import CallbackList
from dnnkit.distributed.communicator import Communicator
from dnnkit.distributed.data_parallel import DataParallel
from dnnkit.distributed.executable import SharedExecutable
from dnnkit.distributed.full_batches import FullBatches, SharedEvaluations
from dnnkit.distributed.local_steps import LocalSteps
from dnnkit.distributed.shared_batches import SharedBatches
from dnnkit.errors import ConfigurationError, DistributedError
from dnnkit.network.protocol import Network
from dnnkit.training import loop
from dnnkit.training.checkpoints import Checkpoints, differences
from dnnkit.training.history import History
from dnnkit.training.interrupts import Interrupts
from dnnkit.training.parts import Share
from dnnkit.training.progress import Verbosity
from dnnkit.training.run import Run

if TYPE_CHECKING:
    from dnnkit.streams.feeding import StreamFeed


class Failure(NamedTuple):
    """A rank's report that it failed, sent in place of its object."""

    text: str
    kind: str
    status: int = 1

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """Return the report of an exception."""
        status = error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else 1
        return cls(f"{type(error).__name__}: {error}".rstrip(": "), type(error).__name__, status)

    def error(self, rank: int, size: int) -> BaseException:
        """Return the exception to raise on other ranks."""
        error: BaseException = DistributedError(f"rank {rank} of {size} failed, which ends all ranks: {self.text}")
        if self.kind == "KeyboardInterrupt":
            error = KeyboardInterrupt()
        elif self.kind == "SystemExit":
            error = SystemExit(self.status)
        error.all_know = error.told_elsewhere = True  # type: ignore[attr-defined] # that rank prints the traceback
        return error


class Start(NamedTuple):
    """Rank 0's network and state at the start."""

    described: Mapping[str, Any]
    numbers: Snapshot | None


class End(NamedTuple):
    """Rank 0's results at the end of the training."""

    history: Mapping[str, Any]
    whole_history: Mapping[str, Any]
    state: TrainingState
    numbers: Snapshot | None


class Ranks:
    """The ranks of one fit, seen from one of them: a context manager in which an error on any rank ends all."""

    def __init__(self, asked: DataParallel) -> None:
        self._communicator: Communicator = asked.connect()
        self.asked = replace(asked, communicator=self._communicator)
        """The options, with the connected communicator."""
        self._executable: SharedExecutable | FullBatches | None = None
        self._stack = ExitStack()

    @classmethod
    def of(cls, given: Any) -> "Ranks":
        """Return the ranks for what `fit` was given."""
        return cls(DataParallel.of(given))

    @property
    def leads(self) -> bool:
        """Whether this is rank 0."""
        return self._communicator.rank == 0

    @property
    def size(self) -> int:
        """Number of ranks."""
        return self._communicator.size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        shared = self._executable
        self._stack.close()
        if error is None or getattr(error, "all_know", False):
            return
        if shared is not None and shared.is_within_step:
            self._communicator.abort(130 if isinstance(error, KeyboardInterrupt) else 1)
        failed = self._failed(self._communicator.all_gather((None, Failure.of(error))))
        error.all_know = True  # type: ignore[attr-defined]
        if min(failed) != self._communicator.rank:
            error.told_elsewhere = True  # type: ignore[attr-defined]

    @staticmethod
    def _failed(gathered: list[tuple[Any, Failure | None]]) -> dict[int, Failure]:
        return {rank: failure for rank, (_, failure) in enumerate(gathered) if failure is not None}

    def all_gather(self, sent: Any) -> list[Any]:
        """Return the objects of all ranks; raise if a rank reports a failure."""
        gathered = self._communicator.all_gather((sent, None))
        for rank, failure in self._failed(gathered).items():
            raise failure.error(rank, self._communicator.size)
        return [each for each, _ in gathered]

    def seed(self, own: int) -> int:
        """Return rank 0's seed."""
        return int(self.all_gather(own)[0])

    def begin(self, net: Network) -> None:
        """Make the network train with the steps of all ranks, until the `with` block ends."""
        executable, ranks = net.executable, self._communicator.size
        is_local = self.asked.average_every > 1
        _require_parts(executable.program, is_local)
        if net.optimizer.full_batch and is_local:
            raise ConfigurationError(
                f"average_every={self.asked.average_every} averages after steps of batches, and this optimizer uses "
                "full batches: leave average_every out, or compile with another optimizer, such as dk.Adam()"
            )
        program = replace(executable.program, num_threads=net.num_threads or 1)
        _, inner = choosing.build(Chosen(net.backend), program)
        inner.restore(executable.snapshot())
        given = inner, self._communicator, self.all_gather, self.leads
        if net.optimizer.full_batch:
            blocks = self.asked.blocks_for(ranks)
            how = f"{ranks} ranks over {self._communicator.name}, rows in {blocks} blocks"
            evaluations = SharedEvaluations(inner.within, self._communicator, self.all_gather, net.backend, blocks)
            self._executable = FullBatches(evaluations, program, net.backend)
        elif is_local:
            how = f"{ranks} ranks over {self._communicator.name}, averaged every {self.asked.average_every} steps"
            self._executable = LocalSteps(*given, net.backend, self.asked.average_every)
        else:
            blocks = self.asked.blocks_for(ranks)
            how = f"{ranks} ranks over {self._communicator.name}, batches in {blocks} blocks"
            self._executable = SharedBatches(*given, blocks)
        inner.plan = replace(inner.plan, details={**inner.plan.details, "distributed": how})
        self._stack.enter_context(net.replaced(self._executable))

    @property
    def share(self) -> Share:
        """The rows of each batch that this rank computes."""
        assert self._executable is not None
        return self._executable.share

    def train(
        self,
        net: Network,
        run: Run,
        callbacks: CallbackList,
        verbose: Verbosity,
        interrupts: Interrupts,
        checkpoints: Checkpoints | None,
    ) -> History:
        """Run `loop.train` on rank 0, and follow it on the others; return the same history on all ranks."""
        shared = self._executable
        assert shared is not None
        shared.data, shared.feed = run.data, cast("StreamFeed | None", run.feed)
        described = _described(net, run)
        gathered = self.all_gather(Start(described, shared.snapshot() if self.leads else None))
        for rank, start in enumerate(gathered):
            if found := list(differences("", gathered[0].described, start.described)):
                raise ConfigurationError(
                    f"rank {rank} (here) trains something else than rank 0 (there): {'; '.join(found[:4])}. Give every "
                    "rank the same network, batches and complete data: each computes its part of every batch"
                )
        if not self.leads:
            return self._follow(net, shared, gathered[0].numbers, interrupts)
        history = loop.train(net, run, callbacks, verbose, interrupts, checkpoints)
        numbers = shared.snapshot() if shared.is_changed else None
        self.all_gather(End(history.to_json(), net.history.to_json(), shared.state, numbers))
        return history

    def _follow(
        self, net: Network, shared: SharedExecutable | FullBatches, numbers: Snapshot, interrupts: Interrupts
    ) -> History:
        """Do what rank 0 asks until the end; rank 0 also handles Ctrl-C."""
        with interrupts.between_steps(lambda: None):
            shared.restore(numbers)
            while not isinstance(command := self.all_gather(None)[0], End):
                with net.turns:
                    shared.obey(command)
            interrupts.received.clear()
        if command.numbers is not None:
            shared.restore(command.numbers)
        shared.state = replace(command.state)
        net.history = _read(shared, command.whole_history)
        return _read(shared, command.history)


def _read(shared: SharedExecutable | FullBatches, given: Mapping[str, Any]) -> History:
    history = History.from_json(given, is_checked=True)
    history.plan = shared.plan
    return history


def _require_parts(program: Program, is_local: bool) -> None:
    """Raise `ConfigurationError` if the gradient of a batch is not the sum over its parts."""
    for stage in program.stages:
        if isinstance(stage, Op) and has_statistics(stage):
            raise ConfigurationError(
                f"{stage.kind} needs the whole batch, but each rank has only a part: use dk.LayerNormalization(), "
                "freeze the layer, or leave out distributed="
            )
        if not is_local and (name := drawing(stage)) is not None and not draws_parts(stage):
            raise ConfigurationError(
                f"{name} draws random numbers for a whole batch, but each rank has only a part: use dk.Dropout() or "
                "dk.GaussianNoise(), average_every= of 2 or more, or leave out distributed="
            )


def _described(net: Network, run: Run) -> dict[str, Any]:
    """Return the properties that all ranks need to share."""
    program = net.executable.program
    return {
        "seed": net.seed,
        "dtype": net.dtype,
        "the number of stages": len(program.stages),
        "the parameters": {each.name: list(each.shape) for each in program.parameters},
        "the metrics": [metric.name for metric in program.metrics],
        "batches": run.schedule,
        "the data's fingerprint": run.sample_of_data(),
    }
