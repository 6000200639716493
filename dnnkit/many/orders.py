"""A common order of the samples for many networks."""

from collections import OrderedDict

from dnnkit.backends.state import HostArray
from dnnkit.seeds import check_seed
from dnnkit.training.epoch_order import epoch_order

MOST_ROWS = 1 << 21
"""Maximum number of rows of cached orders: 16 MiB."""


class SharedOrders:
    """Orders of epochs that all networks share, each drawn once.

    Arguments:
        seed: seed of the orders, which are those of a network with this seed.
    """

    def __init__(self, seed: int) -> None:
        self.seed = check_seed(seed)
        self._drawn: OrderedDict[tuple[int, int], HostArray] = OrderedDict()

    def order(self, samples: int, epoch: int) -> HostArray:
        """Return the order of the samples in an epoch."""
        key = samples, epoch
        order = self._drawn.get(key)  # other threads may draw and forget meanwhile
        if order is None:
            order = self._drawn[key] = epoch_order(True, samples, samples, self.seed, epoch)
            while len(self._drawn) > 1 and sum(map(len, list(self._drawn.values()))) > MOST_ROWS:
                self._drawn.popitem(last=False)
        return order

    def __repr__(self) -> str:
        return f"'shared', order_seed {self.seed}"
