"""Nonzero columns: which columns of the inputs are nonzero in any row of a batch.

Maths:    bits_ij = (x_ij ≠ 0);  columns = the j, in order, with bits_ij for any of the rows i. The function that
          computes the bits also returns whether all x_ij are finite, which costs nothing extra.
Shapes:   x (N, F) of any numeric dtype; bits (N, ⌈F / 64⌉) int64, column j in bit j mod 64 of word ⌊j / 64⌋; rows (B,)
          integers; columns at most F integers.
Units:    none.
Traffic:  x is read once for all batches and epochs; a batch reads B F / 8 bytes, 1/32 of its rows in float32.
Errors:   rows must be in [0, N); the caller checks.
Accuracy: exact. NaN counts as nonzero, negative zero as zero.
Source:   -
"""

WORD = 64
"""Columns per word of bits."""


def words(features: int) -> int:
    """Return the number of words per row."""
    return -(-features // WORD)
