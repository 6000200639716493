"""Columns in use: which columns of the inputs have a number other than zero in the rows of a batch.

Maths:    bits_ij = (x_ij ≠ 0);  columns = the j, in order, with bits_ij for any of the rows i. Who makes the bits also
          tells whether all x_ij are finite, as that takes no time beside reading them.
Shapes:   x (N, F) of any numeric dtype; bits (N, ⌈F / 64⌉) int64, column j in bit j mod 64 of word ⌊j / 64⌋; rows (B,)
          integers; columns at most F integers.
Units:    none.
Traffic:  x is read once for all batches and epochs; a batch reads B F / 8 bytes, a 32nd of its rows in float32.
Errors:   rows must be in [0, N): whoever calls checks.
Accuracy: exact. NaN is not zero; negative zero is.
Source:   -
"""

WORD = 64
"""Columns in a word of bits."""


def words(features: int) -> int:
    """How many words a row has."""
    return -(-features // WORD)
