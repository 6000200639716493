"""`predict` and `evaluate`, and the checks of samples, targets and weights."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, overload

from numpy.typing import NDArray

from dnnkit.backends import choosing
from dnnkit.backends.executable import Executable
from dnnkit.backends.registry import get_backend
from dnnkit.backends.state import HostArray
from dnnkit.callbacks import callback_list, with_callbacks
from dnnkit.callbacks.callback_list import CallbackList
from dnnkit.errors import ConfigurationError, NotReady
from dnnkit.graph.symbols import is_symbolic
from dnnkit.instead import refuse
from dnnkit.kernels.compressed_rows import CompressedRows
from dnnkit.network import checks, joining, streamed
from dnnkit.network.building import Buildable
from dnnkit.network.evaluation import Evaluation, as_of_batch
from dnnkit.network.streamed import is_streamed
from dnnkit.training.parts import InParts
from dnnkit.training.progress import Verbosity, check_verbosity

INFERENCE_BATCH = 1024
"""Rows that `predict` and `evaluate` compute at a time: enough for full BLAS speed, with little memory."""


class Evaluable(Buildable):
    """Adds `predict` and `evaluate` to a network, which builds itself on the first data it sees."""

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
        """Return loss and metrics, with dropout off: `loss, accuracy = net.evaluate(x, y)`.

        Arguments:
            x: samples (N, ...); or files or an iterator of batches, as for `fit`.
            y: targets, as for `fit`.
            batch_size: rows computed at a time; default 1024.
            verbose: 1 or 2 print the result on one line, 0 (default) prints nothing; "auto" is 1.
            sample_weight: (N,), weight of each row. With several outputs, also a dictionary by output name or a list.
            callbacks: callbacks with `on_test_...` methods.
            return_dict: return a plain dictionary instead of an `Evaluation`.
            others: unsupported arguments of Keras; the error says what to use instead.

        Returns:
            An `Evaluation`: loss and metrics in order and by name.

        Raises:
            UnknownArgument: an argument is not supported.
            NotReady: the network is not compiled, or has no loss.
            ShapeError, DataError: data does not fit the network.
        """
        refuse("evaluate", others, Evaluable.evaluate)
        heard = CallbackList.of(callbacks)
        batch_size = checks.check_count("batch_size", INFERENCE_BATCH if batch_size is None else batch_size)
        data: Any
        x = self._as_compressed(x, choosing.NONE_TRAINED, y, sample_weight)
        if is_streamed(x):
            data = self._in_parts(x, y, sample_weight, batch_size)
            samples, rows = data.rows, batch_size
        else:
            x, y, weights = self._check(x, y, sample_weight, rows=choosing.NONE_TRAINED)
            samples = int(x.shape[0])
            data, rows = self.executable.load(x, y, weights), min(batch_size, samples)
        heard.attach(self, with_callbacks.params(samples, rows))
        found = Evaluation(with_callbacks.evaluate(self, self.executable, data, rows, heard))
        samples = data.rows if isinstance(data, InParts) else samples  # known only at the end of an iterator
        if check_verbosity(verbose):
            print(f"{samples:,} samples  " + "  ".join(f"{name} {value:.4f}" for name, value in found.items()))
        return dict(found.items()) if return_dict else found

    def _in_parts(self, x: Any, y: Any, sample_weight: Any, batch_size: int) -> InParts:
        """Open streamed data for evaluation; build the network if necessary."""
        given = streamed.open_streamed(x, y, sample_weight)
        self._check_sample(streamed.Sample.of(given), rows=choosing.NONE_TRAINED)
        return streamed.in_parts(self, given, self._checked, batch_size)

    def _check_sample(
        self, sample: streamed.Sample, class_weight: Any = None, rows: int | None = None
    ) -> tuple[Any, Any, Any]:
        """`_check` for sample rows of a stream; also checks that they are finite."""

        def use(x: Any, y: Any, weights: Any) -> None:
            self.executable.load(*self._checked(x, y, weights, class_weight))

        with sample.located():
            self._check_samples(sample.parts[0], rows)
        with sample.located(use):
            checked = self._check(*sample.parts, class_weight, rows=rows)
            self.executable.load(*checked)
        return checked

    def test_on_batch(self, x: Any, y: Any, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """`evaluate` on one batch; as in Keras, returns the loss as a number if there are no metrics.

        Arguments:
            x: samples (N, ...), computed as one batch.
            y: targets.
            sample_weight: (N,), weight of each row.
            return_dict: return a dictionary by name.
        """
        found = self.evaluate(x, y, self._rows_of(x), sample_weight=sample_weight)
        return as_of_batch(found, return_dict)

    def _rows_of(self, x: Any) -> int:
        """Number of samples, of the first input if there are several."""
        if len(self.graph.inputs) > 1 and isinstance(x, Mapping | list | tuple) and x:
            return max(1, len(next(iter(x.values() if isinstance(x, Mapping) else x))))
        return len(x)

    def __call__(self, x: Any, training: bool | None = None) -> Any:
        """Return `predict(x)`; on symbolic values, apply the network as a layer and return symbolic values.

        Arguments:
            x: samples (N, ...), or symbolic values.
            training: must not be True: there are no predictions with dropout on.
        """
        if is_symbolic(x):
            return self.as_layer()(x)
        if training:
            raise ConfigurationError(
                "net(x, training=True) would apply dropout, but predictions are made without it. For a training step "
                "use net.train_step(x, y), for its gradients net.get_gradients(x, y)"
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
        """Return the network's outputs (N, ...) as a NumPy array, with dropout off.

        Arguments:
            x: samples (N, ...). With several inputs, a dictionary by input name or a list. Files and iterators as for
                `fit`.
            batch_size: rows computed at a time; default 1024.
            verbose: 1 or 2 print a line when done, 0 (default) prints nothing; "auto" is 1.
            callbacks: callbacks with `on_predict_...` methods.
            others: unsupported arguments of Keras; the error says what to use instead.

        Returns:
            An array (N, ...). With several outputs, a list or dictionary of arrays, in the form passed to `dk.Model`.

        Raises:
            UnknownArgument: an argument is not supported.
            NotReady: the network cannot be built.
            ShapeError, DataError: the samples do not fit the network.
        """
        if verbose or others:
            refuse("predict", others, Evaluable.predict)
            found = self.predict(x, batch_size, callbacks=callbacks)
            if check_verbosity(verbose):
                print(f"{self._rows_of(x):,} samples predicted")
            return found
        batch_size = checks.check_count("batch_size", INFERENCE_BATCH if batch_size is None else batch_size)
        if callbacks is not None:
            return self._predict_with_callbacks(x, batch_size, CallbackList.of(callbacks))
        if is_streamed(x):
            x = self._as_compressed(x, choosing.NONE_TRAINED)
            if is_streamed(x):
                return self._predict_streamed(x, batch_size)
        elif self._folding is not None:
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
        """Predict a stream part by part; the predictions are kept in memory."""
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
        """Convert samples for prediction."""
        with self.backend.on_device():
            return joining.as_samples(x, self.graph, self.dtype, self.backend), None, None

    def _predict_folded(self, x: Any, batch_size: int) -> Any:
        """Predict with the folded program, which has fewer stages."""
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

    def _predict_with_callbacks(self, x: Any, batch_size: int, callbacks: CallbackList) -> Any:
        x = self._check_samples(x, choosing.NONE_TRAINED)
        samples = int(x.shape[0])
        rows = min(batch_size, samples)
        callbacks.attach(self, with_callbacks.params(samples, rows))
        return self._arranged(with_callbacks.predict(self, self.executable, x, rows, callbacks, self._arranged))

    def _predict_few(self, executable: Executable, x: Any) -> NDArray[Any] | None:
        """Predict a small batch in microseconds: `Turns.read` inlined for the case that nothing has changed."""
        turns = self.turns
        if executable.program.averages and self.predicts_with_averages:
            return turns.read(executable, lambda averages: executable.predict_few(x, averages), averages=True)
        if (settled := turns.settled) is not None and settled.executable is executable:
            few = executable.predict_few(x, settled.parameters)
            if turns.settled is settled:
                return few
        return turns.read(executable, lambda parameters: executable.predict_few(x, parameters))

    # -- data -------------------------------------------------------------------------------------------------------

    def _as_compressed(self, x: Any, rows: int | None, *others: Any) -> Any:
        """Return a sparse matrix as `CompressedRows`, if the first layer multiplies them; everything else as given.

        Builds the network if necessary. `others` are targets and weights.
        """
        if not streamed.is_sparse_with(x, *others):
            return x
        return CompressedRows.of(x) if self.multiplies(x, rows) else x

    def multiplies(self, x: Any, rows: int | None = None) -> bool:
        """Return whether the first layer multiplies a sparse matrix, or `CompressedRows`, as they are. Internal.

        Builds the network, for batches of `rows` rows, if necessary.
        """
        if not self.is_built:
            csr = x if isinstance(x, CompressedRows) else x.tocsr()
            self._check_samples(CompressedRows.of(csr[: max(1, rows or x.shape[0])]), rows)
        return bool(x.nnz <= self.executable.most_filled * x.shape[0] * x.shape[1])

    def _check_samples(self, given: Any, rows: int | None) -> Any:
        """Convert samples for the executable; if necessary, build the network for batches of at most `rows` rows."""
        backend = self._backend or get_backend(self._backend_asked)
        with backend.on_device():
            x = joining.as_samples(given, self.graph, self.dtype, backend)
        if not self.is_built:
            with self.turns.rebuilding("build"):
                if not self.is_built:  # another thread may have built it meanwhile
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
        """Convert samples, targets and row weights for the executable; build the network if necessary.

        `rows` is the batch size; None if all samples form one batch.
        """
        self.optimizer.rule  # noqa: B018 - report a missing compile before any error in the data
        if self.loss is None:
            raise NotReady(
                "the network was compiled without a loss, so only step(x, output_gradient) and apply_gradients train "
                "it: call compile(optimizer, loss), such as loss='mean_squared_error', to use fit, evaluate and others"
            )
        x = self._check_samples(x, rows)
        self._take_rule()
        return x, *self._targets(x, y, sample_weight, class_weight)

    def _checked(
        self, x: Any, y: Any, sample_weight: Any = None, class_weight: Mapping[Any, Any] | Sequence[Any] | None = None
    ) -> tuple[Any, Any, Any]:
        """`_check` for a built network; safe to call from another thread during training."""
        with self.backend.on_device():
            x = joining.as_samples(x, self.graph, self.dtype, self.backend)
        return x, *self._targets(x, y, sample_weight, class_weight)

    def _targets(self, x: Any, y: Any, sample_weight: Any, class_weight: Any) -> tuple[Any, Any]:
        """Convert targets and row weights of checked samples."""
        samples, program, backend = int(x.shape[0]), self.executable.program, self.backend
        with backend.on_device():
            y = joining.as_targets(y, samples, self.graph, program, backend)
            return y, joining.as_weights(sample_weight, class_weight, y, self.graph, program, backend)

    def _take_rule(self) -> None:
        """Rebuild the network if the optimizer's rule or groups have changed, such as momentum turned on or off."""
        if not self.optimizer.fits(self.executable.program):
            with self.turns.rebuilding("an optimizer with another rule"):
                self._rebuild()
