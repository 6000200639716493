"""Asking a network: `predict` and `evaluate`, and how it takes samples, targets and weights."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, overload

from numpy.typing import NDArray

from dnnkit.backends import choosing
from dnnkit.backends.executable import Executable
from dnnkit.backends.registry import get_backend
from dnnkit.backends.state import HostArray
from dnnkit.callbacks import callback_list, hearing
from dnnkit.callbacks.callback_list import CallbackList
from dnnkit.errors import ConfigurationError, NotReady
from dnnkit.graph.symbols import is_symbolic
from dnnkit.instead import refuse
from dnnkit.network import checks, joining, streamed
from dnnkit.network.building import Buildable
from dnnkit.network.evaluation import Evaluation, as_of_batch
from dnnkit.network.streamed import is_streamed
from dnnkit.training.parts import InParts
from dnnkit.training.progress import Verbosity, check_verbosity

INFERENCE_BATCH = 1024
"""Rows that `predict` and `evaluate` compute at a time: enough for BLAS, little memory."""


class Askable(Buildable):
    """`predict` and `evaluate` of a network, which builds itself on the first data it sees."""

    @overload
    def evaluate(
        self, x: Any, y: Any = None, batch_size: int | None = None, verbose: Verbosity = 0, sample_weight: Any = None,
        *, callbacks: callback_list.Given = None, return_dict: Literal[True], **others: Any,
    ) -> dict[str, float]: ...  # fmt: skip

    @overload
    def evaluate(
        self, x: Any, y: Any = None, batch_size: int | None = None, verbose: Verbosity = 0, sample_weight: Any = None,
        *, callbacks: callback_list.Given = None, return_dict: bool = False, **others: Any,
    ) -> Evaluation: ...  # fmt: skip

    def evaluate(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Verbosity = 0,
        sample_weight: Any = None,
        *,
        callbacks: callback_list.Given = None,
        return_dict: bool = False,
        **others: Any,
    ) -> Evaluation | dict[str, float]:
        """Loss and metrics on samples and targets, dropout off: `loss, accuracy = net.evaluate(x, y)`.

        Arguments:
            x: samples (N, ...); or files, or an iterator of batches, as for `fit`.
            y: their targets, as for `fit`.
            batch_size: rows that are computed at a time; None for many.
            verbose: 1 or 2 print a line of what was found, 0 nothing; "auto" is 1.
            sample_weight: (N,), how much each sample counts; of several outputs also one such array for each, in a
                dictionary by their names or in a list.
            callbacks: what hears of its batches.
            return_dict: give a dictionary in place of an `Evaluation`, which is one by name.
        """
        refuse("evaluate", others, Askable.evaluate)
        heard = CallbackList.of(callbacks)
        batch_size = checks.check_count("batch_size", INFERENCE_BATCH if batch_size is None else batch_size)
        data: Any
        if is_streamed(x):
            data = self._in_parts(x, y, sample_weight, batch_size)
            samples, rows = data.rows, batch_size
        else:
            x, y, weights = self._check(x, y, sample_weight, rows=choosing.NONE_TRAINED)
            samples = int(x.shape[0])
            data, rows = self.executable.load(x, y, weights), min(batch_size, samples)
        heard.attach(self, hearing.params(samples, rows))
        found = Evaluation(hearing.evaluate(self, self.executable, data, rows, heard))
        samples = data.rows if isinstance(data, InParts) else samples  # which an iterator tells at its end
        if check_verbosity(verbose):
            print(f"{samples:,} samples  " + "  ".join(f"{name} {value:.4f}" for name, value in found.items()))
        return dict(found.items()) if return_dict else found

    def _in_parts(self, x: Any, y: Any, sample_weight: Any, batch_size: int) -> InParts:
        """What is on disk, or makes batches, to be measured; builds the network if need be."""
        given = streamed.open_streamed(x, y, sample_weight)
        self._check_sample(streamed.Sample.of(given), rows=choosing.NONE_TRAINED)
        return streamed.in_parts(self, given, self._checked, batch_size)

    def _check_sample(
        self, sample: streamed.Sample, class_weight: Any = None, rows: int | None = None
    ) -> tuple[Any, Any, Any]:
        """As `_check`, of some rows of what is streamed, which are finite afterwards."""

        def use(x: Any, y: Any, weights: Any) -> None:
            self.executable.load(*self._checked(x, y, weights, class_weight))

        with sample.located():
            self._check_samples(sample.parts[0], rows)
        with sample.located(use):
            checked = self._check(*sample.parts, class_weight, rows=rows)
            self.executable.load(*checked)
        return checked

    def test_on_batch(self, x: Any, y: Any, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """`evaluate` on x and y as one batch; without metrics the loss is a number, as Keras has it."""
        found = self.evaluate(x, y, self._rows_of(x), sample_weight=sample_weight)
        return as_of_batch(found, return_dict)

    def _rows_of(self, x: Any) -> int:
        """How many samples there are, of the first input if there are several."""
        if len(self.graph.inputs) > 1 and isinstance(x, Mapping | list | tuple) and x:
            return max(1, len(next(iter(x.values() if isinstance(x, Mapping) else x))))
        return len(x)

    def __call__(self, x: Any, training: bool | None = None) -> Any:
        """`predict(x)`; with `training=True`, dropout on, there is none.

        On symbolic values the network is a layer of another: what it gives there are symbolic values again.
        """
        if is_symbolic(x):
            return self.as_layer()(x)
        if training:
            raise ConfigurationError(
                "net(x, training=True) would drop units: predictions are made without. A step of training is "
                "net.train_step(x, y), its gradients are net.get_gradients(x, y)"
            )
        return self.predict(x)

    def predict(
        self,
        x: Any,
        batch_size: int | None = INFERENCE_BATCH,
        verbose: Verbosity = 0,
        *,
        callbacks: callback_list.Given = None,
        **others: Any,
    ) -> Any:
        """The network's outputs (N, ...) as a NumPy array, dropout off.

        Of several outputs, a list or a dictionary of arrays, as they were given to `dk.Model`.

        Arguments:
            x: samples (N, ...); of several inputs, a list or a dictionary by their names.
            batch_size: rows that are computed at a time; None for many.
            verbose: 1 or 2 print a line when it is done, 0 nothing; "auto" is 1.
            callbacks: what hears of its batches.
        """
        if verbose or others:
            refuse("predict", others, Askable.predict)
            found = self.predict(x, batch_size, callbacks=callbacks)
            if check_verbosity(verbose):
                print(f"{self._rows_of(x):,} samples predicted")
            return found
        batch_size = checks.check_count("batch_size", INFERENCE_BATCH if batch_size is None else batch_size)
        if callbacks is not None:
            return self._predict_heard(x, batch_size, CallbackList.of(callbacks))
        if is_streamed(x):
            return self._predict_streamed(x, batch_size)
        if self._folding is not None:
            return self._predict_folded(x, batch_size)
        executable = self._executable if self._is_plain else None
        if executable is not None and (few := self._predict_few(executable, x)) is not None:
            shape = self._output_shapes[0]
            return few if len(shape) == 1 else few.reshape(-1, *shape)
        x = self._check_samples(x, choosing.NONE_TRAINED)
        executable = self.executable
        data, rows = executable.load(x, None, None), min(batch_size, int(x.shape[0]))
        found = self.turns.read(
            executable,
            lambda parameters: executable.predict(data, rows, parameters),
            averages=self.predicts_with_averages,
        )
        return self._arranged(found)

    def _predict_streamed(self, x: Any, batch_size: int) -> Any:
        """Part by part; the predictions of all are in memory."""
        given = streamed.open_streamed(x, None, None)
        sample = streamed.Sample.of(given, has_targets=False)
        with sample.located():
            self._check_samples(sample.parts[0], choosing.NONE_TRAINED)
        executable = self.executable
        data = streamed.in_parts(self, given, self._only_samples, batch_size, has_targets=False)
        found = self.turns.read_once(
            executable,
            lambda parameters: data.predict(executable, batch_size, parameters),
            averages=self.predicts_with_averages,
        )
        return self._arranged(found)

    def _only_samples(self, x: Any, y: Any, sample_weight: Any) -> tuple[Any, None, None]:
        """Samples as they are loaded to predict."""
        with self.backend.on_device():
            return joining.as_samples(x, self.graph, self.dtype, self.backend), None, None

    def _predict_folded(self, x: Any, batch_size: int) -> Any:
        """By fewer stages, where these can be folded."""
        assert self._folding is not None
        executable, parameters = self._folding.now(self.turns, averages=self.predicts_with_averages)
        found = executable.predict_few(x, parameters) if self._is_plain else None
        if found is None:
            x = self._check_samples(x, choosing.NONE_TRAINED)
            data = executable.load(x, None, None)
            found = executable.predict(data, min(batch_size, int(x.shape[0])), parameters)
        return self._arranged(found)

    def _arranged(self, found: HostArray) -> Any:
        """Predictions of all outputs in the form in which the outputs were given."""
        return joining.arranged(found, self.graph, self._output_shapes)

    def _predict_heard(self, x: Any, batch_size: int, callbacks: CallbackList) -> Any:
        x = self._check_samples(x, choosing.NONE_TRAINED)
        samples = int(x.shape[0])
        rows = min(batch_size, samples)
        callbacks.attach(self, hearing.params(samples, rows))
        return self._arranged(hearing.predict(self, self.executable, x, rows, callbacks, self._arranged))

    def _predict_few(self, executable: Executable, x: Any) -> NDArray[Any] | None:
        """What takes a few microseconds: `Turns.read` where nothing has changed, without its calls."""
        turns = self.turns
        if executable.program.averages and self.predicts_with_averages:
            return turns.read(executable, lambda averages: executable.predict_few(x, averages), averages=True)
        if (settled := turns.settled) is not None and settled.executable is executable:
            few = executable.predict_few(x, settled.parameters)
            if turns.settled is settled:
                return few
        return turns.read(executable, lambda parameters: executable.predict_few(x, parameters))

    # -- data -------------------------------------------------------------------------------------------------------

    def _check_samples(self, given: Any, rows: int | None) -> Any:
        """Samples as the executable loads them; builds the network if need be, for batches of at most so many rows."""
        backend = self._backend or get_backend(self._backend_asked)
        with backend.on_device():
            x = joining.as_samples(given, self.graph, self.dtype, backend)
        if not self.is_built:
            with self.turns.rebuilding("build"):
                if not self.is_built:  # as it may be since, by another thread
                    samples = int(x.shape[0])
                    self._build(
                        tuple(int(size) for size in x.shape[1:]), samples if rows is None else min(rows, samples)
                    )
            return self._check_samples(given, rows)
        return x

    def _check(
        self,
        x: Any,
        y: Any,
        sample_weight: Any = None,
        class_weight: Mapping[Any, Any] | Sequence[Any] | None = None,
        rows: int | None = None,
    ) -> tuple[Any, Any, Any]:
        """Samples, targets and row weights as the executable loads them; builds the network if need be.

        `rows` are those of a batch; None where all are one.
        """
        self.optimizer.rule  # noqa: B018 - whether the network is compiled is said before anything about data
        if self.loss is None:
            raise NotReady(
                "the network was compiled without a loss, so only step(x, output_gradient) and apply_gradients train "
                "it: call compile(optimizer, loss), such as loss='mean_squared_error', for fit, evaluate and their like"
            )
        x = self._check_samples(x, rows)
        self._take_rule()
        return x, *self._targets(x, y, sample_weight, class_weight)

    def _checked(
        self, x: Any, y: Any, sample_weight: Any = None, class_weight: Mapping[Any, Any] | Sequence[Any] | None = None
    ) -> tuple[Any, Any, Any]:
        """As `_check`, of a network that is built, and while it trains: also in another thread."""
        with self.backend.on_device():
            x = joining.as_samples(x, self.graph, self.dtype, self.backend)
        return x, *self._targets(x, y, sample_weight, class_weight)

    def _targets(self, x: Any, y: Any, sample_weight: Any, class_weight: Any) -> tuple[Any, Any]:
        """Targets and row weights of checked samples."""
        samples, program, backend = int(x.shape[0]), self.executable.program, self.backend
        with backend.on_device():
            y = joining.as_targets(y, samples, self.graph, program, backend)
            return y, joining.as_weights(sample_weight, class_weight, y, self.graph, program, backend)

    def _take_rule(self) -> None:
        """Rebuild the network if the optimizer has another rule now, or other groups: momentum was turned on or off."""
        if not self.optimizer.fits(self.executable.program):
            with self.turns.rebuilding("an optimizer with another rule"):
                self._rebuild()
