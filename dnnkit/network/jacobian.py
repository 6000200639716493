"""Jacobians of a network's outputs with respect to its inputs or parameters.

The gradient of the loss Σ t y with respect to x is the gradient of output k if t is 1 for k and 0 elsewhere. So each
sample is repeated once per output, with one-hot targets, and one ordinary backward pass of a program with that loss
gives all rows of the Jacobian, on every backend. Compiled code runs one forward pass and one backward pass per output,
which halves the work (`Executable.derivatives`).

Reverse mode is used even where there are fewer inputs than outputs, because kernels have no forward-mode derivatives.
Forward mode would need one for every kernel and layer, custom ones included, and would pay off only with many outputs
and few inputs.
"""

from abc import abstractmethod
from dataclasses import replace
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from dnnkit.backends import choosing
from dnnkit.backends.executable import Executable
from dnnkit.backends.measures import Loss
from dnnkit.backends.program import Program
from dnnkit.backends.stages import Activate, Op, Parameter, Rescale, Stage
from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError
from dnnkit.kernels.array import Array, Namespace
from dnnkit.network.protocol import Network
from dnnkit.settings import FLAG


@dataclass(frozen=True)
class Chosen:
    """The loss Σ t y: its gradient with respect to the predictions is the targets."""

    def loss_and_gradient(
        self, predictions: Array, targets: Array, weights: Array | None, scale: float, xp: Namespace
    ) -> tuple[Array, Array]:
        """Return loss and gradient, as a loss kernel does; `weights` is unused."""
        return xp.sum(predictions * targets), targets * scale


CHOSEN = Chosen()
"""A single instance, so that programs with it compare equal."""


class Differentiable(Network):
    """Adds `jacobian` to a network."""

    _output_shapes: list[tuple[int, ...]]
    _is_plain: bool
    _differentiated: tuple[Executable, dict[bool, Executable]] | None
    """(executable, what computes derivatives with respect to inputs (False) and parameters (True))."""

    @overload
    def jacobian(self, x: Any, *, parameters: Literal[False] = False) -> NDArray[Any]: ...
    @overload
    def jacobian(self, x: Any, *, parameters: Literal[True]) -> dict[str, NDArray[Any]]: ...
    @overload
    def jacobian(self, x: Any, *, parameters: bool) -> "NDArray[Any] | dict[str, NDArray[Any]]": ...

    def jacobian(self, x: Any, *, parameters: bool = False) -> "NDArray[Any] | dict[str, NDArray[Any]]":
        """Return the Jacobian (N, *outputs, *inputs) of the predictions for samples x, with dropout off.

        These are derivatives of what `predict` returns, after a final softmax or sigmoid, with respect to x as given,
        before any rescaling. They are computed in reverse mode: on the Numba backend with one forward pass and one
        backward pass per output, elsewhere with samples × outputs rows, in chunks that bound the memory. Does not need
        `compile` and changes nothing.

        Arguments:
            x: samples (N, *inputs).
            parameters: return derivatives with respect to each trainable parameter instead, as {name: array (N,
                *outputs, *shape)}. Runs one backward pass per sample and output.

        Returns:
            A NumPy array, or a dictionary of them if `parameters` is True.

        Raises:
            ConfigurationError: the network has several inputs or outputs.
            ShapeError, DataError: the samples do not fit the network.
        """
        from dnnkit.backends.one_function import rows_at_a_time

        of_parameters = FLAG.of("parameters", parameters)
        if not self._is_plain:
            raise ConfigurationError(
                "jacobian supports networks with one input and one output array; this one has several: make a network "
                "that shares its layers, dk.Model(input, output), and call its jacobian"
            )
        x = self._check_samples(x, choosing.NONE_TRAINED)
        samples, inputs = int(x.shape[0]), tuple(int(size) for size in x.shape[1:])
        shape, outputs = self._output_shapes[0], self.executable.program.output_features
        with self.turns:
            other, to_numpy = self._differentiating(of_parameters), self.backend.to_numpy
            rows = to_numpy(x)
            if of_parameters:
                self._take_numbers(other)
                return self._of_parameters(other, rows, outputs)
            if (at_once := other.derivatives(other.load(rows, None, None), self.executable.within)) is not None:
                return at_once.reshape(samples, *shape, *inputs)
            self._take_numbers(other)
            found = np.empty((samples, outputs, int(np.prod(inputs))), self.dtype)
            at_a_time = max(1, rows_at_a_time(other.program) // outputs)
            for first in range(0, samples, at_a_time):
                chunk = rows[first : first + at_a_time]
                targets = np.tile(np.eye(outputs, dtype=self.dtype), (len(chunk), 1))
                data = other.load(np.repeat(chunk, outputs, axis=0), targets, None)
                gradient = other.gradients(data, with_input=True).input
                found[first : first + at_a_time] = to_numpy(gradient).reshape(len(chunk), outputs, -1)
        return found.reshape(samples, *shape, *inputs)

    def _of_parameters(self, other: Executable, rows: NDArray[Any], outputs: int) -> dict[str, NDArray[Any]]:
        trained = other.program.trainable_parameters
        found = {one.name: np.empty((len(rows), outputs, *one.shape), self.dtype) for one in trained}
        one_hot, to_numpy = np.eye(outputs, dtype=self.dtype), self.backend.to_numpy
        for sample in range(len(rows)):
            for output in range(outputs):
                data = other.load(rows[sample : sample + 1], one_hot[output : output + 1], None)
                for name, gradient in other.gradients(data).parameters.items():
                    found[name][sample, output] = to_numpy(gradient)
        shape = self._output_shapes[0]
        return {name: each.reshape(len(rows), *shape, *each.shape[2:]) for name, each in found.items()}

    def _differentiating(self, of_parameters: bool) -> Executable:
        """Return the executable that computes derivatives."""
        executable = self.executable
        if self._differentiated is None or self._differentiated[0] is not executable:
            self._differentiated = executable, {}
        made = self._differentiated[1]
        if of_parameters not in made:
            program = differentiated(executable.program, of_parameters)
            made[of_parameters] = choosing.build(choosing.Chosen(self.backend, ""), program)[1]
        return made[of_parameters]

    def _take_numbers(self, other: Executable) -> None:
        """Copy the network's current parameters to the executable that computes derivatives."""
        other.state.step = self.executable.state.step
        for parameter in other.program.parameters:
            other.write_parameter(parameter.name, self.executable.read_parameter(parameter.name))

    @abstractmethod
    def _check_samples(self, x: Any, rows: int | None) -> Any:
        """Convert samples for the executable; build the network if necessary."""


def differentiated(program: Program, of_parameters: bool) -> Program:
    """Return the prediction program with the loss `Chosen`; its parameters are frozen unless `of_parameters`."""
    stages, sources = [_predicting(stage) for stage in program.stages], [*program.edges]
    scores = len(stages)

    def add(stage: Stage, *values: int) -> int:
        stages.append(stage)
        sources.append(values)
        return len(stages)

    if program.head != "linear":
        add(Activate(program.head), scores)
    if any(output.head != "linear" for output in program.outputs):
        parts = []
        for output in program.outputs:
            start, stop = output.columns
            part = add(Op("columns", stop - start, settings=(("start", start), ("stop", stop))), scores)
            parts.append(part if output.head == "linear" else add(Activate(output.head), part))
        add(Op("concatenate", program.output_features), *parts)
    if not of_parameters:
        stages = [_frozen(stage) for stage in stages]
    loss = Loss(CHOSEN, "values", "sum")
    return replace(
        program.without_training(), stages=tuple(stages), sources=tuple(sources), head="linear", loss=loss, outputs=()
    )


def _predicting(stage: Stage) -> Stage:
    """Return the stage as in prediction, in training programs too: no random draws, and fixed statistics."""
    from dnnkit.backends.one_function import drawing, has_statistics

    if drawing(stage) is not None:
        return Rescale(1.0, 0.0)
    if isinstance(stage, Op) and has_statistics(stage):
        return replace(stage, settings=tuple(sorted({**dict(stage.settings), "frozen": True}.items())))
    return stage


def _frozen(stage: Stage) -> Stage:
    """Return the stage with all parameters frozen, so that only x has a gradient."""
    changes: dict[str, Any] = {}
    for name, value in vars(stage).items():
        if isinstance(value, Parameter):
            changes[name] = replace(value, trainable=False)
        elif isinstance(value, tuple) and any(isinstance(each, Parameter) for each in value):
            changes[name] = tuple(replace(each, trainable=False) for each in value)
    return replace(stage, **changes) if changes else stage
