"""Single steps, for custom training loops."""

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
    """Adds `train_step`, `get_gradients` and `apply_gradients` to a network."""

    def train_step(self, x: Any, y: Any, sample_weight: Any = None) -> float:
        """Perform one update on x and y as a single batch; return the loss before the update.

        Arguments:
            x: samples (N, ...).
            y: targets, one row per sample.
            sample_weight: (N,), weight of each row.

        Returns:
            The loss before the update, a float.

        Raises:
            NotReady: the network is not compiled, or has no loss.
            ShapeError, DataError: data does not fit the network.
        """
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
        """Perform `train_step`; also return the metrics before the update.

        Arguments:
            x, y, sample_weight: as for `train_step`.
            class_weight: as for `fit`.
            return_dict: return a dictionary by name.

        Returns:
            The loss as a number if there are no metrics, otherwise an `Evaluation`.
        """
        found = self._train_totals(x, y, sample_weight, class_weight)
        return as_of_batch(Evaluation(found.means(self.executable.program.metrics)), return_dict)

    def _train_totals(
        self, x: Any, y: Any, sample_weight: Any, class_weight: Mapping[Any, Any] | Sequence[Any] | None = None
    ) -> Totals:
        """Perform one update; return what was measured before it."""
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
                executable.epoch = epoch  # a single step does not advance the epoch counter of `fit`

    def _train_batch(self, x: Any, y: Any) -> float | None:
        """Fast path: as `_train_totals`, or None if something has to be built or converted first."""
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
        """Return loss and gradients on x and y as a single batch; changes nothing.

        Dropout is active, with the mask of the next update.

        Arguments:
            x: samples (N, ...).
            y: targets, one row per sample.
            with_input: also return the gradient with respect to x, named "input", in x's shape; with several inputs,
                one per input, under their names.
            sample_weight: (N,), weight of each row.

        Returns:
            (loss, {name: gradient}) with the gradient of each trainable parameter in its shape.

        Raises:
            NotReady: the network is not compiled, or has no loss.
            ShapeError, DataError: data does not fit the network.
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
        """Perform one optimizer step with given gradients, such as the mean over several processes.

        Optimizer state, schedule, weight decay and `global_clipnorm` apply as in a step of `fit`:
        `net.apply_gradients(net.get_gradients(x, y)[1])` equals `net.train_step(x, y)`, up to rounding.

        Arguments:
            gradients: {name: array} for every trainable parameter, in its shape. As in `fit`, non-finite numbers
                propagate to the parameters.

        Raises:
            UnknownName, ShapeError, DataError: a gradient does not fit a parameter; nothing has changed then.
            ConfigurationError: a gradient is missing, or belongs to a frozen layer.
        """
        self.optimizer.rule  # noqa: B018 - report a missing compile first
        self._take_rule()
        arrays = self.parameters.fitting("gradient", gradients)
        program = self.executable.program
        if program.frozen_parameters or self.executable.api_version < 2:
            require_trainable(self.executable, self.optimizer)
            if frozen := [each.name for each in program.frozen_parameters if each.name in arrays]:
                raise ConfigurationError(
                    f"the gradient of {', '.join(frozen)} is given, but the layer is frozen: expected those of "
                    "trainable parameters, as get_gradients returns them; leave it out, or unfreeze the layer"
                )
        if len(arrays) < len(program.trainable_parameters):
            missing = [each.name for each in program.trainable_parameters if each.name not in arrays]
            raise ConfigurationError(
                f"the gradient of {', '.join(missing)} is missing: expected one for each trainable parameter; give "
                "zeros where the loss does not depend on it"
            )
        with self.turns:
            executable = self.executable
            executable.update(arrays, self.hyperparameters())

    @abstractmethod
    def _check(
        self, x: Any, y: Any, sample_weight: Any = None, class_weight: Mapping[Any, Any] | Sequence[Any] | None = None
    ) -> tuple[Any, Any, Any]:
        """Convert samples, targets and row weights for the executable; build the network if necessary."""

    @abstractmethod
    def _take_rule(self) -> None:
        """Rebuild the network if the optimizer's rule has changed."""
