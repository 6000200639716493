"""Steps whose loss is somebody else's: gradients of a network's outputs come from outside, its own go on from there.

The outputs' gradient is what the loss `inner_product` has in them if it is given as targets. So the network has
companions, programs with that loss and its own parameters, which run on its numbers like any other program: compiled,
fused with the update, on every backend.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnnkit.backends import choosing
from dnnkit.backends.executable import Executable
from dnnkit.backends.measures import Loss as LossDescription
from dnnkit.backends.program import Program
from dnnkit.backends.stages import Activate, Dense, Dropout, Op
from dnnkit.backends.stagewise.finite import require_finite
from dnnkit.base_loss import Loss
from dnnkit.deferred import dataclass
from dnnkit.errors import BackendUnavailable, ConfigurationError, ShapeError, UnknownName
from dnnkit.initializers import Shape
from dnnkit.kernels import registry
from dnnkit.kernels.array import Array, namespace
from dnnkit.network import checks, joining
from dnnkit.network.asking import Askable
from dnnkit.network.freezing import require_respected, require_trainable
from dnnkit.network.goals import Goal
from dnnkit.registry import did_you_mean
from dnnkit.settings import FLAG, numbers, shown

GIVEN = LossDescription("inner_product", "values", "sum")

TAU = numbers("a number from 0 to 1, such as 0.005", lambda number: 0 <= number <= 1)


@dataclass(frozen=True)
class FromOutside(Loss):
    """Stands for the loss that is somebody else's, of an output or of its logits."""

    of_logits: bool = False

    def lower(self, last_activation: str) -> tuple[LossDescription, bool]:
        """It takes the activation over where the gradient is that of what the activation is applied to."""
        return GIVEN, self.of_logits and last_activation != "linear"


class Given(NamedTuple):
    """What is given for an output, and whether it is of its logits; None for an output that has no part in the loss."""

    gradient: Any
    of_logits: bool = False

    @property
    def argument(self) -> str:
        """The argument that it was given as."""
        return "logits_gradient" if self.of_logits else "output_gradient"


class OpenStep(Askable):
    """`backward`, `step` and `follow` of a network."""

    def backward(
        self,
        x: Any,
        output_gradient: Any = None,
        *,
        logits_gradient: Any = None,
        with_input: bool = False,
        training: bool = False,
    ) -> dict[str, NDArray[Any]]:
        """Gradients by name of all that is trained, from those of the outputs: `loss.backward()` from dL/dy on.

        Each is the sum over all rows: for a loss that is a mean, the mean is in what is given. Penalties of layers are
        no part of it. Changes nothing, and needs no `compile`. What is returned is the caller's.

        Arguments:
            x: samples (N, ...).
            output_gradient: dL/dy (N, ...), in the shape of `predict(x)` and of the predictions that it returns, after
                a softmax or sigmoid at the end. Or instead:
            logits_gradient: dL/dz of what the last activation is applied to, in the same shape. Of a softmax policy and
                a loss that is -log of the chosen probability it is `predict(x)`, less 1 where an action was chosen.
                Where a network has several outputs, both are dictionaries by their names, or lists with None for those
                that the other argument names or that have no part in the loss.
            with_input: also dL/dx, under the name "input" and in x's shape; of several inputs by their names.
            training: with dropout, with the mask of the next update, as in `train_step`; else without, as in `predict`.

        Raises:
            ConfigurationError: both gradients or none are given, or there are no logits.
            ShapeError, DataError: x or a gradient does not fit the network.
        """
        given, training = self._given(output_gradient, logits_gradient), FLAG.of("training", training)
        if not with_input and self.is_built and (rows := self._as_rows(given)) is not None:
            with self.turns:
                batch = self._companion(given, training).differentiate_batch(x, rows)
            if batch is not None:
                return dict(batch.parameters)
        x = self._check_samples(x, None)
        gradient = self._as_gradient(given, int(x.shape[0]))
        with self.turns:
            companion = self._companion(given, training)
            found = companion.gradients(companion.load(x, gradient, None), with_input=with_input)
            to_numpy = self.backend.to_numpy
            named = {name: np.array(to_numpy(value)) for name, value in found.parameters.items()}
            if found.input is not None:
                dx = np.array(to_numpy(found.input)).reshape(checks.shape_of(x))
                named |= joining.named_inputs(dx, self.graph)
        return named

    def step(self, x: Any, output_gradient: Any = None, *, logits_gradient: Any = None, training: bool = False) -> None:
        """One step of the optimizer with the gradients of `backward`, in one compiled call.

        It is `apply_gradients(backward(...))`, up to rounding, and takes as long as `train_step`. The network needs an
        optimizer for it, and no loss: `net.compile(dk.Adam(1e-3))`.

        Arguments:
            x, output_gradient, logits_gradient, training: as for `backward`.

        Raises:
            NotReady: the network is not compiled.
            ConfigurationError, ShapeError, DataError: as in `backward`, before anything changes.
        """
        optimizer, given = self.optimizer, self._given(output_gradient, logits_gradient)
        if optimizer.full_batch:
            raise ConfigurationError(
                f"step takes a gradient from outside, but {type(optimizer).__name__} evaluates the loss at parameters "
                "of its own: train by net.fit(x, y) or net.train_step(x, y), or compile with another optimizer, such "
                "as dk.SGD()"
            )
        training = FLAG.of("training", training)
        if self.is_built and (rows := self._as_rows(given)) is not None:
            with self.turns:
                executable = self.executable
                if optimizer.fits(executable.program):
                    companion = self._companion(given, training, trains=True)
                    if companion.train_batch(x, rows, self.hyperparameters()) is not None:
                        executable.take_over(companion)
                        return
        x = self._check_samples(x, None)
        self._take_rule()
        samples = int(x.shape[0])
        gradient = self._as_gradient(given, samples)
        with self.turns:
            executable, companion = self.executable, self._companion(given, training, trains=True)
            companion.begin_epoch(companion.load(x, gradient, None), np.arange(samples), samples)
            companion.run_steps(0, 1, self.hyperparameters())
            executable.take_over(companion)

    def follow(self, net: Any, tau: float) -> None:
        """Move each parameter to that of another network: (1 - tau) of its own and tau of the other's, in one pass.

        So a target network follows the one that is trained (Polyak's mean; arXiv:1509.02971). All parameters move,
        frozen ones too; `tau=1` copies them. Optimizer, steps and history of both stay as they are. The other may be on
        another backend, or have another dtype.

        Arguments:
            net: the network that is followed, whose parameters have the same names and shapes.
            tau: a number from 0 to 1.

        Raises:
            ConfigurationError: the other has other parameters; nothing changes then.
        """
        if not isinstance(net, OpenStep):
            raise ConfigurationError(f"follow got {shown(net)}: expected a network, and then tau, such as 0.005")
        tau = TAU.of("tau", tau)
        if not self.is_built and self.input_shape is None and net.input_shape is not None:
            self.build(net.input_shape)
        if (shapes := self.parameters.shapes) != (others := net.parameters.shapes):
            differ = [name for name in {**shapes, **others} if shapes.get(name) != others.get(name)]
            raise ConfigurationError(
                f"follow: {len(differ)} parameters are not the same in both networks, first {differ[0]!r}, which is "
                f"{shapes.get(differ[0], 'none')} here and {others.get(differ[0], 'none')} there: expected the same "
                "layers, with the same names, such as those of net.copy()"
            )
        first, second = (self, net) if id(self.turns) < id(net.turns) else (net, self)
        with first.turns, second.turns:  # in the same order everywhere, so nobody waits for ever
            executable = self.executable
            executable.follow(net.executable, tau)
            if executable.program.averages:  # of weights that were there before
                for parameter in executable.program.trainable_parameters:
                    executable.write_average(parameter.name, executable.read_parameter(parameter.name))
            if self.turns.kin is not None:
                self.turns.kin.changed()

    # -- companions --------------------------------------------------------------------------------------------------

    def _companion(self, given: tuple[Given, ...], training: bool, *, trains: bool = False) -> Executable:
        """What runs the network with the gradients of outputs, or logits, as targets; on the network's numbers."""
        executable = self.executable.within
        program = executable.program
        if program.frozen_parameters or program.held or executable.api_version < 2:
            if trains:
                require_trainable(executable, self.optimizer)
            else:
                require_respected(executable)
        if self._companions is None or self._companions[0] is not executable:
            self._companions = executable, {}
        made, key = self._companions[1], (tuple(each.of_logits for each in given), training)
        if (found := made.get(key)) is None:
            found = made[key] = self._new_companion(self._companion_program(given, training))
        found.take_over(executable)
        return found

    def _companion_program(self, given: tuple[Given, ...], training: bool) -> Program:
        program = self._program(goals=[Goal(FromOutside(each.of_logits)) for each in given])
        for place, (each, name) in enumerate(zip(given, self.graph.output_names, strict=True)):
            if each.of_logits and not _has_logits(program, place):
                which = f" {name!r}" if len(given) > 1 else ""
                raise ConfigurationError(
                    f"logits_gradient is given, but the output{which} does not end with an activation, or a dense "
                    "layer that has one, so there are no logits: give output_gradient"
                )
        stages = program.stages if training else _as_predicted(program)
        return replace(program, stages=stages, outputs=(), head="linear", metrics=(), loss=GIVEN, penalties=())

    def _new_companion(self, program: Program) -> Executable:
        assert self._companions is not None
        executable, made = self._companions
        program = choosing.without_optimizer(program)
        for other in made.values():
            if other.program == program:
                return other
        companion = self.backend.build(program)
        if type(companion) is not type(executable):  # as where penalties, which are no part of it, run stage by stage
            companion = self.backend.build_by_stages(program)
        if type(companion) is not type(executable):
            raise BackendUnavailable(
                f"the backend {executable.plan.backend!r} runs this network by its {type(executable).__name__}, and "
                f"from the gradient of its outputs by its {type(companion).__name__}, which cannot share numbers: use "
                "another backend, such as numpy"
            )
        return companion

    # -- gradients that are given ------------------------------------------------------------------------------------

    def _given(self, output_gradient: Any, logits_gradient: Any) -> tuple[Given, ...]:
        """What is given for each output."""
        names = self.graph.output_names
        if len(names) == 1:
            if (output_gradient is None) == (logits_gradient is None):
                both = "both are" if output_gradient is not None else "neither is"
                raise ConfigurationError(
                    "a step from outside takes output_gradient, dL/dy of net.predict(x), or logits_gradient, dL/dz "
                    f"before the last activation; {both} given: give one of them"
                )
            of_logits = output_gradient is None
            given = logits_gradient if of_logits else output_gradient
            return (Given(given.get(names[0]) if isinstance(given, Mapping) else given, of_logits),)
        of_outputs = _by_name("output_gradient", output_gradient, names)
        logits = _by_name("logits_gradient", logits_gradient, names)
        for name in names:
            if of_outputs[name] is not None and logits[name] is not None:
                raise ConfigurationError(
                    f"both output_gradient and logits_gradient are given for the output {name!r}: give one of them"
                )
        if all(each is None for each in (*of_outputs.values(), *logits.values())):
            raise ConfigurationError(
                f"no gradient is given for any of the outputs {', '.join(names)}: expected output_gradient or "
                f"logits_gradient, such as {{{names[0]!r}: ...}}"
            )
        return tuple(
            Given(logits[name], True) if logits[name] is not None else Given(of_outputs[name]) for name in names
        )

    def _as_rows(self, given: tuple[Given, ...]) -> Any:
        """What the fast path may take: as it is, or as rows, where outputs are several or have several dimensions."""
        arrays, shapes = [each.gradient for each in given], self._output_shapes
        if len(arrays) == 1 and len(shapes[0]) == 1:
            return arrays[0]
        there = next(array for array in arrays if array is not None)
        rows = len(there) if type(there) is np.ndarray else 0
        if not rows or any(
            array is not None and (type(array) is not np.ndarray or array.shape != (rows, *shape))
            for array, shape in zip(arrays, shapes, strict=True)
        ):
            return None  # something is to be said or done about them
        if len(arrays) == 1:
            return there.reshape(rows, -1)
        sizes = [prod(shape) for shape in shapes]
        whole, stop = np.zeros((rows, sum(sizes)), self.dtype), 0
        with np.errstate(over="ignore"):  # what is infinite in the network's dtype is seen, and said, later
            for array, size in zip(arrays, sizes, strict=True):
                if array is not None:
                    whole[:, stop : stop + size] = array.reshape(rows, size)
                stop += size
        return whole

    def _as_gradient(self, given: tuple[Given, ...], samples: int) -> Array:
        """As the companion loads it: rows (N, outputs)."""
        backend, several = self.backend, len(given) > 1
        with backend.on_device():
            parts = [
                self._part(each, f"{each.argument}[{name!r}]" if several else each.argument, shape, samples)
                for each, name, shape in zip(given, self.graph.output_names, self._output_shapes, strict=True)
            ]
            return joining.side_by_side(parts, self.dtype, backend) if several else parts[0]

    def _part(self, given: Given, name: str, shape: Shape, samples: int) -> Array:
        """Of an output, (N, numbers)."""
        if given.gradient is None:
            return np.zeros((samples, prod(shape)), self.dtype)
        gradient = checks.as_numbers(name, given.gradient, self.backend)
        checks.check_length(name, gradient, samples)
        found = checks.shape_of(gradient)
        if found != (samples, *shape) and not (found == (samples,) and shape == (1,)):
            raise ShapeError(
                f"{name} has shape {found}: expected {(samples, *shape)}, like the predictions of these samples"
            )
        require_finite(name, gradient, self.dtype)
        return namespace(gradient).reshape(gradient, (samples, -1))


def _has_logits(program: Program, place: int) -> bool:
    """Whether that output's last activation is taken over, or there would be one: of a linear layer, it is nothing."""
    if (program.outputs[place].head if program.outputs else program.head) != "linear":
        return True
    stage: Any = program.stages[-1] if program.stages else None
    if program.outputs:  # which are put side by side by the last stage
        value = program.edges[-1][place]
        stage = program.stages[value - 1] if value else None
    return isinstance(stage, Dense | Activate)


def _as_predicted(program: Program) -> tuple[Any, ...]:
    """The stages as they are in predictions: nothing is dropped."""
    for stage in program.stages:
        if isinstance(stage, Op) and hasattr(registry.find(stage.kind, "stage"), "PREDICT"):
            raise ConfigurationError(
                f"a {stage.kind} is another function in predictions than in training, and only of that one its "
                "gradient is there: give training=True"
            )
    if program.sources:  # which count the stages
        return tuple(replace(stage, rate=0.0) if isinstance(stage, Dropout) else stage for stage in program.stages)
    return tuple(stage for stage in program.stages if not isinstance(stage, Dropout))


def _by_name(argument: str, given: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """What is given for each output; None where nothing is."""
    if given is None:
        return dict.fromkeys(names)
    if isinstance(given, Mapping):
        for name in given:
            if name not in names:
                near = did_you_mean(str(name), names)
                raise UnknownName(f"{argument} names an output {shown(name)}: {near}the network has {', '.join(names)}")
        return {name: given.get(name) for name in names}
    if not isinstance(given, list | tuple) or len(given) != len(names):
        raise ConfigurationError(
            f"{argument} is {shown(given)}, but the network has {len(names)} outputs, {', '.join(names)}: expected a "
            f"dictionary, such as {{{names[0]!r}: ...}}, or a list with an array, or None, for each"
        )
    return dict(zip(names, given, strict=True))
