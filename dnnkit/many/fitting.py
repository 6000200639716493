"""`fit_many`: many networks, each trained as its own `fit` with one thread would train it.

A round is an epoch of each network that is furthest behind. Each network has its own fit of `dnnkit.training`, with
its order, history, early stopping and checkpoint; data, clock and signal handling are shared.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

from dnnkit.backends.diagnosis import remark
from dnnkit.backends.processors import at_most, processors
from dnnkit.callbacks.callback_list import CallbackList
from dnnkit.callbacks.early_stopping import EarlyStopping
from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError, WorkersLost
from dnnkit.many import given
from dnnkit.many.callbacks import call_after_epoch, check_callbacks
from dnnkit.many.elsewhere import Elsewhere, Job, kept
from dnnkit.many.ending import Ending
from dnnkit.many.executors import make_executor
from dnnkit.many.folder import Folder, checkpoints_in
from dnnkit.many.history import ManyHistory
from dnnkit.many.loading import SharedData, SharedSamples
from dnnkit.many.orders import SharedOrders
from dnnkit.many.table import make_table
from dnnkit.many.together import Together
from dnnkit.network import checks
from dnnkit.network.streamed import as_arrays
from dnnkit.network.whole import WholeNetwork
from dnnkit.settings import FLAG, shown
from dnnkit.training import loop
from dnnkit.training.arguments import FitArguments
from dnnkit.training.checkpoints import Checkpoints
from dnnkit.training.epoch_order import Shuffle
from dnnkit.training.history import History
from dnnkit.training.interrupts import Interrupts
from dnnkit.training.progress import Verbosity, check_verbosity


def fit_many(
    networks: Sequence[WholeNetwork],
    x: Any,
    y: Any,
    *,
    sample_weight: Any = None,
    validation_data: Sequence[Any] | None = None,
    validation_split: float = 0.0,
    rows: Sequence[Any] | None = None,
    batch_size: int | None = None,
    epochs: int = 1,
    shuffle: Shuffle | Literal["shared"] = True,
    order_seed: int = 0,
    early_stopping: EarlyStopping | Mapping[str, Any] | int | None = None,
    num_workers: int | None = None,
    checkpoint: str | Path | Folder | None = None,
    checkpoint_every: str = "30 s",
    resume: bool = False,
    callbacks: Any = (),
    executor: Any = None,
    verbose: Verbosity = "auto",
) -> ManyHistory:
    """Train many networks on the same data, each bitwise identical to its own `fit` with one thread.

    Networks may differ in seed, learning rate, dropout, activation, shape, loss and optimizer; they run on the same
    backend. Data are loaded once. A network whose loss is NaN ends after that epoch; the others continue.

    Ctrl-C is raised after whole steps, and every network keeps what it has learned so far.

    Arguments:
        networks: compiled networks, each listed once, without shared layers.
        x: samples (N, ...), or a sparse matrix, of which a first dense layer multiplies the nonzero numbers only.
        y: targets, as for `fit`.
        sample_weight: weights of the samples (N,); None for equal weights.
        validation_data: (x, y) or (x, y, sample_weight), on which all networks are validated after each epoch.
        validation_split: share of the samples, from their end, to use for validation instead. Default 0.
        rows: instead of both, a pair of arrays per network: the rows of x that it trains on, and those that it is
            validated on, or None. Folds are defined this way without copying the data.
        batch_size: rows per batch; None for 32.
        epochs: total epochs of each network. Default 1.
        shuffle: as for `fit`, for each network separately (default True); "shared": all networks use the same orders,
            given by `order_seed`.
        order_seed: seed of the shared orders; they are those of a network with this seed. Default 0.
        early_stopping: a patience in epochs, a `dk.EarlyStopping`, or its arguments in a dictionary; each network is
            monitored and stopped separately. None for no early stopping.
        num_workers: number of networks trained at the same time; None for the number of processors.
        checkpoint: folder in which all networks are saved periodically, at their end, and on Ctrl-C and SIGTERM.
        checkpoint_every: interval between saves, as for `fit`, default "30 s"; not in steps.
        resume: whether to continue from the checkpoints in that folder, if there are any. If False (default), the
            folder may not contain checkpoints.
        callbacks: objects whose `on_epoch_end(epoch, many)` is called after each epoch of all networks;
            `many.stop(number)` stops one.
        executor: where to train: None for this process; the name of an executor ("joblib", "loky", "dask"); a
            `joblib.Parallel`; or a `distributed.Client`. Each network is sent to a worker and returned every two
            seconds; the data are sent once.
        verbose: 0 for silence, 1 for a live table of all networks, 2 for a line every two seconds; "auto" (default)
            is 1 on a terminal or in a notebook, else 2.

    Returns:
        A `ManyHistory`: the histories of all networks, and why each ended.

    Raises:
        ConfigurationError, DataError, ShapeError, NotReady, BackendUnavailable: as for `fit`; the error names the
            network.
        WorkersLost: an executor's workers, or its scheduler, are permanently lost; the error names a folder to resume
            from.
        CheckpointError: the folder belongs to other networks or data, or has checkpoints and `resume` is False.
    """
    nets = given.check_networks(networks)
    watching, heard = given.check_early_stopping(early_stopping), check_callbacks(callbacks)
    workers = checks.check_optional_count("num_workers", num_workers) or processors()
    check_verbosity(verbose)
    resume = FLAG.of("resume", resume)
    if resume and checkpoint is None:
        raise ConfigurationError("resume=True needs checkpoint: give the folder to resume from")
    if rows is not None and (validation_data is not None or validation_split):
        raise ConfigurationError(
            "rows and validation_data or validation_split both define the validation data: give one of them"
        )
    epochs = checks.check_count("epochs", epochs)
    x, y, sample_weight = as_arrays(x, y, sample_weight)
    if isinstance(validation_data, tuple | list) and len(validation_data) in (2, 3):
        validation_data = as_arrays(*validation_data, *[None] * (3 - len(validation_data)))
    orders = None
    if isinstance(shuffle, str) and shuffle == "shared":
        shuffle, orders = True, SharedOrders(order_seed)
    elif order_seed != 0:
        raise ConfigurationError(f"order_seed is {shown(order_seed)}, but it is used only with shuffle='shared'")
    of_each = given.check_rows(rows, nets, given.count_samples(x, nets[0]) if rows is not None else 0)
    asked = [
        FitArguments(
            x,
            y,
            sample_weight,
            None,
            validation_data,
            validation_split,
            batch_size=batch_size,
            epochs=epochs,
            shuffle=shuffle,
            among=None if pair is None else pair[0],
            held_out=None if pair is None else pair[1],
            whose=given.called(number, nets[number]),
            orders=orders,
        )
        for number, pair in enumerate(of_each)
    ]
    sent_to = None if executor is None else make_executor(executor, num_workers)
    folder = Folder.of(checkpoint)
    folders = checkpoints_in(folder, len(nets), checkpoint_every, resume=resume)
    with ExitStack() as stack:
        stack.enter_context(at_most(1))
        for number, net in enumerate(nets):
            with given.of_network(number, net):
                stack.enter_context(net.turns.fitting())
        interrupts = stack.enter_context(Interrupts(checkpoint is not None))
        for own in folders or ():
            stack.enter_context(own)
        elsewhere = None
        if sent_to is not None:
            job = Job(asked, watching)
            elsewhere = Elsewhere(stack.enter_context(sent_to), job, in_step=bool(heard))
        many = _Many(nets, watching, heard, interrupts, workers, verbose, elsewhere)
        return many.train(asked, folders, folder)


@dataclass
class _One:
    """A network, its fit, and why it ended."""

    number: int
    net: WholeNetwork
    ending: Ending
    fit: loop.Fit
    is_trained_together: bool
    """Whether its backend trains it together with others."""


class _Many:
    """Networks that are trained together."""

    def __init__(
        self,
        nets: list[WholeNetwork],
        watching: EarlyStopping | None,
        callbacks: list[Any],
        interrupts: Interrupts,
        workers: int,
        verbose: Verbosity,
        elsewhere: Elsewhere | None,
    ) -> None:
        self._nets, self._watching, self._callbacks = nets, watching, callbacks
        self._interrupts, self._workers, self._verbose = interrupts, workers, verbose
        self._elsewhere = elsewhere
        self._all: list[_One] = []
        self._running: list[_One] = []
        self.history = ManyHistory(nets, [], [""] * len(nets), 0.0, [None] * len(nets), self._stop)

    def train(self, asked: list[FitArguments], folders: list[Checkpoints] | None, folder: Folder | None) -> ManyHistory:
        """Train all networks; see `fit_many`."""
        self._start = perf_counter()
        self._prepare(asked, folders)
        interrupts = self._interrupts
        self._table = table = make_table(self._verbose, self.history, asked[0].epochs or 1)
        with interrupts.between_steps(self._give_up):
            try:
                for one in self._running:
                    one.fit.begin()
                while self._running:
                    interrupts.check()
                    self._round()
                    self.history.seconds = perf_counter() - self._start
                    table.update()
            except BaseException as error:
                with interrupts.held():
                    self._leave(error, folder)
                    if isinstance(error, WorkersLost):
                        raise kept(error, self._all, folder) from error
                raise
            finally:
                self.history.seconds, self.history._stop = perf_counter() - self._start, None
                table.close()
        return self.history

    def _prepare(self, asked: list[FitArguments], folders: list[Checkpoints] | None) -> None:
        """Do everything that may fail, before any training."""
        load, samples, runs = SharedData(), SharedSamples(), []
        for number, net in enumerate(self._nets):
            own = None if folders is None else folders[number]
            with given.of_network(number, net):
                samples.take(asked[number], net)
                runs.append(net.prepare_run(asked[number], own, load))
            self._interrupts.check()
        given.check_backends(self._nets)
        many = None if self._elsewhere is not None else self._nets[0].backend.many(self._workers)
        self._together = None if many is None else Together(many, self._interrupts, self._workers)
        for number, (net, run) in enumerate(zip(self._nets, runs, strict=True)):
            ending, own = Ending(), None if folders is None else folders[number]
            net.turns.begin_training()
            heard = CallbackList([*given.own_copy(self._watching), ending])
            with given.of_network(number, net):
                fit = loop.begin(net, run, heard, 0, self._interrupts, own)
                is_trained_together = self._together is not None and self._together.takes(fit)
                if not is_trained_together and self._elsewhere is None:
                    net.executable.prepare(run.data, run.batch_size, net.hyperparameters(), run.validation)
            self._interrupts.check()
            self._all.append(_One(number, net, ending, fit, is_trained_together))
            self.history.histories.append(fit.standing.history)
            if fit.is_over:
                self._note_end(self._all[number])
        self._running = [one for one in self._all if not one.fit.is_over]
        for one in list(self._running):  # a checkpoint may be from after the last epoch, but before the end
            if one.fit.standing.epoch >= one.fit.last_epoch:
                self._end(one)

    def _round(self) -> None:
        """Train an epoch of the networks that are furthest behind, or several epochs if no callback needs each."""
        epoch = min(one.fit.standing.epoch for one in self._running)
        if self._elsewhere is not None:
            group = self._elsewhere.train(self._running, self._interrupts)
        else:
            group = [one for one in self._running if one.fit.standing.epoch == epoch]
            self._train(group, epoch)
        if all(one.fit.standing.epoch > epoch for one in self._running):
            call_after_epoch(self._callbacks, epoch, self.history)
        for one in group:
            one.fit.standing.was_stopped = one.net.stop_training
            if one.net.stop_training or one.fit.standing.epoch >= one.fit.last_epoch:
                self._end(one)
            else:
                one.fit.save_if_due(one.fit.standing.epoch)

    def _train(self, group: list[_One], epoch: int) -> None:
        """Train an epoch of each network, or several epochs, in this process."""
        together = [one.fit for one in group if one.is_trained_together]
        if together:
            assert self._together is not None
            count = 1 if self._callbacks else self._together.epochs(together, epoch, self._table.patience)
            self._together.run(together, epoch, count)
        for one in group:
            if not one.is_trained_together:
                one.fit.run_epoch(epoch)
                self._interrupts.check()
            if one.fit.standing.epoch > epoch:
                one.ending.after_epoch(one.fit)

    def _end(self, one: _One) -> None:
        """End the training of a network."""
        one.ending.at_end(one.fit)
        one.fit.end(_logs(one.fit.standing.history), is_shown=False)
        self._running.remove(one)
        self._note_end(one)

    def _note_end(self, one: _One) -> None:
        """Record why a network ended, and the epoch whose weights it has."""
        self.history.stopped[one.number] = one.ending.why or "epochs"
        self.history.best_epochs[one.number] = given.kept_epoch(one.fit.callbacks.callbacks, one.fit.standing.history)

    def _stop(self, number: int, why: str) -> None:
        """Stop a network, as requested by a callback."""
        one = self._all[number]
        one.net.stop_training, one.ending.why = True, one.ending.why or why

    def _give_up(self) -> None:
        for one in self._running:
            one.net.executable.give_up()

    def _leave(self, error: BaseException, folder: Folder | None) -> None:
        """Keep the current state, unless an error may have interrupted a step."""
        for one in self._running:
            one.fit.leave(error)
            if self._interrupts.received:
                self.history.stopped[one.number] = "interrupted"
        if self._interrupts.received and folder is not None and folder.hint and not self._interrupts.is_forced:
            remark(f"interrupted, saved in {shown(str(folder.path))}: {folder.hint}")


def _logs(history: History) -> dict[str, float]:
    """Return the values of the last epoch."""
    return {name: values[-1] for name, values in history.history.items() if values}
