"""The order of an epoch over blocks: each row once, read again from anywhere, mixed as well as docs/streams.md says."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from dnnkit.streams.order import EpochOrder


def rows_of(order: EpochOrder, first: int, last: int) -> NDArray[np.int64]:
    return np.concatenate([np.arange(row, row + count) for row, count in order.spans(first, last)])


@given(
    pieces=st.lists(st.integers(1, 40), min_size=1, max_size=20),
    in_pieces=st.booleans(),
    block=st.integers(1, 50),
    lanes=st.sampled_from([1, 2, 8]),
    chunk=st.integers(1, 90),
    shuffle=st.booleans(),
    epoch=st.integers(0, 3),
    extra=st.integers(0, 60),
)
def test_each_pass_has_every_row_once_in_any_chunks(
    pieces: list[int], in_pieces: bool, block: int, lanes: int, chunk: int, shuffle: bool, epoch: int, extra: int
) -> None:
    count = sum(pieces)
    rows = count + extra
    arguments = (count, np.array(pieces) if in_pieces else None, block, rows, shuffle, 7, epoch, lanes)
    order = EpochOrder(*arguments)
    shown = np.concatenate([rows_of(order, at, min(rows, at + chunk)) for at in range(0, rows, chunk)])
    assert len(shown) == rows
    start = 0 if shuffle else -(epoch * rows) % count
    for first in range(start, rows - count + 1, count):
        assert sorted(shown[first : first + count]) == list(range(count))
    begun = rows // 2 // chunk * chunk
    resumed = rows_of(EpochOrder(*arguments), begun, min(rows, begun + chunk))
    np.testing.assert_array_equal(resumed, shown[begun : begun + chunk])
    if in_pieces and shuffle:  # pieces are read from their start: once, but for those between two lanes
        ends = np.cumsum(pieces)
        of_piece = np.searchsorted(ends, shown[:count], "right")
        again = [(np.diff(shown[:count][of_piece == piece]) < 0).any() for piece in range(len(pieces))]
        assert sum(again) < lanes
    if not shuffle:
        assert (np.diff(shown) % count == 1 % count).all()


def test_epochs_and_seeds_differ() -> None:
    orders = {rows_of(EpochOrder(500, None, 10, 500, True, *key), 0, 500).tobytes() for key in ((0, 0), (0, 1), (1, 0))}
    assert len(orders) == 3


def inflation(blocks: int, rows: int, batch: int = 32, classes: int = 10, chunks: int = 12) -> float:
    """Return the variance of a class's count in batches of a sorted file, divided by that of rows drawn from all."""
    size = blocks * rows
    order, labels = EpochOrder(chunks * size, None, rows, chunks * size, True, 0, 0), np.arange(chunks * size) * classes
    counts = []
    for chunk in range(chunks):
        read = rows_of(order, chunk * size, (chunk + 1) * size)[order.mixed(chunk, size, batch)]
        batches = (labels[read[: size // batch * batch]] // (chunks * size)).reshape(-1, batch)
        counts += [(batches == label).sum(axis=1) for label in range(classes)]
    share = 1 / classes
    return float(((np.concatenate(counts) - batch * share) ** 2).mean() / (batch * share * (1 - share)))


def test_a_sorted_file_is_mixed_as_well_as_documented() -> None:
    """Like a perfect shuffle, unless a batch has more rows than the buffer has blocks."""
    assert abs(inflation(512, 40) - 1) < 0.05
    assert abs(inflation(64, 64) - 1) < 0.1
    assert inflation(512, 40, batch=256) < 1.1
    assert inflation(64, 64, batch=256) > 2


def test_each_batch_has_a_row_of_each_stretch_of_the_buffer() -> None:
    order = EpochOrder(100, None, 7, 100, True, 3, 0).mixed(2, 38, 8)
    assert sorted(order) == list(range(38))
    stretches = np.searchsorted([5, 10, 15, 20, 25, 30, 34, 38], order, "right")
    assert stretches[:32].tolist() == [*range(8)] * 4
    assert stretches[32:].tolist() == [*range(6)]  # the incomplete batch
