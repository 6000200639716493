"""Stages that are computed together: what the compiled epoch makes of a program's stages, which it changes nothing of.

    one_hot, dense                        dense_of_classes, activation
    concatenate of one_hot and others,
      dense                               the same

A product with one-hot columns is a sum of a kernel's rows; so no zeros are multiplied. Parameters stay those of the
dense stage, by the same names, so nobody who reads, saves or updates them knows of it.
"""

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from dnnkit.backends.graph import Sources
from dnnkit.backends.program import Program
from dnnkit.backends.stages import Activate, Dense, Op, Rescale, Stage, stage_features, stage_parameters

WORTH, WIDE = (16, 8), 32
"""Classes, on the average of a layer's columns of class numbers, from which these are looked up: of a layer with less
than so many outputs, and of others. A product reads its factors several times from registers, and a row that is looked
up is read once; with less outputs, most is going from row to row.
"""


def stages_to_run(program: Program) -> tuple[Rescale, tuple[Stage, ...], Sources]:
    """As `Program.gathered`: the rescaling that is part of gathering a batch, the stages after it, what they read."""
    rescale, stages, sources = program.gathered
    return rescale, *fused(stages, sources, prod(program.input_shape))


def fused(stages: Sequence[Stage], sources: Sources, features: int) -> tuple[tuple[Stage, ...], Sources]:
    """The stages with those together that can be, and what they read; the same ones if none can."""
    widths, made, edges = [features], list[Stage](), list[tuple[int, ...]]()
    now = [0]  # of each value its number among those of the stages that are made

    def add(stage: Stage, read: Sequence[int]) -> int:
        made.append(stage)
        edges.append(tuple(read))
        return len(made)

    for stage, read in zip(stages, sources, strict=True):
        widths.append(stage_features(stage, widths[read[0]]))
        found = _parts(stages, sources, read[0]) if isinstance(stage, Dense) else []
        values = [now[value] for value in read]
        if isinstance(stage, Dense) and _is_worth(found, stage.kernel.shape[1]):
            parts, values = list[tuple[str, tuple[int, ...]]](), []
            for part in found:
                given = [now[value] for value in part.values]
                width = sum(widths[value] for value in part.values)
                values.append(given[0] if len(given) == 1 else add(Op("concatenate", width), given))
                parts.append((part.mode, part.sizes or (width,)))
            settings = (("parts", tuple(parts)), ("use_bias", stage.bias is not None))
            value = add(Op("dense_of_classes", stage.kernel.shape[1], stage_parameters(stage), settings), values)
            now.append(value if stage.activation == "linear" else add(Activate(stage.activation), [value]))
        else:
            now.append(add(stage, values))
    return (tuple(stages), sources) if tuple(made) == tuple(stages) else _read(made, edges)


class Part(NamedTuple):
    """Neighbours among the columns that a dense stage reads, and the values that these are made of."""

    mode: str
    """One of `one_hot`, or "numbers"."""
    sizes: tuple[int, ...]
    """The number of classes of each column; of numbers ()."""
    values: tuple[int, ...]


def _parts(stages: Sequence[Stage], sources: Sources, value: int) -> list[Part]:
    """What a value is made of."""
    stage = stages[value - 1] if value else None
    found = list[Part]()
    for one in sources[value - 1] if _is(stage, "concatenate") else (value,):
        before = stages[one - 1] if one else None
        if isinstance(before, Op) and _is(before, "one_hot"):
            settings = dict(before.settings)
            found.append(Part(settings["mode"], settings["sizes"], sources[one - 1]))
        elif found and found[-1].mode == "numbers":
            found[-1] = Part("numbers", (), (*found[-1].values, one))
        else:
            found.append(Part("numbers", (), (one,)))
    return found


def _is(stage: Stage | None, kind: str) -> bool:
    return isinstance(stage, Op) and stage.kind == kind


def _is_worth(parts: Sequence[Part], outputs: int) -> bool:
    """Whether there are class numbers, and so many classes that to look them up is faster."""
    sizes = [size for part in parts for size in part.sizes]
    return bool(sizes) and sum(sizes) >= WORTH[outputs >= WIDE] * len(sizes)


def _read(stages: Sequence[Stage], sources: Sequence[tuple[int, ...]]) -> tuple[tuple[Stage, ...], Sources]:
    """Those stages that lead to the last one."""
    is_read = [False] * len(stages) + [True]
    for place in range(len(stages) - 1, -1, -1):
        for value in sources[place] if is_read[place + 1] else ():
            is_read[value] = True
    kept = [place for place in range(len(stages)) if is_read[place + 1]]
    now = {0: 0} | {place + 1: number for number, place in enumerate(kept, 1)}
    return tuple(stages[place] for place in kept), tuple(
        tuple(now[value] for value in sources[place]) for place in kept
    )
