"""Steps one by one, for training loops of a user's own."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnnkit.backends.state import Totals
from dnnkit.errors import ConfigurationError
from dnnkit.network.evaluation import Evaluation, as_of_batch
from dnnkit.network.freezing import require_respected, require_trainable
from dnnkit.network.joining import named_inputs
from dnnkit.network.protocol import Network


class OwnLoops(Network):
    """`train_step`, `get_gradients` and `apply_gradients` of a network."""

    def train_step(self, x: Any, y: Any, sample_weight: Any = None) -> float:
        """One update on all of x and y as one batch; returns the loss before it."""
        if sample_weight is None and (loss := self._train_batch(x, y)) is not None:
            return loss
        return self._train_totals(x, y, sample_weight).mean_loss

    def train_on_batch(
        self,
        x: Any,
        y: Any,
        sample_weight: Any = None,
        class_weight: Mapping[Any, Any] | Sequence[Any] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """`train_step`, which also gives the metrics before the update, where there are any, as an `Evaluation`."""
        found = self._train_totals(x, y, sample_weight, class_weight)
        return as_of_batch(Evaluation(found.means(self.executable.program.metrics)), return_dict)

    def _train_totals(
        self, x: Any, y: Any, sample_weight: Any, class_weight: Mapping[Any, Any] | Sequence[Any] | None = None
    ) -> Totals:
        """One update, and what was measured before it."""
        x, y, weights = self._check(x, y, sample_weight, class_weight)
        require_trainable(self.executable, self.optimizer)
        samples = int(x.shape[0])
        with self.turns:
            executable = self.executable
            epoch, data = executable.epoch, executable.load(x, y, weights)
            try:
                executable.begin_epoch(data, np.arange(samples), samples)
                executable.run_steps(0, 1, self.hyperparameters())
                return executable.totals()
            finally:
                executable.epoch = epoch  # of a fit that this step is between two of

    def _train_batch(self, x: Any, y: Any) -> float | None:
        """The same, where nothing has to be built or converted; else None."""
        if not self.is_built or self.loss is None:
            return None
        with self.turns:
            executable, optimizer = self.executable, self.optimizer
            program = executable.program
            if not optimizer.fits(program):
                return None
            if program.frozen_parameters or executable.api_version < 2:
                require_trainable(executable, optimizer)
            return executable.train_batch(x, y, self.hyperparameters())

    def get_gradients(
        self, x: Any, y: Any, with_input: bool = False, *, sample_weight: Any = None
    ) -> tuple[float, dict[str, NDArray[Any]]]:
        """(loss, gradient of each parameter that is trained, by name) on all of x and y as one batch; changes nothing.

        With `with_input` also the gradient in x, under the name "input" and in x's shape; in each of several inputs, by
        their names. Dropout is active, with the
        mask of the next update.
        """
        if sample_weight is None and not with_input and self.is_built and self.loss is not None:
            with self.turns:
                executable = self.executable
                if executable.program.frozen_parameters:
                    require_respected(executable)
                batch = executable.differentiate_batch(x, y)
            if batch is not None:
                return batch.loss, dict(batch.parameters)
        x, y, weights = self._check(x, y, sample_weight)
        with self.turns:
            require_respected(self.executable)
            gradients = self.executable.gradients(self.executable.load(x, y, weights), with_input=with_input)
            to_numpy = self.backend.to_numpy
            named = {name: np.array(to_numpy(value)) for name, value in gradients.parameters.items()}
            if gradients.input is not None:
                named |= named_inputs(np.array(to_numpy(gradients.input)).reshape(x.shape), self.graph)
        return gradients.loss, named

    def apply_gradients(self, gradients: Mapping[str, Any]) -> None:
        """One step of the optimizer with gradients from outside, such as the mean of those of several processes.

        Its state, schedule, decay and `global_clipnorm` count as in a step of `fit`, of which this is the last part:
        `net.apply_gradients(net.get_gradients(x, y)[1])` is `net.train_step(x, y)`, up to rounding.

        Arguments:
            gradients: of every parameter that is trained, by its name, in its shape. As in `fit`, numbers that are not
                finite go on to the parameters.

        Raises:
            UnknownName, ShapeError, DataError: before anything changes, where a gradient does not fit a parameter.
            ConfigurationError: if one is missing, or is of a layer that is frozen.
        """
        self.optimizer.rule  # noqa: B018 - whether the network is compiled is said first
        self._take_rule()
        arrays = self.parameters.fitting("gradient", gradients)
        program = self.executable.program
        if program.frozen_parameters or self.executable.api_version < 2:
            require_trainable(self.executable, self.optimizer)
            if frozen := [each.name for each in program.frozen_parameters if each.name in arrays]:
                raise ConfigurationError(
                    f"the gradient of {', '.join(frozen)} is given, but the layer is frozen: expected those of "
                    "parameters that are trained, as get_gradients gives them; leave it out, or unfreeze the layer"
                )
        if len(arrays) < len(program.trainable_parameters):
            missing = [each.name for each in program.trainable_parameters if each.name not in arrays]
            raise ConfigurationError(
                f"the gradient of {', '.join(missing)} is missing: expected one of each parameter; give zeros where "
                "the loss does not depend on it"
            )
        with self.turns:
            executable = self.executable
            executable.update(arrays, self.hyperparameters())

    @abstractmethod
    def _check(
        self, x: Any, y: Any, sample_weight: Any = None, class_weight: Mapping[Any, Any] | Sequence[Any] | None = None
    ) -> tuple[Any, Any, Any]:
        """Samples, targets and row weights as the executable loads them; builds the network if need be."""

    @abstractmethod
    def _take_rule(self) -> None:
        """Rebuild the network if the optimizer has another rule now."""
