"""Which kernels are counted, and how their passes over the elements are found among their loops.

All are float32 kernels with aligned arrays. "Before" is commit 6774765.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

RELU = {"ACTIVATION": "relu", "SLOPE": "derivative_from_output", "SAVES_INPUT": "0"}
GELU = {"ACTIVATION": "gelu", "SLOPE": "derivative", "SAVES_INPUT": "1"}
CROSS_ENTROPY = {"LOSS": "softmax_cross_entropy", "MEASURES": "loss_alone"}
ACCURACY = {"METRIC": "categorical_accuracy"}
DENSE, SOFTMAX, LOSS, METRIC = (
    "dense/gpu.cu",
    "activations/softmax/gpu.cu",
    "_cuda/loss_of_labels.cu",
    "_cuda/metric.cu",
)
TILES, HELD, STREAMS = {"ROWS": "IN_TILES"}, {"ROWS": "IN_REGISTERS"}, {"ROWS": "AS_STREAMS"}
PHILOX = "-0x326172a9"
"""A multiplier of Philox; code that contains it draws dropout masks."""
EXP = "MUFU.EX2"


@dataclass(frozen=True)
class Pass:
    """A loop, described by its accesses per element or pack: loads and stores of global and shared memory.

    Attributes:
        loads, stores: accesses of `width` bytes per thread.
        shared_loads, shared_stores: accesses of one number each.
        elements: elements per unit; 0 for as many float32 numbers as fit into its bytes.
        has, has_not: opcodes that distinguish loops with the same accesses.
    """

    loads: int = 0
    stores: int = 0
    width: int = 16
    shared_loads: int = 0
    shared_stores: int = 0
    elements: int = 0
    has: str = ""
    has_not: str = ""


@dataclass(frozen=True)
class Part:
    """A launch: its passes over elements, or over the rows of a matrix, with some cost in addition.

    Attributes:
        columns: numbers per row, shared by `threads` threads; 0 if there are no rows.
        whole: the loop over rows contains no loops; its own accesses are the pass's.
        tile: bytes per element written to a tile and read back in the loop over rows.
        without: text that occurs in blocks that this launch does not execute.
    """

    file: str
    kernel: str
    passes: tuple[Pass, ...]
    macros: Mapping[str, str] = field(default_factory=dict)
    columns: int = 0
    threads: int = 1
    whole: bool = False
    tile: int = 0
    without: str = ""


@dataclass(frozen=True)
class Case:
    """A piece of work, with its launches before and now."""

    name: str
    before: tuple[Part, ...]
    after: tuple[Part, ...]


def _same(name: str, file: str, kernel: str, moved: tuple[int, int], macros: Mapping[str, str] | None = None) -> Case:
    part = Part(file, kernel, (Pass(*moved),), macros or {}, without=PHILOX)
    return Case(name, (part,), (part,))


def _rows(
    name: str, file: str, kernel: str, macros: Mapping[str, str], columns: int, before: tuple[Pass, ...], after: Part
) -> Case:
    threads = min(32, 1 << (columns - 1).bit_length())
    return Case(name, (Part(file, kernel, before, macros, columns, threads),), (after,))


LOAD = Pass(1, 0, 4)
LOSS_BEFORE = (Pass(1, 0, 4, has_not=EXP), Pass(1, 0, 4, has=EXP), Pass(1, 1, 4, has=EXP))
SOFTMAX_BEFORE = (LOAD, Pass(1, 1, 4, has=EXP), Pass(1, 1, 4, has_not=EXP))
IN_TILE, CHANGED = Pass(shared_loads=1, width=4), Pass(shared_loads=1, shared_stores=1, width=4)
LOSS_IN_TILE = (IN_TILE, Pass(shared_loads=1, shared_stores=1, width=4, has=EXP),
                Pass(shared_loads=1, shared_stores=1, width=4, has_not=EXP))  # fmt: skip


def _loss(columns: int) -> Case:
    if columns <= 32:
        after = Part(LOSS, "loss_of_labels", LOSS_IN_TILE, CROSS_ENTROPY | TILES, columns, 1, tile=8)
    elif columns <= 1024:
        after = Part(LOSS, "loss_of_labels", (Pass(8, 8, elements=32),), CROSS_ENTROPY | HELD, columns, 32, whole=True)
    else:
        passes = (Pass(1, 0, has=EXP), Pass(1, 1, has=EXP))
        after = Part(LOSS, "loss_of_labels", passes, CROSS_ENTROPY | STREAMS, columns, 32)
    return _rows(
        f"softmax cross-entropy of labels, {columns} columns", LOSS, "loss_of_labels", CROSS_ENTROPY, columns,
        LOSS_BEFORE, after,
    )  # fmt: skip


def _accuracy(columns: int) -> Case:
    if columns <= 32:
        after = Part(METRIC, "metric_of_labels", (IN_TILE,), ACCURACY | TILES, columns, 1, tile=4)
    else:
        after = Part(METRIC, "metric_of_labels", (Pass(1),), ACCURACY | STREAMS, columns, 32)
    name = f"accuracy of labels, {columns} columns"
    return _rows(name, METRIC, "metric_of_labels", ACCURACY, columns, (LOAD,), after)


MASK = Part("dropout/mask.cu", "dropout_mask", (Pass(0, 1, 4, elements=4),))
APPLY = Part("dropout/gpu.cu", "dropout_apply", (Pass(1, 1),))
FORWARD, BACKWARD = (
    Part(DENSE, "dense_forward", (Pass(1, 1),), RELU),
    Part(DENSE, "dense_backward", (Pass(2, 1),), RELU),
)

CASES = [
    _same("relu, forward", DENSE, "activation_forward", (1, 1), RELU),
    _same("relu, backward", DENSE, "activation_backward", (2, 1), RELU),
    _same("gelu, forward", DENSE, "activation_forward", (1, 1), GELU),
    _same("dense relu: bias and activation", DENSE, "dense_forward", (1, 1), RELU),
    _same("dense relu: dz and db", DENSE, "dense_backward", (2, 1), RELU),
    _same("update: sgd", "optimizer_step/gpu.cu", "sgd", (2, 1)),
    _same("update: adam", "optimizer_step/gpu.cu", "adam", (4, 3)),
    _same("clipping: sum of squares", "clip_norm/gpu.cu", "sum_squares", (1, 0)),
    _same("clipping: scale", "clip_norm/gpu.cu", "scale_to_norm", (1, 1)),
    Case("dropout by itself", (MASK, APPLY), (Part("dropout/gpu.cu", "dropout_draw", (Pass(1, 1),)),)),
    Case(
        "dense relu and dropout, forward", (FORWARD, MASK, APPLY), (Part(DENSE, "dense_forward", (Pass(1, 2),), RELU),)
    ),
    Case("dense relu and dropout, backward", (APPLY, BACKWARD), (BACKWARD,)),
    _loss(10),
    _loss(1024),
    _loss(32768),
    _accuracy(10),
    _accuracy(1024),
    _rows(
        "softmax, forward, 1024 columns", SOFTMAX, "softmax_forward", {}, 1024, SOFTMAX_BEFORE,
        Part(SOFTMAX, "softmax_forward", (Pass(8, 8, elements=32),), HELD, 1024, 32, whole=True),
    ),
    _rows(
        "softmax, backward, 1024 columns", SOFTMAX, "softmax_backward", {}, 1024, (Pass(2, 0, 4), Pass(2, 1, 4)),
        Part(SOFTMAX, "softmax_backward", (Pass(16, 8, elements=32),), HELD, 1024, 32, whole=True),
    ),
]  # fmt: skip
