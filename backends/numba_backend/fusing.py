"""Fusion of stages for the compiled epoch; the program itself is not changed.

    one_hot, dense                        dense_of_classes, activation
    concatenate of one_hot and others,
      dense                               the same

A product with one-hot columns is a sum of kernel rows, so no zeros are multiplied. Parameters stay those of the dense
stage under the same names, so reading, saving and updating them is unaffected.
"""

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from dnnkit.backends.graph import Sources
from dnnkit.backends.program import Program
from dnnkit.backends.stages import Activate, Dense, Op, Rescale, Stage, stage_features, stage_parameters

WORTH, WIDE = (16, 8), 32
"""Average classes per column of class numbers above which lookup pays: for a layer with fewer than `WIDE` outputs, and
for others. A product reads its factors several times from registers, while a row that is looked up is read once;
with few outputs, most of the time goes into moving from row to row.
"""


def stages_to_run(program: Program) -> tuple[Rescale, tuple[Stage, ...], Sources]:
    """Return what `Program.gathered` does, for the fused stages: rescaling, stages, and their sources."""
    rescale, stages, sources = program.gathered
    return rescale, *fused(stages, sources, prod(program.input_shape))


def fused(stages: Sequence[Stage], sources: Sources, features: int) -> tuple[tuple[Stage, ...], Sources]:
    """Return the stages with those fused that can be, and their sources; the same objects if none can."""
    widths, made, edges = [features], list[Stage](), list[tuple[int, ...]]()
    now = [0]  # new number of each value

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
    """Adjacent columns among the inputs of a dense stage, and the values that they come from."""

    mode: str
    """A mode of `one_hot`, or "numbers"."""
    sizes: tuple[int, ...]
    """Number of classes of each column; () for numbers."""
    values: tuple[int, ...]


def _parts(stages: Sequence[Stage], sources: Sources, value: int) -> list[Part]:
    """Return the parts that a value consists of."""
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
    """Whether there are class numbers with enough classes for lookup to be faster."""
    sizes = [size for part in parts for size in part.sizes]
    return bool(sizes) and sum(sizes) >= WORTH[outputs >= WIDE] * len(sizes)


def _read(stages: Sequence[Stage], sources: Sequence[tuple[int, ...]]) -> tuple[tuple[Stage, ...], Sources]:
    """Return the stages that lead to the last one."""
    is_read = [False] * len(stages) + [True]
    for place in range(len(stages) - 1, -1, -1):
        for value in sources[place] if is_read[place + 1] else ():
            is_read[value] = True
    kept = [place for place in range(len(stages)) if is_read[place + 1]]
    now = {0: 0} | {place + 1: number for number, place in enumerate(kept, 1)}
    return tuple(stages[place] for place in kept), tuple(
        tuple(now[value] for value in sources[place]) for place in kept
    )
