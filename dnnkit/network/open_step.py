"""Steps with a loss computed elsewhere: backpropagation starts from given gradients of the outputs.

The gradient of the loss `inner_product` with respect to the outputs equals its targets. So the network has companions:
programs with that loss and the network's parameters, which run like any other program, compiled, fused with the update
and on every backend.
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
from dnnkit.network.evaluating import Evaluable
from dnnkit.network.freezing import require_respected, require_trainable
from dnnkit.network.goals import Goal
from dnnkit.registry import did_you_mean
from dnnkit.settings import FLAG, numbers, shown

GIVEN = LossDescription("inner_product", "values", "sum")

TAU = numbers("a number from 0 to 1, such as 0.005", lambda number: 0 <= number <= 1)


@dataclass(frozen=True)
class FromOutside(Loss):
    """Placeholder for a loss computed elsewhere, on an output or its logits."""

    of_logits: bool = False

    def lower(self, last_activation: str) -> tuple[LossDescription, bool]:
        """Fuse the last activation if the gradient is with respect to its input."""
        return GIVEN, self.of_logits and last_activation != "linear"


class Given(NamedTuple):
    """A gradient for an output and whether it is for its logits; None for an output that is not part of the loss."""

    gradient: Any
    of_logits: bool = False

    @property
    def argument(self) -> str:
        """Name of the argument that it was given as."""
        return "logits_gradient" if self.of_logits else "output_gradient"


class OpenStep(Evaluable):
    """Adds `backward`, `step` and `follow` to a network."""

    def backward(
        self,
        x: Any,
        output_gradient: Any = None,
        *,
        logits_gradient: Any = None,
        with_input: bool = False,
        training: bool = False,
    ) -> dict[str, NDArray[Any]]:
        """Backpropagate gradients of the outputs: return the gradients of all trainable parameters by name.

        Corresponds to PyTorch's `y.backward(dL/dy)`. Gradients are summed over rows: if the loss is a mean, include the
        factor 1/N in the given gradient. Penalties of layers are not included. Does not need `compile` and changes
        nothing; the returned arrays belong to the caller.

        Arguments:
            x: samples (N, ...).
            output_gradient: dL/dy (N, ...), in the shape of `predict(x)`, with respect to the predictions after a final
                softmax or sigmoid.
            logits_gradient: instead, dL/dz with respect to the input of the last activation, in the same shape. For
                example, for a softmax policy with loss -log p of the chosen action, it is `predict(x)` minus 1 at the
                chosen action. With several outputs, both arguments are dictionaries by output name or lists, with None
                for outputs that the other argument covers or that are not part of the loss.
            with_input: also return dL/dx, named "input", in x's shape; with several inputs, by their names.
            training: True applies dropout with the mask of the next update, as in `train_step`; False (default) applies
                none, as in `predict`.

        Returns:
            {name: gradient in the parameter's shape}.

        Raises:
            ConfigurationError: both gradients or none were given, or the output has no logits.
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
        """Perform one optimizer step with the gradients of `backward`, in one compiled call.

        Equals `apply_gradients(backward(...))` up to rounding, and takes as long as `train_step`. The network needs an
        optimizer but no loss: `net.compile(dk.Adam(1e-3))`.

        Arguments:
            x, output_gradient, logits_gradient, training: as for `backward`.

        Raises:
            NotReady: the network is not compiled.
            ConfigurationError, ShapeError, DataError: as for `backward`; nothing has changed then.
        """
        optimizer, given = self.optimizer, self._given(output_gradient, logits_gradient)
        if optimizer.full_batch:
            raise ConfigurationError(
                f"step takes a gradient computed elsewhere, but {type(optimizer).__name__} has to evaluate the loss "
                "itself, at several points: train by net.fit(x, y) or net.train_step(x, y), or compile with another "
                "optimizer, such as dk.SGD()"
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
        """Move each parameter towards that of another network: (1 - tau) * own + tau * other, in one pass.

        This updates a target network from the trained one (Polyak averaging; soft target updates of Lillicrap et al.,
        arXiv:1509.02971). All parameters move, frozen ones included; `tau=1` copies them. Optimizer state, step count
        and history of both networks are unchanged. The other network may be on another backend or have another dtype.

        Arguments:
            net: the network to follow, with parameters of the same names and shapes.
            tau: step size, from 0 to 1.

        Raises:
            ConfigurationError: the parameters of the two networks differ in name or shape; nothing has changed then.
        """
        if not isinstance(net, OpenStep):
            raise ConfigurationError(f"follow got {shown(net)}: expected a network, followed by tau, such as 0.005")
        tau = TAU.of("tau", tau)
        if not self.is_built and self.input_shape is None and net.input_shape is not None:
            self.build(net.input_shape)
        if (shapes := self.parameters.shapes) != (others := net.parameters.shapes):
            differ = [name for name in {**shapes, **others} if shapes.get(name) != others.get(name)]
            raise ConfigurationError(
                f"follow: {len(differ)} parameters differ between the two networks; the first is {differ[0]!r}, which "
                f"is {shapes.get(differ[0], 'missing')} here and {others.get(differ[0], 'missing')} there: expected "
                "the same layers with the same names, such as those of net.copy()"
            )
        first, second = (self, net) if id(self.turns) < id(net.turns) else (net, self)
        with first.turns, second.turns:  # always in the same order, to avoid a deadlock
            executable = self.executable
            executable.follow(net.executable, tau)
            if executable.program.averages:  # restart the averages, which are of the previous weights
                for parameter in executable.program.trainable_parameters:
                    executable.write_average(parameter.name, executable.read_parameter(parameter.name))
            if self.turns.shared_layers is not None:
                self.turns.shared_layers.changed()

    # -- companions --------------------------------------------------------------------------------------------------

    def _companion(self, given: tuple[Given, ...], training: bool, *, trains: bool = False) -> Executable:
        """Return the executable that takes gradients of outputs or logits as targets, with the network's parameters."""
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
                    f"logits_gradient is given, but the output{which} does not end with an activation or a dense "
                    "layer, so it has no logits: give output_gradient"
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
        if type(companion) is not type(executable):  # such as where penalties made the network run stage by stage
            companion = self.backend.build_by_stages(program)
        if type(companion) is not type(executable):
            raise BackendUnavailable(
                f"the backend {executable.plan.backend!r} runs this network by its {type(executable).__name__}, but "
                f"steps from output gradients by its {type(companion).__name__}, which cannot share parameters: use "
                "another backend, such as numpy"
            )
        return companion

    # -- given gradients ---------------------------------------------------------------------------------------------

    def _given(self, output_gradient: Any, logits_gradient: Any) -> tuple[Given, ...]:
        """Return the gradient given for each output."""
        names = self.graph.output_names
        if len(names) == 1:
            if (output_gradient is None) == (logits_gradient is None):
                both = "both are" if output_gradient is not None else "neither is"
                raise ConfigurationError(
                    "give either output_gradient, dL/dy of net.predict(x), or logits_gradient, dL/dz before the last "
                    f"activation: {both} given"
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
        """Convert for the fast path, flattening several or multidimensional outputs to rows; None if not applicable."""
        arrays, shapes = [each.gradient for each in given], self._output_shapes
        if len(arrays) == 1 and len(shapes[0]) == 1:
            return arrays[0]
        there = next(array for array in arrays if array is not None)
        rows = len(there) if type(there) is np.ndarray else 0
        if not rows or any(
            array is not None and (type(array) is not np.ndarray or array.shape != (rows, *shape))
            for array, shape in zip(arrays, shapes, strict=True)
        ):
            return None  # needs a conversion, or an error message
        if len(arrays) == 1:
            return there.reshape(rows, -1)
        sizes = [prod(shape) for shape in shapes]
        whole, stop = np.zeros((rows, sum(sizes)), self.dtype), 0
        with np.errstate(over="ignore"):  # overflow in the network's dtype is reported later
            for array, size in zip(arrays, sizes, strict=True):
                if array is not None:
                    whole[:, stop : stop + size] = array.reshape(rows, size)
                stop += size
        return whole

    def _as_gradient(self, given: tuple[Given, ...], samples: int) -> Array:
        """Convert the gradients for the companion: rows (N, outputs)."""
        backend, several = self.backend, len(given) > 1
        with backend.on_device():
            parts = [
                self._part(each, f"{each.argument}[{name!r}]" if several else each.argument, shape, samples)
                for each, name, shape in zip(given, self.graph.output_names, self._output_shapes, strict=True)
            ]
            return joining.side_by_side(parts, self.dtype, backend) if several else parts[0]

    def _part(self, given: Given, name: str, shape: Shape, samples: int) -> Array:
        """Convert the gradient of one output to (N, features)."""
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
    """Whether that output's last activation is fused, or could be; the activation of a linear layer is the identity."""
    if (program.outputs[place].head if program.outputs else program.head) != "linear":
        return True
    stage: Any = program.stages[-1] if program.stages else None
    if program.outputs:  # the last stage concatenates them
        value = program.edges[-1][place]
        stage = program.stages[value - 1] if value else None
    return isinstance(stage, Dense | Activate)


def _as_predicted(program: Program) -> tuple[Any, ...]:
    """Return the stages as in predictions, without dropout."""
    for stage in program.stages:
        if isinstance(stage, Op) and hasattr(registry.find(stage.kind, "stage"), "PREDICT"):
            raise ConfigurationError(
                f"a {stage.kind} computes different functions in training and prediction, and only the training "
                "function has a gradient: pass training=True"
            )
    if program.sources:  # which refer to stages by number, so none may be removed
        return tuple(replace(stage, rate=0.0) if isinstance(stage, Dropout) else stage for stage in program.stages)
    return tuple(stage for stage in program.stages if not isinstance(stage, Dropout))


def _by_name(argument: str, given: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """Return what is given for each output, None if nothing is."""
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
            f"dictionary, such as {{{names[0]!r}: ...}}, or a list with an array or None for each"
        )
    return dict(zip(names, given, strict=True))
