"""Gather: the rows of a batch, converted and rescaled in the same pass.

Maths:    x_i = data[rows_i] · scale + offset
Shapes:   data (N, F) of any numeric dtype, rows (B,) integers; x (B, F) in the network's dtype.
Units:    none.
Traffic:  reads B F numbers of the data's dtype and writes B F of the network's: uint8 data reads a quarter of the bytes
          of float32 data.
Errors:   rows must be in [0, N); the caller checks.
Accuracy: one rounding each for conversion (none for 8 and 16 bits), product and sum.
Source:   -
"""
