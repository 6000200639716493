"""`fit`: what it is asked for, checked and handed to the training loop."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
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
from dnnkit.network import checks
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
        with self.turns.fitting(), Interrupts(hears) as interrupts, checkpoints or nullcontext():
            run = self.prepare_run(asked, checkpoints, ranks=ranks)
            self.executable.prepare(run.data, run.batch_size, self.hyperparameters(), run.validation)
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
        among, samples = asked.among, int(x.shape[0])
        if asked.validation_data is not None:
            x_held_out, y_held_out, *weight = asked.validation_data
            held_out = self._check(x_held_out, y_held_out, weight[0] if weight else None, asked.class_weight)
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
        return Run(
            data=load(self.executable, x, y, weights),
            samples=samples,
            validation=None if held_out is None else load(self.executable, *held_out),
            batch_size=batch_size,
            first_epoch=asked.initial_epoch,
            epochs=asked.epochs or 1,
            shuffle=shuffle,
            fingerprints=lambda looked_at: (
                fingerprint(to_numpy, looked_at, x, y, weights, *(() if among is None else (among,))),
                fingerprint(to_numpy, looked_at, *held_out or ()),
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
