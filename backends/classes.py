"""Class numbers: which columns of the data are looked up by a stage, and whether they hold valid ones."""

from collections.abc import Sequence
from importlib import import_module
from math import prod

import numpy as np

from dnnkit.backends.program import Program
from dnnkit.backends.stages import Op
from dnnkit.errors import ConfigurationError, DataError
from dnnkit.kernels.array import Array, namespace

EXACT = {"float32": 1 << 24, "float64": 1 << 53}
"""Largest exact integer in a matrix of each dtype."""


def class_columns(program: Program) -> tuple[tuple[int, int], ...]:
    """Return (column of the data, number of classes) for each column that a stage looks up.

    Raises:
        ConfigurationError: a stage looks up numbers that are not the data's, or has too many classes for the dtype.
    """
    if not any(isinstance(stage, Op) for stage in program.stages):
        return ()
    values: list[tuple[int, ...] | None] = [tuple(range(prod(program.input_shape)))]
    found: dict[int, int] = {}
    for stage, sources in zip(program.stages, program.edges, strict=True):
        given = [values[source] for source in sources]
        values.append(_passed_on(stage, given) if isinstance(stage, Op) else None)
        if not isinstance(stage, Op):
            continue
        classes = getattr(import_module(f"dnnkit.kernels.stages.{stage.kind}"), "classes", None)
        if classes is None:
            continue
        if given[0] is None:
            raise ConfigurationError(
                f"a layer of the kind {stage.kind!r} takes class numbers from the data, but its input is "
                "computed: put it first, after nothing but Input, Flatten or Reshape"
            )
        for column, count in zip(given[0], classes(dict(stage.settings), len(given[0])), strict=True):
            if count > EXACT[program.dtype]:
                raise ConfigurationError(
                    f"{count:,} classes are too many for {program.dtype}, in which integers are exact up to "
                    f"{EXACT[program.dtype]:,}: use dtype='float64'"
                )
            found[column] = min(count, found.get(column, count))
    return tuple(sorted(found.items()))


def _passed_on(stage: Op, given: Sequence[tuple[int, ...] | None]) -> tuple[int, ...] | None:
    """Return the data columns that an operation passes on unchanged; None if it computes."""
    settings = dict(stage.settings)
    if stage.kind == "columns" and given[0] is not None:
        return given[0][settings["start"] : settings["stop"]]
    if stage.kind == "concatenate":
        parts = [part for part in given if part is not None]
        return tuple(column for part in parts for column in part) if len(parts) == len(given) else None
    return None


def require_classes(x: Array, columns: Sequence[tuple[int, int]]) -> None:
    """Raise `DataError`, with row and column, if data (N, F) hold anything but a valid class number there."""
    xp = namespace(x)
    for column, count in columns:
        numbers = x[:, column]
        is_class = (numbers >= 0) & (numbers < count)
        if xp.isdtype(x.dtype, "real floating"):
            is_class = is_class & (xp.floor(numbers) == numbers)
        if not bool(xp.all(is_class)):
            row = int(np.argmin(np.asarray([bool(one) for one in is_class])))
            raise DataError(
                f"x has {float(numbers[row]):g} in row {row} of column {column}: expected a class number, an "
                f"integer from 0 to {count - 1}. np.unique(x, return_inverse=True) turns any values into class numbers"
            )
