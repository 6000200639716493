"""Columns: a contiguous range of a value's columns, such as one of several inputs given as one matrix.

Maths:    y = x[:, start:stop]; dx has dy there, and 0 elsewhere
Shapes:   x (B, I), y (B, stop - start)
Units:    settings: start, stop, 0 ≤ start < stop ≤ I.
Traffic:  reads the columns, writes y; backward writes all of dx.
Errors:   none; lowering checks the range.
Accuracy: exact.
Source:   -
"""

from dnnkit.kernels.stages import Example

EXAMPLES = (
    Example((5,), 2, settings={"start": 1, "stop": 3}),
    Example((3,), 3, settings={"start": 0, "stop": 3}),
    Example((4,), 1, settings={"start": 3, "stop": 4}),
)
