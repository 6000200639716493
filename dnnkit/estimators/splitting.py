"""Held-out rows of each member: they differ between members, so that together the members learn from all rows."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

FEWEST = 20
"""Minimum number of rows for holding some out: with fewer, the validation loss is mostly noise."""


def parts_of(
    labels: NDArray[np.integer] | None, rows: int, count: int, random: np.random.Generator
) -> NDArray[np.intp]:
    """Assign each row to a part, 0 to `count` - 1; -1 for a row that is the only one of its class.

    The sizes of the parts, and of each class within them, differ by one row at most.

    Arguments:
        labels: class numbers (N,) to stratify by; None for no stratification.
        rows: N.
        count: number of parts.
        random: random number generator.
    """
    order = random.permutation(rows)
    if labels is not None:
        order = order[np.argsort(labels[order], kind="stable")]
        single = np.bincount(labels)[labels[order]] == 1
        alone, order = order[single], order[~single]
    parts = np.empty(rows, np.intp)
    parts[order] = (np.arange(len(order)) + random.integers(count)) % count
    if labels is not None:
        parts[alone] = -1
    return parts


def held_out_rows(
    labels: NDArray[np.integer] | None, rows: int, share: float, members: int, seed: int
) -> Iterator[NDArray[np.intp] | None]:
    """Yield each member's held-out rows, sorted; None if there are too few rows to hold any out.

    The rows are divided into 1 / share parts of at least two rows. The first members hold out one part each; when the
    parts are used up, the rows are divided anew.

    Arguments:
        labels: class numbers (N,) to stratify by; None for no stratification.
        rows: N.
        share: fraction of the rows to hold out.
        members: number of members.
        seed: seed of the divisions.
    """
    count = min(max(2, round(1 / share)), rows // 2) if share > 0 else 0
    parts = None
    for member in range(members):
        if rows < FEWEST or not count:
            yield None
            continue
        number = member % count
        if number == 0:
            parts = parts_of(labels, rows, count, np.random.default_rng([seed, member]))
        yield np.flatnonzero(parts == number)
