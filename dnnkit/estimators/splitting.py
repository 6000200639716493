"""Which rows each member of an ensemble holds out: other ones each, so that together they have learned from all."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

FEWEST = 20
"""Rows below which none is held out: what so few say of an epoch is chance."""


def parts_of(
    labels: NDArray[np.integer] | None, rows: int, count: int, random: np.random.Generator
) -> NDArray[np.intp]:
    """The number of each row's part, from 0 to `count` - 1; -1 for a row that is the only one of its class.

    Parts differ by a row at most, and so do the shares of each class in them.

    Arguments:
        labels: class numbers (N,); None for parts of any rows.
        rows: N.
        count: of parts.
        random: what decides.
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
    """For each member the rows that it holds out, sorted; None where there are too few to hold out any.

    There are 1 / share parts, of two rows at least. The first members hold out one each, the next ones parts of another
    division.

    Arguments:
        labels: class numbers (N,), to have the same share of each in all parts; None for any rows.
        rows: N.
        share: of the rows to hold out.
        members: how many.
        seed: what decides.
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
