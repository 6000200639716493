"""Gather: the rows of a batch, converted and rescaled on the way.

Maths:    x_i = data[rows_i] · scale + offset
Shapes:   data (N, F) of any numeric dtype, rows (B,) integers; x (B, F) in the network's dtype.
Units:    none.
Traffic:  reads B F numbers of the data's dtype and writes B F of the network's: uint8 data moves a quarter of the
          bytes that float32 data would.
Errors:   rows must be in [0, N): whoever calls checks.
Accuracy: one rounding each for conversion (none for 8 and 16 bits), product and sum.
Source:   -
"""
