"""`fit`: what it is asked for, checked and handed to the training loop."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dnnkit.backends.outputs import balanced
from dnnkit.callbacks import callback_list
from dnnkit.callbacks.callback_list import CallbackList
from dnnkit.diagnosis.watch import watching
from dnnkit.errors import ConfigurationError
from dnnkit.instead import refuse
from dnnkit.network import checks, streamed
from dnnkit.network.adapting import adapt
from dnnkit.network.asking import INFERENCE_BATCH, Askable
from dnnkit.network.freezing import require_trainable
from dnnkit.settings import FLAG, SHARE
from dnnkit.training import loop
from dnnkit.training.checkpoints import Checkpoints
from dnnkit.training.epoch_order import Shuffle, check_shuffle
from dnnkit.training.fingerprint import fingerprint
from dnnkit.training.history import History
from dnnkit.training.interrupts import Interrupts
from dnnkit.training.parts import InParts
from dnnkit.training.progress import Verbosity
from dnnkit.training.run import Run, check_frequency


class Fittable(Askable):
    """`fit` of a network."""

    _draws_seed: bool
    """Whether its seed was drawn, not given."""

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
        **others: Any,
    ) -> History:
        """Train on samples x (N, ...) and targets y; return the History of these epochs.

        x may also be on disk: the path of a .npy, .parquet or .arrow file, a pattern, folder or list of shards, and y
        another one or the name of a column; or `dk.streams.open(...)`. Or x makes batches, (x, y) or (x, y,
        sample_weight), as an iterator, a generator or what begins anew each epoch does (docs/streams.md).

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

        Data and losses that look wrong are a `TrainingWarning` with the cure; docs/diagnosis.md lists them.
        """
        refuse("fit", others, Fittable.fit)
        heard = CallbackList.of(callbacks)
        whole = self.optimizer.full_batch
        rows = 32 if batch_size is None and not whole else checks.check_optional_count("batch_size", batch_size)
        validates = check_frequency(validation_freq)
        initial_epoch = checks.check_count("initial_epoch", initial_epoch, 0)
        epochs = checks.check_optional_count("epochs", epochs)
        steps = checks.check_optional_count("steps", steps)
        steps_per_epoch = checks.check_optional_count("steps_per_epoch", steps_per_epoch)
        if epochs is not None and steps is not None:
            raise ConfigurationError(f"epochs={epochs} and steps={steps} both say how long to train: give one of them")
        diagnose = FLAG.of("diagnose", diagnose)
        validation_split = SHARE.of("validation_split", validation_split)
        checkpoints = None
        if checkpoint is not None:
            keep = checks.check_count("checkpoint_keep", checkpoint_keep)
            checkpoints = Checkpoints.of(checkpoint, checkpoint_every, keep)
        with (
            self.turns.fitting(),
            Interrupts(checkpoints is not None) as interrupts,
            checkpoints or nullcontext(),
            ExitStack() as opened,
        ):
            given = None
            if streamed.is_streamed(x):
                given = streamed.open_streamed(x, y, sample_weight)
                if isinstance(arrays := streamed.in_memory(given), tuple):
                    given, (x, y, sample_weight) = None, arrays
            if given is not None:
                streamed.refuse_what_needs_all(self, given, batch_size, validation_split)
                x, y, weights = self._check_sample(streamed.Sample.of(given, rows or 1), class_weight, rows)
            else:
                x, y, weights = self._check(x, y, sample_weight, class_weight, rows=None if whole else rows)
            require_trainable(self.executable, self.optimizer)
            if checkpoints is not None:
                self._take_seed(checkpoints.seed)
            held_out: tuple[Any, ...] | None = None
            held_out_stream = None
            if validation_data is not None:
                held_out, held_out_stream = self._held_out(validation_data, class_weight)
            elif validation_split:
                (x, y, weights), held_out = checks.hold_out(validation_split, x, y, weights, self.dtype)
                program = self.executable.program
                weights, held_out = balanced(weights, program), (*held_out[:2], balanced(held_out[2], program))
            shuffle = check_shuffle(shuffle)
            if whole:
                rows = checks.all_rows(rows, int(x.shape[0]), steps_per_epoch, shuffle)
                shuffle = False
            assert rows is not None
            if given is None:
                batch_size = checks.rows_at_a_time(rows, int(x.shape[0]), steps_per_epoch, shuffle)
            else:
                batch_size = streamed.rows_of_batch(given, rows, int(x.shape[0]), steps_per_epoch)
            if isinstance(x, np.ndarray):  # what is a GPU's already stays there
                self._weigh_again(batch_size)
            if any(parameter.statistic for parameter in self.executable.program.parameters):
                with self.turns:
                    adapt(self, x if given is None else streamed.adapts_to(self, given, x))
            feed, samples = None, int(x.shape[0])
            if given is not None:
                check = partial(self._checked, class_weight=class_weight)
                feed, samples, steps_per_epoch = streamed.feed_of(
                    self, given, check, batch_size, steps_per_epoch, shuffle, steps
                )
                opened.callback(feed.close)
            validation: Any = None if held_out is None else self.executable.load(*held_out)
            if held_out_stream is not None:
                check = partial(self._checked, class_weight=class_weight)
                validation = streamed.in_parts(self, held_out_stream, check, max(batch_size, 256))
            run = Run(
                data=self.executable.load(x, y, weights),
                samples=samples,
                validation=validation,
                batch_size=batch_size,
                first_epoch=initial_epoch,
                epochs=epochs or 1,
                shuffle=shuffle,
                fingerprints=lambda looked_at: (
                    self._fingerprint(looked_at, given, x, y, weights),
                    self._fingerprint(looked_at, held_out_stream, *held_out or ()),
                ),
                steps_per_epoch=steps_per_epoch,
                limit=steps,
                validates=validates,
                validation_rows=INFERENCE_BATCH if whole else max(batch_size, 256),
                watch=watching(self, self._looked, x, y, batch_size, diagnose, is_all=given is None),
                feed=feed,
            )
            hyperparameters = self.hyperparameters()
            held_out_data = None if isinstance(run.validation, InParts) else run.validation
            self.executable.prepare(run.data, batch_size, hyperparameters, held_out_data)
            interrupts.check()
            self.turns.begin_training()
            return loop.train(self, run, heard, verbose, interrupts, checkpoints)

    def _held_out(self, validation_data: Any, class_weight: Any) -> tuple[tuple[Any, ...] | None, Any]:
        """The validation data, checked, or what streams them."""
        if streamed.is_streamed(validation_data):
            given, y, weight = validation_data, None, []
        else:
            if not isinstance(validation_data, tuple | list) or len(validation_data) not in (2, 3):
                raise ConfigurationError("validation_data is not (x, y) or (x, y, sample_weight)")
            given, y, *weight = validation_data
        if not streamed.is_streamed(given):
            return self._check(given, y, weight[0] if weight else None, class_weight), None
        stream = streamed.open_streamed(given, y, weight[0] if weight else None)
        streamed.refuse_once(stream)
        if arrays := streamed.in_memory(stream):
            return self._check(*arrays, class_weight), None
        self._check_sample(streamed.Sample.of(stream), class_weight)
        return None, stream

    def _fingerprint(self, looked_at: int, given: Any, *arrays: Any) -> str:
        """Of data in memory, or of a stream."""
        return fingerprint(self.backend.to_numpy, looked_at, *arrays) if given is None else streamed.identity(given)

    def _take_seed(self, seed: int | None) -> None:
        """That of a checkpoint, where the network's own was drawn."""
        if self._draws_seed and seed is not None and seed != self.seed:
            self.seed = seed
            self._rebuild()
            self.history = History(seed, self.executable.plan)
