"""Options of data-parallel training: communicator, blocks of a batch, and averaging."""

from typing import Any, ClassVar

from dnnkit.deferred import dataclass
from dnnkit.distributed.communicator import COMMUNICATORS, Communicator
from dnnkit.distributed.reduction import is_power_of_two
from dnnkit.errors import ConfigurationError
from dnnkit.settings import Expected, Settings, or_none, shown, whole

BLOCKS = 4
"""Default number of blocks per batch, unless there are more ranks."""


def _block_count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not is_power_of_two(value):
        raise ValueError
    return value


@dataclass(frozen=True)
class DataParallel(Settings):
    """Data-parallel training options: `fit(..., distributed=dk.DataParallel("mpi", blocks=8))`.

    Each batch is cut into blocks. A rank computes the gradients of its blocks, and these are summed in an order that
    depends only on the blocks: with the same number of blocks, results are bitwise identical on any number of ranks.

    Arguments:
        communicator: the connection between ranks: "mpi" (default), another registered name, or a `Communicator`.
        blocks: number of blocks per batch, a power of two not below the number of ranks. None (default): 4, or for
            more ranks the next power of two.
        average_every: 1 (default) for a common update in each step. From 2 on, ranks train alone on their parts of
            the batches, and average their parameters every `average_every` steps and at the end of each epoch (local
            SGD; S. U. Stich, arXiv:1805.09767).

    Raises:
        ConfigurationError: an argument is invalid.
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
        """Return the options for what `fit` was given."""
        if isinstance(given, DataParallel):
            return given
        if isinstance(given, str):
            COMMUNICATORS.find(given)
            return cls(given)
        raise ConfigurationError(
            f"distributed is {shown(given)}: expected 'mpi', a dk.DataParallel(...), or None for this process alone"
        )

    def connect(self) -> Communicator:
        """Connect to the other ranks."""
        if isinstance(self.communicator, Communicator):
            return self.communicator
        return COMMUNICATORS.find(self.communicator)()

    def blocks_for(self, ranks: int) -> int:
        """Return the number of blocks; raise `ConfigurationError` if some ranks would have none."""
        blocks = self.blocks or max(BLOCKS, 1 << (ranks - 1).bit_length())
        if blocks < ranks:
            raise ConfigurationError(
                f"blocks={blocks} for {ranks} ranks leaves some without work: expected a power of two of at least "
                f"{ranks}, or None"
            )
        return blocks
