"""One-hot columns for the engine. Contract: the package's docstring."""

from dnnkit.kernels._engine.kinds import setting, source, source_gradient, source_wanted, y_of
from dnnkit.kernels._engine.opcodes import opcode
from dnnkit.kernels.stages.embedding.cpu import set_to_zero, start_of


@opcode
def one_hot(worker, run, stage, option):
    """Set the column of each class number of a stage's x."""
    x, y, mode = source(worker, run, stage, 0), y_of(worker, run, stage), int(setting(stage, 0))
    set_to_zero(y)
    one = y.dtype.type(1)
    for i in range(worker.rows):
        first = 0
        for k in range(x.shape[1]):
            size = int(setting(stage, 1 + k))
            place = first + start_of(x[i, k], size, 1)
            y[i, place] = y[i, place] + one if mode == 2 else one
            first += size if mode == 0 else 0


@opcode
def one_hot_backward(worker, run, stage, option):
    """Zero the gradient of a stage's x, which is class numbers."""
    if source_wanted(stage, 0):
        set_to_zero(source_gradient(worker, run, stage, 0))
