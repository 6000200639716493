"""Sums over all ranks in an order that does not depend on the number of ranks.

The summands are leaves, in the same order for any number of ranks: the blocks of a batch. They are added in pairs,
then pairs of pairs (a binary tree). Each rank has consecutive leaves. If these are whole branches, it adds them
alone, and the ranks combine their sums by recursive doubling: in round k with the rank whose number differs in bit k.
Long arrays are halved in each round and gathered again on the way back (Rabenseifner's algorithm; R. Thakur, R.
Rabenseifner, W. Gropp, Optimization of collective communication operations in MPICH, 2005), which sends twice the
array in total instead of once per round. Element by element this is the same tree. Floating-point sums depend on the
order, and in MPI's `Allreduce` the order depends on the number of ranks and on the length.
"""

from collections.abc import Callable

from dnnkit.backends.state import HostArray
from dnnkit.distributed.communicator import Communicator

HALVED = 1 << 14
"""Number of bytes from which arrays are halved: at this size a message's latency equals its transfer time."""

Leaf = Callable[[int, HostArray], None]
"""Writes the array of a leaf, given its index."""


def is_power_of_two(number: int) -> bool:
    """Return whether a number is a power of two."""
    return number > 0 and number & (number - 1) == 0


class Reduction:
    """Sums of arrays of one length over the leaves of all ranks.

    Arguments:
        communicator: connection of the ranks.
        leaves: number of leaves, at least one per rank.
        make: allocates an array.
    """

    def __init__(self, communicator: Communicator, leaves: int, make: Callable[[], HostArray]) -> None:
        assert leaves >= communicator.size
        self._communicator, self._leaves, self._make = communicator, leaves, make
        rank, size = communicator.rank, communicator.size
        self.own = range(leaves * rank // size, leaves * (rank + 1) // size)
        """The leaves of this rank."""
        self._owners = [rank for rank in range(size) for _ in range(leaves * rank // size, leaves * (rank + 1) // size)]
        self._has_branches = is_power_of_two(size) and is_power_of_two(leaves)
        self._memory: list[HostArray] = []
        self._received: HostArray | None = None

    def add_up(self, leaf: Leaf) -> HostArray:
        """Return the sum, bitwise identical on every rank, in memory that the next call overwrites."""
        if not self._has_branches:
            total = self._add(0, self._leaves, 0, leaf)
            total = self._array(0) if total is None else total
            self._communicator.broadcast(total)
            return total
        total = self._add(self.own.start, self.own.stop, 0, leaf)
        assert total is not None
        if total.nbytes >= HALVED:
            self._halve(total)
        else:
            self._double(total)
        return total

    def _array(self, depth: int) -> HostArray:
        while depth >= len(self._memory):
            self._memory.append(self._make())
        return self._memory[depth]

    def _incoming(self) -> HostArray:
        if self._received is None:
            self._received = self._make()
        return self._received

    def _add(self, start: int, stop: int, depth: int, leaf: Leaf) -> HostArray | None:
        """Return the sum of these leaves on the rank that has the first of them, and None elsewhere.

        All ranks traverse the tree in the same order and send only to lower ranks, so there is no deadlock.
        """
        if self.own.stop <= start or stop <= self.own.start:
            return None
        if stop - start == 1:
            array = self._array(depth)
            leaf(start, array)
            return array
        middle, me = (start + stop) // 2, self._communicator.rank
        left, right = self._add(start, middle, depth, leaf), self._add(middle, stop, depth + 1, leaf)
        here, there = self._owners[start], self._owners[middle]
        if me == there and me != here:
            assert right is not None
            self._communicator.send(right, here)
        if me != here:
            return None
        if me != there:
            right = self._incoming()
            self._communicator.receive(right, there)
        assert left is not None
        assert right is not None
        left += right
        return left

    def _double(self, total: HostArray) -> None:
        communicator, other, bit = self._communicator, self._incoming(), 1
        while bit < communicator.size:
            communicator.exchange(total, communicator.rank ^ bit, other)
            total += other
            bit *= 2

    def _halve(self, total: HostArray) -> None:
        communicator, incoming, bit = self._communicator, self._incoming(), 1
        halves: list[tuple[int, slice, slice]] = []
        start, stop = 0, len(total)
        while bit < communicator.size:
            other, middle = communicator.rank ^ bit, (start + stop) // 2
            kept, given = slice(start, middle), slice(middle, stop)
            if communicator.rank & bit:
                kept, given = given, kept
            communicator.exchange(total[given], other, incoming[kept])
            total[kept] += incoming[kept]
            halves.append((other, kept, given))
            start, stop, bit = kept.start, kept.stop, 2 * bit
        for other, kept, given in reversed(halves):
            communicator.exchange(total[kept], other, total[given])
