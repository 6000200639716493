"""The compiled kernels that a program names, each compiled when a schedule first needs it."""

from functools import cache, cached_property

import numpy as np

from dnnkit.backends.program import HostArray, Program
from dnnkit.kernels._numba.entry_points import (
    EntryPoints,
    activation_entry_points,
    loss_entry_points,
    metric_entry_points,
    optimizer_entry_points,
)


class ProgramKernels:
    """Addresses of a program's kernels, and what they are called with.

    Each is asked for once: LLVM's lock, which that takes, would not survive a fork.
    """

    def __init__(self, program: Program) -> None:
        self._program = program

    def forward(self, activation: str) -> int:
        """Of an activation."""
        return _activation(activation, self._program.dtype, "forward")

    def backward(self, activation: str) -> int:
        """Of an activation's gradient."""
        return _activation(activation, self._program.dtype, "backward")

    @cached_property
    def head(self) -> int:
        """Of what makes predictions of scores."""
        return self.forward(self._program.head)

    @cached_property
    def loss(self) -> int:
        """Of the loss; 0 if there is none."""
        loss = self._program.loss
        if loss is None:
            return 0
        assert isinstance(loss.kernel, str)
        return loss_entry_points(loss.kernel, loss.targets, self._program.dtype).address("loss")

    @cached_property
    def metrics(self) -> HostArray:
        """Of each metric."""
        targets = "labels" if self._program.loss is None else self._program.loss.targets
        kernels = [metric.kernel for metric in self._program.metrics if isinstance(metric.kernel, str)]
        made = [metric_entry_points(kernel, targets, self._program.dtype) for kernel in kernels]
        return np.array([one.address("total") for one in made], np.int64)

    @cached_property
    def thresholds(self) -> HostArray:
        """Of each metric."""
        return np.array([metric.threshold for metric in self._program.metrics], np.float64)

    @cached_property
    def rule(self) -> EntryPoints:
        """Of the optimizer, which there is."""
        assert isinstance(self._program.rule, str)
        return optimizer_entry_points(self._program.rule, self._program.dtype)

    @cached_property
    def update(self) -> int:
        """Of the optimizer's rule."""
        return self.rule.address("update")


@cache
def _activation(name: str, dtype: str, direction: str) -> int:
    return activation_entry_points(name, dtype).address(direction)
