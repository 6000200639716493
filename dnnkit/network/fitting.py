"""`fit`: check the arguments, load the data and start the training loop."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dnnkit.backends.outputs import balanced
from dnnkit.callbacks import callback_list
from dnnkit.callbacks.callback_list import CallbackList
from dnnkit.diagnosis.watch import Watch, watching
from dnnkit.distributed.together import together
from dnnkit.instead import refuse
from dnnkit.network import checks, streamed
from dnnkit.network.adapting import adapt
from dnnkit.network.evaluating import INFERENCE_BATCH, Evaluable
from dnnkit.network.freezing import require_trainable
from dnnkit.training import loop
from dnnkit.training.arguments import FitArguments, Load, load_alone
from dnnkit.training.checkpoints import Checkpoints
from dnnkit.training.epoch_order import Shuffle
from dnnkit.training.fingerprint import fingerprint
from dnnkit.training.history import History
from dnnkit.training.interrupts import Interrupts
from dnnkit.training.parts import InParts
from dnnkit.training.progress import Verbosity
from dnnkit.training.run import Run

if TYPE_CHECKING:
    from dnnkit.distributed.data_parallel import DataParallel
    from dnnkit.distributed.ranks import Ranks


class Fittable(Evaluable):
    """Adds `fit` to a network."""

    _draws_seed: bool
    """Whether the seed was drawn rather than given."""

    @together
    def fit(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int | None = None,
        verbose: Verbosity = "auto",
        callbacks: callback_list.Given = (),
        validation_split: float = 0.0,
        validation_data: Sequence[Any] | None = None,
        shuffle: Shuffle = True,
        class_weight: Mapping[Any, Any] | Sequence[Any] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        *,
        steps: int | None = None,
        validation_freq: int | Sequence[int] = 1,
        checkpoint: str | Path | Checkpoints | None = None,
        checkpoint_every: str = "30 s",
        checkpoint_keep: int = 3,
        diagnose: bool = False,
        distributed: "str | DataParallel | None" = None,
        **others: Any,
    ) -> History:
        """Train the network on samples and targets.

        Data is checked before training starts, so errors in it change nothing. Data and losses that look wrong cause
        a `TrainingWarning` that suggests a fix (docs/diagnosis.md).

        An epoch cut short by `steps` or an interrupt is completed by the next `fit` with the same data and batches:
        `fit(steps=a)` followed by `fit(steps=b)` equals `fit(steps=a + b)`.

        A full-batch optimizer (`dk.LBFGS`) uses all samples in each step, in order, whatever `shuffle` says. An epoch
        is then one iteration, and training stops early on convergence; `history.ended` gives the reason.

        Arguments:
            x: samples (N, ...). With several inputs, a dictionary by input name or a list. Also accepted
                (docs/streams.md): the path of a .npy, .parquet or .arrow file, a glob pattern, a folder or list of
                shards, `dk.streams.open(...)`; an iterator, generator or re-iterable object that yields batches (x, y)
                or (x, y, sample_weight); a sparse matrix, of which a first dense layer multiplies the nonzero numbers
                only (before other layers, rows become dense in chunks).
            y: targets, one row per sample. For data on disk, another path or the name of a column.
            batch_size: samples per step, default 32. At most N, unless `steps_per_epoch` repeats samples or they are
                drawn with replacement.
            epochs: epoch at which training ends, default 1: `epochs` - `initial_epoch` epochs are trained.
            verbose: 0 prints nothing, 1 shows a progress bar, 2 prints one line per epoch; "auto" chooses 1 in a
                terminal or notebook and 2 elsewhere, with fewer lines for long runs.
            callbacks: a callback or a list of callbacks.
            validation_split: fraction in [0, 1) of the samples to hold out for validation, taken from the end of the
                data before shuffling.
            validation_data: (x, y) or (x, y, sample_weight), in place of `validation_split`.
            shuffle: True visits every sample once per epoch in random order, "with_replacement" draws each sample from
                all of them, False keeps the order.
            class_weight: {class: weight} for integer classes, 1 for those not listed; multiplies the weights of rows.
                With several outputs, a dictionary by output name or a list of such mappings.
            sample_weight: (N,), weight of each row in the loss and metrics, in validation too. With several outputs, a
                dictionary by output name or a list.
            initial_epoch: number of the first epoch, default 0.
            steps_per_epoch: updates per epoch; by default an epoch is one pass over the samples.
            steps: total number of updates, in place of `epochs`; the last epoch may be shorter.
            validation_freq: validate every n epochs, or after the listed epochs, counted from 1.
            checkpoint: folder in which the fit saves checkpoints: every `checkpoint_every`, at the end, and on Ctrl-C
                and SIGTERM. Repeating the call resumes from the newest checkpoint with the same result as an
                uninterrupted fit. `epochs` and `steps` count from the first call; a finished fit just returns its
                History.
            checkpoint_every: interval between checkpoints, such as "30 s", "500 steps" or "1 epoch".
            checkpoint_keep: number of newest checkpoints to keep.
            diagnose: monitor units, gradients and updates of each layer on a sample of the rows, before the first epoch
                and after epochs; print a table of the results and keep them in `history.diagnosis`.
            distributed: "mpi" or a `dk.DataParallel` trains data-parallel in all processes started by `mpirun`, each of
                which makes the same call with the same network and data. Every batch is divided among them; the
                trajectory equals that of a single process up to rounding. Callbacks, progress and checkpoints run in
                the first process; all get the History and the parameters (docs/mpi.md).
            others: unsupported arguments of Keras; the error says what to use instead.

        Returns:
            The `History` of these epochs.

        Raises:
            UnknownArgument: an argument is not supported.
            NotReady: the network is not compiled.
            ShapeError, DataError: data does not fit the network.
            ConfigurationError: an argument is out of range, or arguments contradict each other.
            CheckpointError: the folder belongs to a different network, seed, data or batches; the message says what
                differs.
            ConcurrentUse: a fit of this network is already running.
        """
        refuse("fit", others, Fittable.fit)
        heard = CallbackList.of(callbacks)
        asked = FitArguments(
            x,
            y,
            sample_weight,
            class_weight,
            validation_data,
            validation_split,
            batch_size=batch_size,
            epochs=epochs,
            steps=steps,
            steps_per_epoch=steps_per_epoch,
            shuffle=shuffle,
            initial_epoch=initial_epoch,
            validation_freq=validation_freq,
            diagnose=diagnose,
        )
        checkpoints = None
        ranks: Ranks | None = distributed  # type: ignore[assignment] # which `together` has made of it
        if checkpoint is not None and (ranks is None or ranks.leads):
            keep = checks.check_count("checkpoint_keep", checkpoint_keep)
            checkpoints = Checkpoints.of(checkpoint, checkpoint_every, keep)
        hears = checkpoints is not None or ranks is not None
        with (
            self.turns.fitting(),
            Interrupts(hears) as interrupts,
            checkpoints or nullcontext(),
            ExitStack() as opened,
        ):
            if ranks is None:
                asked.x = self._as_compressed(x, batch_size or 32, y, sample_weight)
            if streamed.is_streamed(asked.x):
                run = self._prepare_streamed(asked, checkpoints, opened, ranks)
            else:
                run = self.prepare_run(asked, checkpoints, ranks=ranks)
            held_out = None if isinstance(run.validation, InParts) else run.validation
            self.executable.prepare(run.data, run.batch_size, self.hyperparameters(), held_out)
            interrupts.check()
            self.turns.begin_training()
            train = loop.train if ranks is None else ranks.train
            return train(self, run, heard, verbose, interrupts, checkpoints)

    def prepare_run(
        self,
        asked: FitArguments,
        checkpoints: Checkpoints | None = None,
        load: Load = load_alone,
        ranks: "Ranks | None" = None,
    ) -> Run:
        """Check the arguments, build the network, and load the data. Internal.

        `load` loads data for the executable, possibly sharing arrays already loaded by other fits. `ranks` are the
        processes that train the network together.
        """
        whole = self.optimizer.full_batch
        rows = 32 if asked.batch_size is None and not whole else asked.batch_size
        x, y, weights = self._check(
            asked.x, asked.y, asked.sample_weight, asked.class_weight, rows=None if whole else rows
        )
        require_trainable(self.executable, self.optimizer)
        if checkpoints is not None:
            self._take_seed(checkpoints.seed)
        if ranks is not None:
            self._take_seed(ranks.seed(self.seed))
        held_out: tuple[Any, ...] | None = None
        held_out_stream: Any = None
        among, samples = asked.among, int(x.shape[0])
        if asked.validation_data is not None:
            held_out, held_out_stream = self._held_out(asked)
        elif asked.validation_split:
            (x, y, weights), held_out = checks.hold_out(asked.validation_split, x, y, weights, self.dtype)
            program = self.executable.program
            weights, held_out = balanced(weights, program), (*held_out[:2], balanced(held_out[2], program))
            samples = int(x.shape[0])
        elif asked.held_out is not None:
            held_out = self._rows_alone(asked.held_out, x, y, weights)
        if among is not None:
            samples = len(among)
            if whole or weights is not None:  # the loss is a mean over exactly these rows
                (x, y, weights), among = self._rows_alone(among, x, y, weights), None
        shuffle = asked.shuffle
        if whole:
            rows = checks.all_rows(rows, samples, asked.steps_per_epoch, shuffle)
            shuffle = False
        assert rows is not None
        batch_size = checks.rows_at_a_time(rows, samples, asked.steps_per_epoch, shuffle)
        if isinstance(x, np.ndarray):  # arrays already on a GPU stay there
            self._weigh_again(batch_size)
        if any(parameter.statistic for parameter in self.executable.program.parameters):
            with self.turns:
                adapt(self, x if among is None else x[among])
        if ranks is not None:
            ranks.begin(self)
        to_numpy = self.backend.to_numpy
        validation: Any = None if held_out is None else load(self.executable, *held_out)
        if held_out_stream is not None:
            if load is not load_alone:
                raise streamed.not_shared()
            validation = self._read_in_parts(held_out_stream, asked, batch_size)
        return Run(
            data=load(self.executable, x, y, weights),
            samples=samples,
            validation=validation,
            batch_size=batch_size,
            first_epoch=asked.initial_epoch,
            epochs=asked.epochs or 1,
            shuffle=shuffle,
            fingerprints=lambda looked_at: (
                fingerprint(to_numpy, looked_at, x, y, weights, *(() if among is None else (among,))),
                self._fingerprint_held_out(looked_at, held_out_stream, held_out),
            ),
            steps_per_epoch=asked.steps_per_epoch,
            limit=asked.steps,
            validates=asked.validates,
            validation_rows=INFERENCE_BATCH if whole else max(batch_size, 256),
            # all data has been checked by now
            watch=watching(self, self._looked, x, y, batch_size, asked.diagnose, asked.whose)
            if ranks is None or ranks.leads
            else Watch(self, None, batch_size),  # only the first process reports
            among=among,
            orders=asked.orders,
        )

    def _prepare_streamed(
        self, asked: FitArguments, checkpoints: Checkpoints | None, opened: ExitStack, ranks: "Ranks | None"
    ) -> Run:
        """`prepare_run` for data on disk or from an iterator; `opened` closes the readers."""
        given = streamed.open_streamed(asked.x, asked.y, asked.sample_weight)
        if (arrays := streamed.in_memory(given)) is not None:
            asked.x, asked.y, asked.sample_weight = arrays
            return self.prepare_run(asked, checkpoints, ranks=ranks)
        streamed.refuse_what_needs_all(self, given, asked.batch_size, asked.validation_split)
        if ranks is not None:
            streamed.refuse_for_ranks(given)
        if asked.validation_split:
            given, asked.validation_data = streamed.held_out_of(given, asked.validation_split)
        rows = asked.batch_size or 32
        sample = streamed.Sample.of(given, rows)
        x, y, weights = self._check_sample(sample, asked.class_weight, rows)
        require_trainable(self.executable, self.optimizer)
        if checkpoints is not None:
            self._take_seed(checkpoints.seed)
        if ranks is not None:
            self._take_seed(ranks.seed(self.seed))
        held_out: tuple[Any, ...] | None = None
        held_out_stream: Any = None
        if asked.validation_data is not None:
            held_out, held_out_stream = self._held_out(asked)
        batch_size = streamed.rows_of_batch(given, rows, int(x.shape[0]), asked.steps_per_epoch)
        if isinstance(x, np.ndarray):
            self._weigh_again(batch_size)
        if any(parameter.statistic for parameter in self.executable.program.parameters):
            with self.turns:
                adapt(self, streamed.adapts_to(self, given, x))
        if ranks is not None:
            ranks.begin(self)
        check = partial(self._checked, class_weight=asked.class_weight)
        feed, samples, steps_per_epoch = streamed.feed_of(
            self,
            given,
            check,
            batch_size,
            asked.steps_per_epoch,
            asked.shuffle,
            asked.steps,
            None if ranks is None else ranks.share,
        )
        opened.callback(feed.close)
        validation: Any = None if held_out is None else self.executable.load(*held_out)
        if held_out_stream is not None:
            validation = self._read_in_parts(held_out_stream, asked, batch_size)
        return Run(
            data=self.executable.load(x, y, weights),
            samples=samples,
            validation=validation,
            batch_size=batch_size,
            first_epoch=asked.initial_epoch,
            epochs=asked.epochs or 1,
            shuffle=asked.shuffle,
            fingerprints=lambda looked_at: (
                streamed.identity(given),
                self._fingerprint_held_out(looked_at, held_out_stream, held_out),
            ),
            steps_per_epoch=steps_per_epoch,
            limit=asked.steps,
            validates=asked.validates,
            validation_rows=max(batch_size, 256),
            watch=watching(self, self._looked, x, y, batch_size, asked.diagnose, asked.whose, is_all=False)
            if ranks is None or ranks.leads
            else Watch(self, None, batch_size),
            feed=feed,
        )

    def _held_out(self, asked: FitArguments) -> tuple[tuple[Any, ...] | None, Any]:
        """Return the validation data: checked arrays, or a stream."""
        given = asked.validation_data
        x, y, *weight = (given, None) if streamed.is_streamed(given) else given
        x = self._as_compressed(x, None, y, *weight)
        if not streamed.is_streamed(x):
            return self._check(x, y, weight[0] if weight else None, asked.class_weight), None
        stream = streamed.open_streamed(x, y, weight[0] if weight else None)
        streamed.refuse_once(stream)
        if (arrays := streamed.in_memory(stream)) is not None:
            return self._check(*arrays, asked.class_weight), None
        self._check_sample(streamed.Sample.of(stream), asked.class_weight)
        return None, stream

    def _read_in_parts(self, stream: Any, asked: FitArguments, batch_size: int) -> InParts:
        check = partial(self._checked, class_weight=asked.class_weight)
        return streamed.in_parts(self, stream, check, max(batch_size, 256))

    def _fingerprint_held_out(self, looked_at: int, stream: Any, arrays: tuple[Any, ...] | None) -> str:
        """Fingerprint of the validation data, in memory or streamed."""
        if stream is not None:
            return streamed.identity(stream)
        return fingerprint(self.backend.to_numpy, looked_at, *arrays or ())

    def _rows_alone(self, rows: NDArray[Any], x: Any, y: Any, weights: Any) -> tuple[Any, Any, Any]:
        """Select rows of checked data, with weights normalized as if only these rows had been given."""
        with self.backend.on_device():
            x, y, weights = (None if part is None else part[rows] for part in (x, y, weights))
            if weights is not None and weights.ndim == 1:
                weights = checks.as_weights(weights, len(rows), self.executable.program, self.backend)
        return x, y, balanced(weights, self.executable.program)

    def _take_seed(self, seed: int | None) -> None:
        """Adopt the seed of a checkpoint if this network's seed was drawn."""
        if self._draws_seed and seed is not None and seed != self.seed:
            self.seed = seed
            self._rebuild()
            self.history = History(seed, self.executable.plan)
