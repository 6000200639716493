"""What is asked for: who the ranks are, how batches are cut, and how often ranks agree."""

from typing import Any, ClassVar

from dnnkit.deferred import dataclass
from dnnkit.distributed.communicator import COMMUNICATORS, Communicator
from dnnkit.distributed.reduction import is_power_of_two
from dnnkit.errors import ConfigurationError
from dnnkit.settings import Expected, Settings, or_none, shown, whole

BLOCKS = 4
"""Of a batch, unless somebody asks for more, or there are more ranks."""


def _block_count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not is_power_of_two(value):
        raise ValueError
    return value


@dataclass(frozen=True)
class DataParallel(Settings):
    """How ranks share the training of a network: `fit(..., distributed=dk.DataParallel("mpi", blocks=8))`.

    Each batch is cut into blocks. A rank computes the gradient of its blocks, and these are added up in an order that
    depends on the blocks alone: with as many blocks, results are the same bit for bit on any number of ranks.

    Arguments:
        communicator: what connects the ranks: "mpi", another registered name, or a `Communicator`.
        blocks: of a batch, a power of two and at least the number of ranks. None: 4, or for more ranks the next power
            of two.
        average_every: 1 for one update of all ranks in each step. From 2 on ranks train alone, on their own parts of
            the batches, and average their parameters every so many steps and at the end of each epoch (local SGD;
            S. U. Stich, arXiv:1805.09767).
    """

    communicator: str | Communicator = "mpi"
    blocks: int | None = None
    average_every: int = 1

    expects: ClassVar = {
        "blocks": or_none(Expected("a power of two, such as 8", _block_count)),
        "average_every": whole(),
    }

    @classmethod
    def of(cls, given: Any) -> "DataParallel":
        """From what `fit` was given."""
        if isinstance(given, DataParallel):
            return given
        if isinstance(given, str):
            COMMUNICATORS.find(given)
            return cls(given)
        raise ConfigurationError(
            f"distributed is {shown(given)}: expected 'mpi', a dk.DataParallel(...), or None for this process alone"
        )

    def connect(self) -> Communicator:
        """To the other ranks."""
        if isinstance(self.communicator, Communicator):
            return self.communicator
        return COMMUNICATORS.find(self.communicator)()

    def blocks_for(self, ranks: int) -> int:
        """How many a batch has; raises `ConfigurationError` where some ranks would have none."""
        blocks = self.blocks or max(BLOCKS, 1 << (ranks - 1).bit_length())
        if blocks < ranks:
            raise ConfigurationError(
                f"blocks={blocks} for {ranks} ranks, so that some would have nothing to do: expected a power of two "
                f"from {ranks} on, or None"
            )
        return blocks
