"""`fit`: what it is asked for, checked and handed to the training loop."""

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
from dnnkit.network.asking import INFERENCE_BATCH, Askable
from dnnkit.network.freezing import require_trainable
from dnnkit.training import loop
from dnnkit.training.asked import Asked, Load, load_alone
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


class Fittable(Askable):
    """`fit` of a network."""

    _draws_seed: bool
    """Whether its seed was drawn, not given."""

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
        """Train on samples x (N, ...) and targets y; return the History of these epochs.

        x may also be on disk: the path of a .npy, .parquet or .arrow file, a pattern, folder or list of shards, and y
        another one or the name of a column; or `dk.streams.open(...)`. Or x makes batches, (x, y) or (x, y,
        sample_weight), as an iterator, a generator or what begins anew each epoch does; or x is a sparse matrix, of
        which a chunk at a time becomes dense (docs/streams.md).

        `validation_data` is (x, y) or (x, y, sample_weight); `validation_split` takes that share from the end of the
        data instead, before it is shuffled; `validation_freq` validates after every so many epochs only, or after the
        epochs that it lists, counted from 1. Weights multiply losses and metrics of their rows, in validation too; of
        several outputs each may have its own, in a dictionary by their names or in a list.
        Epochs run from `initial_epoch` to `epochs`, by default one; or `steps` counts the updates instead, and the
        last epoch may be shorter. `batch_size` None is 32. An epoch is one pass over the samples, or `steps_per_epoch`
        updates. `shuffle`: within an epoch, True shows every sample once before any again, "with_replacement" draws
        each from all, False keeps their order. A batch has at most all samples, except where `steps_per_epoch` makes
        them come again or they are drawn with replacement. Errors in the data are raised before anything is trained.

        An epoch that `steps` or an interrupt ended early is finished by the next fit of the same data and batches:
        `fit(steps=a)` and then `fit(steps=b)` is `fit(steps=a + b)`.

        `checkpoint` is a folder, in which the fit saves itself every "30 s", "500 steps" or "1 epoch"
        (`checkpoint_every`), at its end, and on Ctrl-C and SIGTERM; the newest `checkpoint_keep` are kept. The same
        call goes on from there, whatever ended it, as if nothing had: until `epochs` or `steps` are reached, counted
        from the first call. Where they are, it returns the History. A folder of another network, seed, data or
        batches is an error that says what differs.

        `diagnose` watches units, gradients and updates of each layer on a sample of the rows, before the first epoch
        and after epochs, prints a table of what became of them, and keeps all in `history.diagnosis`.

        An optimizer of full batches (`dk.LBFGS`) takes all samples at a time, in their order, whatever `shuffle`: an
        epoch is one iteration, and training ends early where it has converged; `history.ended` says why.

        `distributed="mpi"` trains with all processes that `mpirun` started, each of which makes this call with the same
        network and the same data: every batch is divided among them, and the trajectory is that of one process, up to
        rounding. Callbacks, progress and checkpoints are those of the first; all have the History and the parameters
        (docs/mpi.md; `dk.DataParallel` says more).

        Data and losses that look wrong are a `TrainingWarning` with the cure; docs/diagnosis.md lists them.
        """
        refuse("fit", others, Fittable.fit)
        heard = CallbackList.of(callbacks)
        asked = Asked(
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
            if streamed.is_streamed(x):
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
        asked: Asked,
        checkpoints: Checkpoints | None = None,
        load: Load = load_alone,
        ranks: "Ranks | None" = None,
    ) -> Run:
        """Look at all that a fit was asked for, build the network, and load its data; for dnnkit's own parts.

        `load` loads data for the executable, perhaps data that others have loaded. `ranks` train it together.
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
            if whole or weights is not None:  # whose mean is that of the rows
                (x, y, weights), among = self._rows_alone(among, x, y, weights), None
        shuffle = asked.shuffle
        if whole:
            rows = checks.all_rows(rows, samples, asked.steps_per_epoch, shuffle)
            shuffle = False
        assert rows is not None
        batch_size = checks.rows_at_a_time(rows, samples, asked.steps_per_epoch, shuffle)
        if isinstance(x, np.ndarray):  # what is a GPU's already stays there
            self._weigh_again(batch_size)
        if any(parameter.statistic for parameter in self.executable.program.parameters):
            with self.turns:
                adapt(self, x if among is None else x[among])
        if ranks is not None:
            ranks.begin(self)
        to_numpy = self.backend.to_numpy
        validation: Any = None if held_out is None else load(self.executable, *held_out)
        if held_out_stream is not None:
            if ranks is not None or load is not load_alone:
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
            # all data was looked at before
            watch=watching(self, self._looked, x, y, batch_size, asked.diagnose, asked.whose)
            if ranks is None or ranks.leads
            else Watch(self, None, batch_size),  # the first says what there is to say
            among=among,
            orders=asked.orders,
        )

    def _prepare_streamed(
        self, asked: Asked, checkpoints: Checkpoints | None, opened: ExitStack, ranks: "Ranks | None"
    ) -> Run:
        """As `prepare_run`, of data that are on disk, or that something makes; `opened` closes what reads them."""
        given = streamed.open_streamed(asked.x, asked.y, asked.sample_weight)
        if (arrays := streamed.in_memory(given)) is not None:
            asked.x, asked.y, asked.sample_weight = arrays
            return self.prepare_run(asked, checkpoints, ranks=ranks)
        if ranks is not None:
            raise streamed.not_shared()
        streamed.refuse_what_needs_all(self, given, asked.batch_size, asked.validation_split)
        if asked.validation_split:
            given, asked.validation_data = streamed.held_out_of(given, asked.validation_split)
        rows = asked.batch_size or 32
        sample = streamed.Sample.of(given, rows)
        x, y, weights = self._check_sample(sample, asked.class_weight, rows)
        require_trainable(self.executable, self.optimizer)
        if checkpoints is not None:
            self._take_seed(checkpoints.seed)
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
        check = partial(self._checked, class_weight=asked.class_weight)
        feed, samples, steps_per_epoch = streamed.feed_of(
            self, given, check, batch_size, asked.steps_per_epoch, asked.shuffle, asked.steps
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
            watch=watching(self, self._looked, x, y, batch_size, asked.diagnose, asked.whose, is_all=False),
            feed=feed,
        )

    def _held_out(self, asked: Asked) -> tuple[tuple[Any, ...] | None, Any]:
        """The validation data, checked, or what streams them."""
        given = asked.validation_data
        x, y, *weight = (given, None) if streamed.is_streamed(given) else given
        if not streamed.is_streamed(x):
            return self._check(x, y, weight[0] if weight else None, asked.class_weight), None
        stream = streamed.open_streamed(x, y, weight[0] if weight else None)
        streamed.refuse_once(stream)
        if (arrays := streamed.in_memory(stream)) is not None:
            return self._check(*arrays, asked.class_weight), None
        self._check_sample(streamed.Sample.of(stream), asked.class_weight)
        return None, stream

    def _read_in_parts(self, stream: Any, asked: Asked, batch_size: int) -> InParts:
        check = partial(self._checked, class_weight=asked.class_weight)
        return streamed.in_parts(self, stream, check, max(batch_size, 256))

    def _fingerprint_held_out(self, looked_at: int, stream: Any, arrays: tuple[Any, ...] | None) -> str:
        """Of validation data in memory, or of a stream of them."""
        if stream is not None:
            return streamed.identity(stream)
        return fingerprint(self.backend.to_numpy, looked_at, *arrays or ())

    def _rows_alone(self, rows: NDArray[Any], x: Any, y: Any, weights: Any) -> tuple[Any, Any, Any]:
        """These rows of checked data, as if they alone had been given."""
        with self.backend.on_device():
            x, y, weights = (None if part is None else part[rows] for part in (x, y, weights))
            if weights is not None and weights.ndim == 1:
                weights = checks.as_weights(weights, len(rows), self.executable.program, self.backend)
        return x, y, balanced(weights, self.executable.program)

    def _take_seed(self, seed: int | None) -> None:
        """That of a checkpoint, where the network's own was drawn."""
        if self._draws_seed and seed is not None and seed != self.seed:
            self.seed = seed
            self._rebuild()
            self.history = History(seed, self.executable.plan)
