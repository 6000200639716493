"""Steps whose loss is somebody else's: gradients of a network's outputs come from outside, its own go on from there.

The outputs' gradient is what the loss `inner_product` has in them if it is given as targets. So the network has
companions, programs with that loss and its own parameters, which run on its numbers like any other program: compiled,
fused with the update, on every backend.
"""

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dnnkit.backends import choosing
from dnnkit.backends.executable import Executable
from dnnkit.backends.program import Activate, Dense, Dropout, Loss, Program
from dnnkit.backends.stagewise.finite import require_finite
from dnnkit.errors import BackendUnavailable, ConfigurationError, ShapeError
from dnnkit.kernels.array import Array, namespace
from dnnkit.network import checks
from dnnkit.network.asking import Askable
from dnnkit.network.freezing import require_respected, require_trainable
from dnnkit.settings import FLAG, numbers, shown

GIVEN = Loss("inner_product", "values", "sum")

TAU = numbers("a number from 0 to 1, such as 0.005", lambda number: 0 <= number <= 1)

Of = Literal["output_gradient", "logits_gradient"]
"""What is given: by the names of the arguments."""


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

        Each is the sum over all rows: for a loss that is a mean, the mean is in what is given. Changes nothing, and
        needs no `compile`. What is returned is the caller's.

        Arguments:
            x: samples (N, ...).
            output_gradient: dL/dy (N, ...), in the shape of `predict(x)` and of the predictions that it returns, after
                a softmax or sigmoid at the end. Or instead:
            logits_gradient: dL/dz of what the last activation is applied to, in the same shape. Of a softmax policy and
                a loss that is -log of the chosen probability it is `predict(x)`, less 1 where an action was chosen.
            with_input: also dL/dx, under the name "input" and in x's shape.
            training: with dropout, with the mask of the next update, as in `train_step`; else without, as in `predict`.

        Raises:
            ConfigurationError: both gradients or none are given, or there are no logits.
            ShapeError, DataError: x or a gradient does not fit the network.
        """
        of, given = _given(output_gradient, logits_gradient)
        training = FLAG.of("training", training)
        if not with_input and self.is_built:
            with self.turns:
                batch = self._companion(of, training).differentiate_batch(x, self._as_rows(given))
            if batch is not None:
                return dict(batch.parameters)
        x = self._check_samples(x, None)
        gradient = self._as_gradient(of, given, int(x.shape[0]))
        with self.turns:
            companion = self._companion(of, training)
            found = companion.gradients(companion.load(x, gradient, None), with_input=with_input)
            to_numpy = self.backend.to_numpy
            named = {name: np.array(to_numpy(value)) for name, value in found.parameters.items()}
            if found.input is not None:
                named["input"] = np.array(to_numpy(found.input)).reshape(checks.shape_of(x))
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
        optimizer, (of, given) = self.optimizer, _given(output_gradient, logits_gradient)
        training = FLAG.of("training", training)
        if self.is_built:
            with self.turns:
                executable = self.executable
                if executable.program.rule == optimizer.rule:
                    companion, rows = self._companion(of, training, trains=True), self._as_rows(given)
                    if companion.train_batch(x, rows, self.hyperparameters()) is not None:
                        executable.take_over(companion)
                        return
        x = self._check_samples(x, None)
        self._take_rule()
        samples = int(x.shape[0])
        gradient = self._as_gradient(of, given, samples)
        with self.turns:
            executable, companion = self.executable, self._companion(of, training, trains=True)
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
            self.executable.follow(net.executable, tau)

    # -- companions --------------------------------------------------------------------------------------------------

    def _companion(self, of: Of, training: bool, *, trains: bool = False) -> Executable:
        """What runs the network with the gradient of its outputs, or logits, as targets; on the network's numbers."""
        executable = self.executable
        if executable.program.frozen_parameters:
            (require_trainable if trains else require_respected)(executable)
        if self._companions is None or self._companions[0] is not executable:
            self._companions = executable, {}
        made = self._companions[1]
        if (found := made.get((of, training))) is None:
            found = made[of, training] = self._new_companion(self._companion_program(of, training))
        found.take_over(executable)
        return found

    def _companion_program(self, of: Of, training: bool) -> Program:
        assert self.input_shape is not None
        program = self._program(self.input_shape, has_loss=False)
        stages = program.stages
        if of == "logits_gradient":
            last = stages[-1] if stages else None
            if not isinstance(last, Dense | Activate):
                raise ConfigurationError(
                    "logits_gradient is given, but the network does not end with an activation, or a dense layer that "
                    "has one, so there are no logits: give output_gradient"
                )
            stages = (*stages[:-1], replace(last, activation="linear"))
        if not training:
            stages = tuple(stage for stage in stages if not isinstance(stage, Dropout))
        return replace(program, stages=stages, loss=GIVEN)

    def _new_companion(self, program: Program) -> Executable:
        assert self._companions is not None
        executable, made = self._companions
        for other in made.values():
            if other.program == program:
                return other
        _, companion = choosing.build(choosing.Chosen(self.backend, ""), program)
        if type(companion) is not type(executable):
            raise BackendUnavailable(
                f"the backend {executable.plan.backend!r} runs this network by its {type(executable).__name__}, and "
                f"from the gradient of its outputs by its {type(companion).__name__}, which cannot share numbers: use "
                "another backend, such as numpy"
            )
        return companion

    # -- gradients that are given ------------------------------------------------------------------------------------

    def _as_rows(self, given: Any) -> Any:
        """What the fast path may take: as it is, or as rows, where outputs have more than one dimension."""
        shape = self._output_shape
        if len(shape) == 1 or type(given) is not np.ndarray or given.shape[1:] != shape:
            return given
        return given.reshape(len(given), -1)

    def _as_gradient(self, name: Of, given: Any, samples: int) -> Array:
        """As the companion loads it: rows (N, outputs)."""
        backend, shape = self.backend, self._output_shape
        with backend.on_device():
            gradient = checks.as_numbers(name, given, backend)
            checks.check_length(name, gradient, samples)
            found = checks.shape_of(gradient)
            if found != (samples, *shape) and not (found == (samples,) and shape == (1,)):
                raise ShapeError(
                    f"{name} has shape {found}: expected {(samples, *shape)}, like the predictions of these samples"
                )
            require_finite(name, gradient, self.dtype)
            return namespace(gradient).reshape(gradient, (samples, -1))


def _given(output_gradient: Any, logits_gradient: Any) -> tuple[Of, Any]:
    if (output_gradient is None) == (logits_gradient is None):
        both = "both are" if output_gradient is not None else "neither is"
        raise ConfigurationError(
            f"a step from outside takes output_gradient, dL/dy of net.predict(x), or logits_gradient, dL/dz before the "
            f"last activation; {both} given: give one of them"
        )
    return ("output_gradient", output_gradient) if logits_gradient is None else ("logits_gradient", logits_gradient)
