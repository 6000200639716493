"""Partition of a program among workers: by units (tensor parallel) or by rows of every batch (data parallel).

By units, dense stages are paired as in Megatron-LM (M. Shoeybi et al., arXiv:1909.08053). The first of a pair is split
by columns of its kernel: every worker has all inputs and computes some of the outputs. The second is split by rows:
every worker has some of the inputs and computes a partial sum of all outputs. In the forward pass only the second
exchanges its partial products; in the backward pass only the first exchanges its dx, if an earlier stage is trained.
Stages within a pair are computed in parts as well; stages after a pair, by every worker alike. A user-defined stage is
called once, with all workers' inputs, wherever it is.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from math import prod
from typing import Literal

from dnnkit.backends.aligned import GRAIN, rounded
from dnnkit.backends.numba_backend.wiring import Wiring
from dnnkit.backends.stages import Activate, Custom, Dense, Op, Parameter, Stage, stage_features
from dnnkit.backends.state import HostArray
from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError
from dnnkit.kernels import registry

MOST_WORKERS = 256
"""Upper bound: beyond it a step would be all exchange, and each worker needs memory."""


@dataclass(frozen=True)
class Partition:
    """Number of workers, and what is divided among them; a single worker has everything."""

    by: Literal["units", "rows"]
    workers: int

    def __str__(self) -> str:
        return f"{self.by}/{self.workers}"

    @staticmethod
    @lru_cache
    def parse(text: str) -> "Partition":
        """Parse the result of `str`. Raises `ConfigurationError` for any other text."""
        found = re.fullmatch(r"(units|rows)/([0-9]{1,3})", text)
        if found is None or not 1 <= int(found[2]) <= MOST_WORKERS:
            given = text if len(text) <= 40 else f"{text[:40]}..."
            raise ConfigurationError(
                f"DNNKIT_PARTITION is {given!r}: expected units/2, rows/4, or another number up to {MOST_WORKERS}"
            )
        return Partition(found[1], int(found[2]))  # type: ignore[arg-type]


SINGLE = Partition("units", 1)

Role = Literal["whole", "columns", "rows", "part"]


def roles(stages: Sequence[Stage], partition: Partition, wiring: Wiring | None = None) -> list[Role]:
    """Return each stage's role for a worker: whole; a dense stage by columns or by rows; a part between the two.

    The stages of a graph are whole.
    """
    if wiring is not None and not wiring.is_chain:
        return ["whole"] * len(stages)
    result: list[Role] = []
    divided = False
    for place, stage in enumerate(stages):
        if isinstance(stage, Dense):
            if divided:
                result.append("rows")
                divided = False
            else:
                divided = partition.by == "units" and _can_begin(stages[place:], partition.workers)
                result.append("columns" if divided else "whole")
        else:
            result.append("part" if divided else "whole")
    return result


def _can_begin(stages: Sequence[Stage], workers: int) -> bool:
    """Whether the first stage can start a pair: another dense stage follows, without softmax or operation between."""
    first = stages[0]
    assert isinstance(first, Dense)
    if workers < 2 or first.kernel.shape[1] < workers or not registry.activation(first.activation).elementwise:
        return False
    for stage in stages[1:]:
        if isinstance(stage, Dense):
            return True
        if isinstance(stage, Op):
            return False
        if isinstance(stage, Activate) and not registry.activation(stage.activation).elementwise:
            return False
    return False


def share(count: int, workers: int, worker: int) -> slice:
    """Return the worker's part of `count` units, in whole grains if there are enough; no part exceeds the first."""
    grain = GRAIN if count >= 2 * GRAIN * workers else 1
    groups = -(-count // grain)
    first, last = (-(-groups * number // workers) * grain for number in (worker, worker + 1))
    return slice(min(count, first), min(count, last))


@dataclass(frozen=True)
class StageShard:
    """The inputs and outputs of a stage that a worker has."""

    inputs: slice
    outputs: slice

    @property
    def shape(self) -> tuple[int, int]:
        """Number of inputs and of outputs."""
        return self.inputs.stop - self.inputs.start, self.outputs.stop - self.outputs.start


def stage_shards(
    stages: Sequence[Stage], features: int, partition: Partition, worker: int, wiring: Wiring | None = None
) -> list[StageShard]:
    """Return the worker's part of every stage; of several inputs, that of the first."""
    wiring = Wiring(stages) if wiring is None else wiring
    result: list[StageShard] = []
    have, widths = [slice(0, features)], [features]
    for stage, role, sources in zip(stages, roles(stages, partition, wiring), wiring.sources, strict=True):
        inputs, width = have[sources[0]], stage_features(stage, widths[sources[0]])
        outputs = inputs
        if isinstance(stage, Dense):
            outputs = share(width, partition.workers, worker) if role == "columns" else slice(0, width)
        elif isinstance(stage, Custom | Op):
            outputs = share(width, partition.workers, worker) if role == "part" else slice(0, width)
        result.append(StageShard(inputs, outputs))
        have.append(outputs)
        widths.append(width)
    return result


@dataclass(frozen=True)
class ParameterShard:
    """The part of a parameter that one worker holds, and its offset in the worker's flat array."""

    parameter: Parameter
    index: tuple[slice, ...]
    worker: int
    offset: int
    shared: bool
    """Whether every worker holds the same."""

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Shape of the part."""
        return tuple(
            len(range(*part.indices(size))) for part, size in zip(self.index, self.parameter.shape, strict=True)
        )

    @cached_property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)


class PartitionedLayout:
    """A program's parameters as one flat array per worker.

    Parameters that all workers have come first, then those that only this worker has; after these, frozen ones in the
    same order, so that trained parameters are contiguous. Gradients and slots cover only the trained part.

    Replicated parameters have the same offset in every worker, so that each updates them by the same instructions: a
    loop may round its last few elements differently.
    """

    def __init__(
        self, stages: Sequence[Stage], features: int, partition: Partition, wiring: Wiring | None = None
    ) -> None:
        self.pieces: dict[tuple[int, str], ParameterShard] = {}
        self.sizes: list[int] = []
        self.trained: list[int] = []
        """End of the trained parameters, per worker."""
        self.shared = 0
        """End of the replicated trained parameters."""
        kinds = roles(stages, partition, wiring)
        for worker in range(partition.workers):
            wanted: list[tuple[bool, Parameter, tuple[slice, ...]]] = []
            shards = stage_shards(stages, features, partition, worker, wiring)
            for stage, role, part in zip(stages, kinds, shards, strict=True):
                if isinstance(stage, Dense):
                    wanted.append((role == "whole", stage.kernel, (part.inputs, part.outputs)))
                    if stage.bias is not None:
                        wanted.append((role != "columns", stage.bias, (part.outputs,)))
                elif isinstance(stage, Custom | Op):
                    wanted += [(True, one, (slice(None),) * len(one.shape)) for one in stage.parameters]
            offset = trained = 0
            for shared, parameter, index in sorted(wanted, key=lambda piece: (not piece[1].trainable, not piece[0])):
                if (worker, parameter.name) in self.pieces:  # shared with another stage
                    continue
                piece = ParameterShard(parameter, index, worker, offset, shared)
                self.pieces[worker, parameter.name] = piece
                offset += rounded(piece.size)
                if parameter.trainable:
                    trained, self.shared = offset, offset if shared else self.shared
            self.sizes.append(offset)
            self.trained.append(trained)
        self.size, self.trained_size = max(self.sizes, default=0), max(self.trained, default=0)
        self.workers = partition.workers
        self._of_name: dict[str, list[ParameterShard]] = {}
        for (_, name), piece in self.pieces.items():
            self._of_name.setdefault(name, []).append(piece)

    def scatter(self, values: Mapping[str, HostArray], out: HostArray) -> None:
        """Write every worker's pieces of these parameters, by name, to out (workers, size)."""
        for name, value in values.items():
            for piece in self._of_name[name]:
                place = out[piece.worker, piece.offset : piece.offset + piece.size]
                place.reshape(piece.shape)[...] = value[piece.index]

    def gather(self, flat: HostArray, out: Mapping[str, HostArray]) -> None:
        """Assemble the parameters named in `out` from the workers' flat arrays (workers, size)."""
        for (worker, name), piece in self.pieces.items():
            if name in out and (worker == 0 or not piece.shared):
                out[name][piece.index] = flat[worker, piece.offset : piece.offset + piece.size].reshape(piece.shape)
